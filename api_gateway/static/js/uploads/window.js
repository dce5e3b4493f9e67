/** Which of thousands of uploads have a row: first those under way or stopped, then what waits, then what is done. */

const MOST = { open: 60, waiting: 20, finished: 20 };

/** @typedef {import("./upload.js").Upload} Upload */

/**
 * @param {Upload[]} uploads
 * @returns {{rows: Upload[], left: {open: number, waiting: number, finished: number}}} left: how many have no row
 */
export function shownOf(uploads) {
  const shown = { open: [], waiting: [], finished: [] };
  const left = { open: 0, waiting: 0, finished: 0 };
  const show = (upload, group) => (shown[group].length < MOST[group] ? shown[group].push(upload) : (left[group] += 1));
  for (const upload of uploads) if (!upload.isFinished) show(upload, upload.state === "waiting" ? "waiting" : "open");
  // Of these the latest.
  for (let index = uploads.length - 1; index >= 0; index -= 1) {
    if (uploads[index].isFinished) show(uploads[index], "finished");
  }
  return { rows: [...shown.open, ...shown.waiting, ...shown.finished], left };
}

/**
 * @param {Upload[]} uploads
 * @returns {{counts: Object<string, number>, size: number, sent: number}} counts: by state; bytes: but of the cancelled
 */
export function totalOf(uploads) {
  const total = { counts: {}, size: 0, sent: 0 };
  for (const { state, size, sent } of uploads) {
    total.counts[state] = (total.counts[state] ?? 0) + 1;
    if (state === "cancelled") continue;
    total.size += size;
    total.sent += sent;
  }
  return total;
}
