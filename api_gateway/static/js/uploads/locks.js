/** Keeps two tabs of one browser from sending the same file. */

import { Refused } from "./verdict.js";

const PREFIX = "dfs-upload\n";

/**
 * Do the work while no other tab does it. A page without TLS has no locks: there the server alone sees to it that the
 * bytes stay right.
 * @template T @param {string} print @param {() => Promise<T>} work
 * @returns {Promise<T>} rejects with Refused while another tab is at it
 */
export function exclusively(print, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(PREFIX + print, { ifAvailable: true }, (lock) => {
    if (lock === null) throw new Refused("Another tab is uploading this file.");
    return work();
  });
}

/** @returns {Promise<Set<string>>} the fingerprints of what any tab is sending now */
export async function held() {
  const locks = (await navigator.locks?.query())?.held ?? [];
  const names = locks.map(({ name }) => name).filter((name) => name.startsWith(PREFIX));
  return new Set(names.map((name) => name.slice(PREFIX.length)));
}
