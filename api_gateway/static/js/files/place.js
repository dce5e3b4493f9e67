/** Which folder is on show, and how: read from the address, and written to it. */

/** @typedef {{prefix: string, search: string, isEverywhere: boolean, by: string, isDescending: boolean}} Place */

/**
 * @param {string} [address]
 * @returns {Place}
 */
export function placeOf(address = location.href) {
  const parameters = new URL(address, location.href).searchParams;
  return {
    prefix: parameters.get("prefix") || document.body.dataset.bound || "",
    search: parameters.get("search") ?? "",
    isEverywhere: parameters.get("everywhere") === "1",
    by: parameters.get("sort") ?? "name",
    isDescending: parameters.get("descending") === "1",
  };
}

/**
 * @param {Partial<Place>} place
 * @returns {string} its address
 */
export function addressOf({ prefix = "", search = "", isEverywhere = false, by = "name", isDescending = false }) {
  const parameters = new URLSearchParams();
  if (prefix) parameters.set("prefix", prefix);
  if (search) parameters.set("search", search);
  if (isEverywhere) parameters.set("everywhere", "1");
  if (by !== "name") parameters.set("sort", by);
  if (isDescending) parameters.set("descending", "1");
  const text = parameters.toString();
  return text ? `/?${text}` : "/";
}

/**
 * The listing that shows a place.
 *
 * @param {Place} place
 * @returns {import("./entries.js").Query}
 */
export function queryOf({ prefix, search, isEverywhere }) {
  return { prefix, search, delimiter: isEverywhere ? "" : "/" };
}
