/** The trash: what was deleted, to be restored or freed for good. */

import { announce } from "../common/announce.js";
import { explain, request } from "../common/api.js";
import { ask } from "../common/dialog.js";
import { byId } from "../common/dom.js";
import { count } from "../common/format.js";
import { may } from "../common/rights.js";
import { toast } from "../common/toast.js";
import { Conflicts } from "./conflicts.js";
import { Grid } from "./grid.js";
import { reportFailures, runJob } from "./jobs.js";
import { Pages } from "./pages.js";
import { makeRow, readRows } from "./rows.js";
import { Selection } from "./selection.js";
import { Sorted } from "./sorted.js";
import { SelectionBar } from "./toolbar.js";

// Not there for whoever may not delete.
const emptyButton = document.getElementById("empty-trash");
const QUERY = { prefix: document.body.dataset.prefix ?? "", status: "deleted" };
let order = { by: "name", isDescending: false };

const selection = new Selection(() => {
  bar.update();
  if (grid.source !== null) grid.render();
});
const grid = new Grid({
  make: (entry, row) => makeRow(entry, { link: null, action: may("write") ? "Restore" : "" }, row),
  selection,
  open: restoreOne,
  act: restoreOne,
  keys: { Enter: restoreOne, ...(may("delete") ? { Delete: () => free(...chosen()) } : {}) },
  onchange: showCount,
  onread: () => {},
  onerror: failed,
});
const bar = new SelectionBar(selection, [
  { label: "Restore", icon: "restore", run: () => restore(...chosen()), id: "act-restore", right: "write" },
  { label: "Delete for good", icon: "trash", run: () => free(...chosen()), id: "act-free", right: "delete" },
]);

function restoreOne(entry) {
  if (may("write")) restore([entry], null);
}

async function restore(entries, list) {
  const conflicts = new Conflicts(entries?.length !== 1);
  const { done, failed: failures } = await runJob(
    "Restoring",
    (signal) => entries ?? list(signal),
    async (file, signal) => {
      const place = (path) => request("POST", `/files/${file.id}/restore`, { body: { path }, signal });
      const onown = () => request("DELETE", `/files/${file.id}?permanent=true`, { signal });
      return (await conflicts.settle(place, file.path, { onown })) !== null;
    },
  );
  await changed();
  if (failures.length) reportFailures("Not everything was restored", failures, (file) => file.path);
  if (done.length) toast(done.length === 1 ? `“${done[0].name}” is restored.` : `${count(done.length, "file")} restored.`);
}

async function free(entries, list) {
  if (entries !== null && !entries.length) entries = [grid.activeEntry];
  const what = entries?.length === 1 ? `“${entries[0].name}”` : "the selected files";
  const answer = await ask({
    title: `Delete ${what} for good?`,
    text: "This cannot be undone. The space is freed at once.",
    choices: [{ value: "free", label: "Delete for good", kind: "danger" }],
  });
  if (answer !== null) await freeAll((signal) => entries ?? list(signal), freeOne);
}

function freeOne(file, signal) {
  return request("DELETE", `/files/${file.id}?permanent=true`, { signal });
}

async function emptyTrash() {
  const answer = await ask({
    title: "Empty the trash?",
    text: "Every file in it is deleted for good. This cannot be undone.",
    choices: [{ value: "empty", label: "Empty the trash", kind: "danger" }],
  });
  if (answer !== null) await freeAll(emptied, async () => {});
}

/** The gateway empties a part at a time; each file of it counts as done. */
async function* emptied(signal) {
  for (let more = true; more; ) {
    const part = await request("POST", "/trash/empty", { body: { prefix: QUERY.prefix }, signal });
    for (let number = 0; number < part.deleted; number += 1) yield number;
    more = part.more;
  }
}

async function freeAll(list, run) {
  const { done, failed: failures } = await runJob("Deleting for good", list, run);
  await changed();
  if (failures.length) reportFailures("Not everything was deleted", failures, (file) => file.path);
  if (done.length) toast(`${count(done.length, "file")} deleted for good.`);
}

function chosen() {
  return [selection.list, selection.snapshot()];
}

async function changed() {
  selection.clear();
  await grid.refresh();
  if (document.activeElement === document.body && !grid.focus()) byId("main").focus();
}

async function show() {
  const isByName = order.by === "name" && !order.isDescending;
  try {
    await grid.show(isByName ? new Pages(QUERY) : new Sorted(QUERY, order, () => {}));
  } catch (error) {
    if (error.name !== "AbortError") failed(error);
  }
}

function showCount() {
  const { length, total, isComplete } = grid.source;
  const words = isComplete ? count(total, "file") : `More than ${count(total, "file")}`;
  byId("list-status").textContent = length ? words : "";
  byId("empty").hidden = length > 0 || !isComplete;
  if (emptyButton !== null) emptyButton.disabled = length === 0;
}

function failed(error) {
  toast(explain(error), { kind: "error", action: { label: "Try again", run: show } });
}

emptyButton?.addEventListener("click", emptyTrash);
for (const sort of document.querySelectorAll("[data-sort]")) {
  sort.addEventListener("click", () => {
    const by = sort.dataset.sort;
    order = { by, isDescending: by === order.by && !order.isDescending };
    for (const heading of document.querySelectorAll("th")) heading.removeAttribute("aria-sort");
    sort.closest("th").setAttribute("aria-sort", order.isDescending ? "descending" : "ascending");
    announce(`Sorted by ${by}, ${order.isDescending ? "descending" : "ascending"}.`);
    show();
  });
}
const began = readRows("");
if (began === null) show();
else {
  grid.adopt(new Pages(QUERY, began));
  selection.set(began.chosen, true);
}
