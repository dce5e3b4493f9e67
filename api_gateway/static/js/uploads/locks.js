/** Keeps two tabs of one browser from sending the same file. */

import { Refused } from "./verdict.js";

const PREFIX = "dfs-upload\n";

/**
 * Do the work while no other tab does it. Where the browser has no locks (pages without TLS) the server alone sees
 * to it that the bytes stay right.
 * @template T @param {string} print @param {() => Promise<T>} work
 * @returns {Promise<T>} rejects with Refused while another tab is at it.
 */
export function exclusively(print, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(PREFIX + print, { ifAvailable: true }, (lock) => {
    if (lock === null) throw new Refused("Another tab is uploading this file.");
    return work();
  });
}

/** The fingerprints of what any tab is sending now. @returns {Promise<Set<string>>} */
export async function held() {
  const { held: locks = [] } = (await navigator.locks?.query()) ?? {};
  const names = locks.map((lock) => lock.name).filter((name) => name.startsWith(PREFIX));
  return new Set(names.map((name) => name.slice(PREFIX.length)));
}
