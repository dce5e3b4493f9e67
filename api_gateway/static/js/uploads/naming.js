/** Names beside a name that is taken. */

const MAX_NAME_BYTES = 255;
const EXTENSION = /(?:\.tar)?\.[^.\s/]{1,12}$/i;
const encoder = new TextEncoder();

/**
 * "a/b.txt" and 2 make "a/b (2).txt". The name stays within the store's 255 bytes.
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
  const stem = cutToBytes(name.slice(0, name.length - extension.length), MAX_NAME_BYTES - byteLength(tail));
  return path.slice(0, start) + stem + tail;
}

/** The longest beginning of whole characters within the limit. */
function cutToBytes(text, limit) {
  if (byteLength(text) <= limit) return text;
  let length = 0;
  let kept = "";
  for (const character of text) {
    length += byteLength(character);
    if (length > limit) break;
    kept += character;
  }
  return kept;
}

function byteLength(text) {
  return encoder.encode(text).length;
}
