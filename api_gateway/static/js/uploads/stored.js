/** What lies at a path already, and the own entries of folders. */

import { fsPath } from "../common/api.js";
import { send } from "./transport.js";
import { SMALL_FILE_BYTES } from "./tus.js";
import { Refused, verdict } from "./verdict.js";

/**
 * Whether the file is stored at the path already: so a folder that is chosen again goes on where it stopped, and a
 * file whose last answer was lost is not asked about. Large files are not read for that.
 * @param {string} path @param {File} file
 * @returns {Promise<boolean>} false where it cannot be told
 */
export async function holdsSameBytes(path, file) {
  if (file.size >= SMALL_FILE_BYTES || !globalThis.crypto?.subtle) return false;
  try {
    const reply = await send("HEAD", fsPath(path));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return reply.status === 200 && reply.header("X-DFS-Checksum") === `sha256=${hex}`;
  } catch {
    return false;
  }
}

/**
 * Make a folder without files; one that is there is left as it is.
 * @param {string} path ends in "/" @param {AbortSignal} signal
 * @returns {Promise<null>} rejects with Refused
 */
export async function storeFolder(path, signal) {
  const reply = await send("PUT", fsPath(path), { headers: { "If-None-Match": "*" }, signal }).catch(() => null);
  signal.throwIfAborted();
  if (reply === null) throw new Refused("The connection was lost.");
  if (reply.status >= 300 && reply.status !== 412) throw new Refused(verdict(reply, false).message);
  return null;
}
