/** Which folder is on show, and how: read from the address, and written to it. */

/** @typedef {{prefix: string, search: string, isEverywhere: boolean, by: string, isDescending: boolean}} Place */

/**
 * @param {string} [address]
 * @returns {Place}
 */
export function placeOf(address = location.href) {
  const parameters = new URL(address, location.href).searchParams;
  return {
    ...within(parameters.get("prefix") ?? "", parameters.get("search") ?? ""),
    isEverywhere: parameters.get("everywhere") === "1",
    by: parameters.get("sort") ?? "name",
    isDescending: parameters.get("descending") === "1",
  };
}

/**
 * Of a folder and what is searched in it, what this visitor may see: where it holds more than that, only that.
 *
 * @param {string} prefix
 * @param {string} search
 * @returns {{prefix: string, search: string}}
 */
export function within(prefix, search) {
  const bound = document.body.dataset.bound ?? "";
  if (bound === prefix + search || !bound.startsWith(prefix + search)) return { prefix, search };
  const folder = bound.slice(0, bound.lastIndexOf("/") + 1);
  return { prefix: folder, search: bound.slice(folder.length) };
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
