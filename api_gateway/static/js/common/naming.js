/** Names beside a name that is taken. */

const MAX_NAME_BYTES = 255;
const EXTENSION = /(?:\.tar)?\.[^.\s/]{1,12}$/i;

/**
 * "a/b.txt" and 2 make "a/b (2).txt"; the name stays within what the store takes.
 * @param {string} path @param {number} number
 * @returns {string}
 */
export function numbered(path, number) {
  const start = path.lastIndexOf("/") + 1;
  const name = path.slice(start);
  const found = EXTENSION.exec(name);
  // What begins with its only dot has no extension.
  const extension = found && found.index > 0 ? found[0] : "";
  const tail = ` (${number})${extension}`;
  let stem = [...name.slice(0, name.length - extension.length)];
  while (byteLength(stem.join("") + tail) > MAX_NAME_BYTES) stem = stem.slice(0, -1);
  return path.slice(0, start) + stem.join("") + tail;
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
