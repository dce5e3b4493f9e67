/** Work on many files: some at once, with progress and a way to stop, and in the end a report of what failed. */

import { announce } from "../common/announce.js";
import { explain } from "../common/api.js";
import { openDialog } from "../common/dialog.js";
import { button, byId, element } from "../common/dom.js";
import { count } from "../common/format.js";

const AT_ONCE = 6;
const SHOWN_AFTER_MS = 400;
const MAX_REPORTED = 200;

/**
 * @template Item
 * @typedef {{done: Item[], failed: {item: Item, error: any}[], isStopped: boolean}} Outcome
 */

/**
 * Do something to each item, at most six at once. An item's failure does not end the work.
 *
 * @template Item
 * @param {string} label what is being done, such as "Moving"
 * @param {(signal: AbortSignal) => AsyncIterable<Item>} list
 * @param {(item: Item, signal: AbortSignal) => Promise<any>} run false: it was left out, and counts as neither
 * @returns {Promise<Outcome<Item>>}
 */
export async function runJob(label, list, run) {
  const stop = new AbortController();
  const view = showProgress(label, () => stop.abort());
  const outcome = { done: [], failed: [], isStopped: false };
  const busy = new Set();
  const work = async (item) => {
    try {
      if ((await run(item, stop.signal)) !== false) outcome.done.push(item);
    } catch (error) {
      if (error.name !== "AbortError") outcome.failed.push({ item, error });
    }
    view.update(outcome.done.length, outcome.failed.length);
  };
  try {
    for await (const item of list(stop.signal)) {
      if (stop.signal.aborted) break;
      const task = work(item).finally(() => busy.delete(task));
      busy.add(task);
      if (busy.size >= AT_ONCE) await Promise.race(busy);
    }
  } catch (error) {
    // The list itself could not be read to its end.
    if (error.name !== "AbortError") outcome.failed.push({ item: null, error });
  }
  await Promise.all(busy);
  view.close();
  outcome.isStopped = stop.signal.aborted;
  return outcome;
}

/**
 * Say what failed, each with its reason.
 *
 * @param {string} title
 * @param {{item: any, error: any}[]} failed
 * @param {(item: any) => string} name
 */
export function reportFailures(title, failed, name) {
  const lines = failed.slice(0, MAX_REPORTED).map(({ item, error }) => {
    const subject = item === null ? "The list could not be read to its end" : name(item);
    return element("li", {}, `${subject}: ${explain(error)}`);
  });
  const rest = failed.length - lines.length;
  const dialog = openDialog({
    title,
    content: [
      element("p", {}, `${count(failed.length, "entry", "entries")} could not be changed and stayed as before:`),
      element("ul", { class: "report", tabindex: "0", "aria-label": "What failed" }, ...lines),
      rest > 0 ? element("p", {}, `And ${rest} more.`) : "",
    ],
    buttons: [button("Close", () => dialog.close(), { kind: "primary" })],
  });
}

function showProgress(label, stop) {
  const words = element("span", {}, `${label} ...`);
  const bar = element("progress", { class: "bar", "aria-label": label });
  const cancel = button("Stop", stop, { kind: "quiet" });
  const note = element("div", { class: "toast job", role: "group", "aria-label": label }, words, cancel, bar);
  const timer = setTimeout(() => {
    byId("toasts").append(note);
    announce(`${label} ...`);
  }, SHOWN_AFTER_MS);
  return {
    update: (done, failed) => {
      words.textContent = `${label}: ${count(done, "file")} done${failed ? `, ${failed} failed` : ""}`;
    },
    close: () => {
      clearTimeout(timer);
      note.remove();
    },
  };
}
