/** Which of thousands of uploads are shown: those that a person may want to see or touch, in the queue's order. */

const MOST_ROWS = 100;
const ORDER = ["sending", "retrying", "asking", "failed", "paused", "waiting", "done", "cancelled"];
// Of these the latest are shown, of all others the first.
const LATEST_FIRST = new Set(["done", "cancelled"]);

/**
 * @param {import("./upload.js").Upload[]} uploads
 * @returns {{rows: import("./upload.js").Upload[], left: Object<string, number>}} left: how many of each state are not
 *   among the rows
 */
export function shownOf(uploads) {
  if (uploads.length <= MOST_ROWS) return { rows: uploads, left: {} };
  const counts = countStates(uploads);
  const quotas = {};
  let room = MOST_ROWS;
  for (const state of ORDER) {
    // Whatever else there is, the last few that were stored and the next few that wait are in sight.
    const most = state === "failed" || state === "paused" ? Math.min(room, MOST_ROWS / 2) : room;
    quotas[state] = Math.min(counts[state] ?? 0, most);
    if (state === "waiting") quotas[state] = Math.min(quotas[state], Math.max(room - 10, 0));
    room -= quotas[state];
  }
  return { rows: pick(uploads, counts, quotas), left: leftOf(counts, quotas) };
}

/** @param {import("./upload.js").Upload[]} uploads @returns {Object<string, number>} how many are in each state */
export function countStates(uploads) {
  const counts = {};
  for (const { state } of uploads) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function pick(uploads, counts, quotas) {
  const passed = {};
  return uploads.filter(({ state }) => {
    const before = passed[state] ?? 0;
    passed[state] = before + 1;
    return LATEST_FIRST.has(state) ? before >= counts[state] - quotas[state] : before < quotas[state];
  });
}

function leftOf(counts, quotas) {
  const left = Object.entries(counts).map(([state, number]) => [state, number - quotas[state]]);
  return Object.fromEntries(left.filter(([, number]) => number > 0));
}
