/** Which of thousands of uploads are shown: first what is under way or wants a person, then what waits, then what is done. */

const MOST = { open: 60, waiting: 20, finished: 20 };

/**
 * @param {import("./upload.js").Upload[]} uploads
 * @returns {{rows: import("./upload.js").Upload[], left: {open: number, waiting: number, finished: number}}} left: how
 *   many have no row
 */
export function shownOf(uploads) {
  const shown = { open: [], waiting: [], finished: [] };
  const left = { open: 0, waiting: 0, finished: 0 };
  for (const upload of uploads) {
    const group = groupOf(upload);
    if (shown[group].length < MOST[group]) shown[group].push(upload);
    else left[group] += 1;
  }
  return { rows: [...shown.open, ...shown.waiting, ...latest(uploads, MOST.finished)], left };
}

function groupOf(upload) {
  if (upload.isFinished) return "finished";
  return upload.state === "waiting" ? "waiting" : "open";
}

function latest(uploads, most) {
  const found = [];
  for (let index = uploads.length - 1; index >= 0 && found.length < most; index -= 1) {
    if (uploads[index].isFinished) found.push(uploads[index]);
  }
  return found;
}

/**
 * @param {import("./upload.js").Upload[]} uploads
 * @returns {{counts: Object<string, number>, size: number, sent: number}} counts: by state; bytes without what was cancelled
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
