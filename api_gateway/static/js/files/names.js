/** What an entry may be called, as common/paths.py has it. */

const encoder = new TextEncoder();

/**
 * What is wrong with a name, or "".
 *
 * @param {string} name one segment
 * @param {string} [folder] what stands before it in the path
 * @returns {string}
 */
export function problemOf(name, folder = "") {
  if (name === "") return "Enter a name.";
  if (name === "." || name === "..") return "A name cannot be only dots like this one.";
  if (name.includes("/")) return "A name cannot contain a slash.";
  if (name.includes("\0")) return "A name cannot contain a NUL character.";
  if (!name.isWellFormed?.() && name.isWellFormed) return "This name is not valid Unicode.";
  if (encoder.encode(name).length > 255) return "This name is too long: it may have 255 bytes.";
  if (encoder.encode(folder + name).length > 1023) return "The whole path is too long: it may have 1,024 bytes.";
  return "";
}

/**
 * How many letters of a name stand before its ending.
 *
 * @param {string} name
 * @returns {number}
 */
export function stemLength(name) {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? dot : name.length;
}
