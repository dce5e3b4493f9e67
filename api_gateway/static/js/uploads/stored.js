/** What lies at a path already, and the own entries of folders. */

import { fsPath } from "../common/api.js";
import { ConnectionLost, send } from "./transport.js";
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
    const checksum = reply.status === 200 ? reply.header("X-DFS-Checksum") : null;
    return checksum === `sha256=${await sha256(file)}`;
  } catch {
    return false;
  }
}

/**
 * Make a folder without files; one that is there is left as it is.
 * @param {string} path ends in "/" @param {AbortSignal} signal
 * @returns {Promise<{fileId: string|null, path: string}>}
 */
export async function storeFolder(path, signal) {
  const headers = { "If-None-Match": "*" };
  const reply = await send("PUT", fsPath(path), { headers, signal }).catch((error) => {
    throw error instanceof ConnectionLost ? new Refused("The connection was lost.") : error;
  });
  if (reply.status >= 300 && reply.status !== 412) {
    const error = verdict(reply, { isKnown: false });
    throw error instanceof Refused ? error : new Refused(error.message);
  }
  return { fileId: null, path };
}

async function sha256(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
