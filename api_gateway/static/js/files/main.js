/** The file manager: makes the page's parts and lets them know of each other. */

import { announce } from "../common/announce.js";
import { explain } from "../common/api.js";
import { byId } from "../common/dom.js";
import { may } from "../common/rights.js";
import { toast } from "../common/toast.js";
import * as changes from "./changes.js";
import { showDetails } from "./details.js";
import { download } from "./downloads.js";
import { enableDrag } from "./drag.js";
import { parentOf } from "./entries.js";
import { showCount, showPlace, showProblem } from "./frame.js";
import { Grid } from "./grid.js";
import { Pages } from "./pages.js";
import { addressOf, placeOf, queryOf, within } from "./place.js";
import { makeRow, readRows } from "./rows.js";
import { Selection } from "./selection.js";
import { Sorted } from "./sorted.js";
import { SelectionBar } from "./toolbar.js";

const TYPING_MS = 200;
const STORED_MS = 500;
let place = placeOf();
let turn = 0;

const selection = new Selection(() => {
  bar.update();
  if (grid.source !== null) grid.render();
});
const grid = new Grid({
  make: (entry, row) => makeRow(entry, { link: linkOf(entry), action: "Details of" }, row),
  selection,
  open,
  act: details,
  keys: {
    Enter: open,
    i: (entry) => entry.id && details(entry),
    ...(may("write") ? { F2: (entry) => rename(entry) } : {}),
    ...(may("delete") ? { Delete: () => remove() } : {}),
  },
  onchange: () => showCount(grid.source, place),
  onread: () => showProblem(""),
  onerror: failed,
});
const bar = new SelectionBar(selection, [
  { label: "Download", icon: "download", run: () => run(download(...chosen())), id: "act-download" },
  { label: "Details", icon: "info", run: () => details(selection.single), isForOne: true, id: "act-details" },
  { label: "Rename", icon: "rename", run: () => rename(selection.single), isForOne: true, id: "act-rename", right: "write" },
  { label: "Move", icon: "move", run: move, id: "act-move", right: "write" },
  { label: "Delete", icon: "trash", run: remove, id: "act-delete", right: "delete" },
]);

/** Show a place. isMove: the focus goes to its list; origin: the entry there that it goes to, if it is in sight. */
async function show(wanted, { isMove = false, origin = "" } = {}) {
  turn += 1;
  const mine = turn;
  place = wanted;
  showPlace(place);
  selection.clear();
  const onprogress = (count) => announceProgress(mine, count);
  const source = isByName(place) ? new Pages(queryOf(place)) : new Sorted(queryOf(place), place, onprogress);
  try {
    if (!(await grid.show(source))) return;
  } catch (error) {
    if (mine !== turn || error.name === "AbortError") return;
    // The rows of the place before are not this one's.
    grid.render();
    failed(error);
    return;
  }
  showProblem("");
  if (isMove) window.scrollTo(0, 0);
  if (isMove && !(origin && grid.focusOn((entry) => entry.path === origin)) && !grid.focus(0)) byId("folder-name").focus();
  if (isMove) announce(`${byId("folder-name").textContent}: ${byId("list-status").textContent || "no files"}`);
}

function isByName({ by, isDescending }) {
  return by === "name" && !isDescending;
}

function go(changed, options = { isMove: true }) {
  const wanted = { ...place, ...changed };
  history.pushState(null, "", addressOf(wanted));
  show(wanted, options);
}

function open(entry) {
  if (entry.kind === "folder") go({ prefix: entry.path, search: "", isEverywhere: false });
  else details(entry);
}

function details(entry) {
  if (!entry?.id) {
    open(entry);
    return;
  }
  showDetails(entry, {
    rename: () => rename(entry),
    move: () => run(changes.move([entry], null, parentOf(entry.path), changed)),
    remove: () => run(changes.remove([entry], () => [entry], changed)),
    changed,
  });
}

async function rename(entry) {
  let target = null;
  await run(changes.rename(entry, changed).then((path) => (target = path)));
  const isInList = [document.body, ...byId("rows").children].includes(document.activeElement);
  if (target !== null && isInList) grid.focusOn(({ path }) => path === target);
}

function move() {
  run(changes.move(...chosen(), place.prefix, changed));
}

function remove() {
  if (selection.isEmpty && grid.activeEntry !== null) selection.only([grid.activeEntry]);
  run(changes.remove(...chosen(), changed));
}

/** What is selected: as a list, where it is one, and as something that can be read through. */
function chosen() {
  return [selection.list, selection.snapshot()];
}

/** Something was changed: look again, and keep the focus in the list where its row is gone. */
async function changed() {
  selection.clear();
  await grid.refresh();
  if (document.activeElement === document.body) grid.focus();
}

async function run(work) {
  try {
    await work;
  } catch (error) {
    toast(explain(error), { kind: "error" });
  }
}

function failed(error) {
  showProblem(explain(error), () => show(place));
}

function linkOf(entry) {
  return entry.kind === "folder" ? addressOf({ prefix: entry.path }) : `/files/${entry.id}/download`;
}

function announceProgress(mine, count) {
  if (mine === turn) byId("list-status").textContent = `Sorting: ${count.toLocaleString("en")} entries read ...`;
}

function listen() {
  window.addEventListener("online", () => document.querySelector("#list-problem button")?.click());
  window.addEventListener("popstate", () => {
    const from = place.prefix;
    show(placeOf(), { isMove: true, origin: from });
  });
  byId("crumbs").addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const from = place.prefix;
    const { prefix, search } = placeOf(link.href);
    go({ prefix, search, isEverywhere: false }, { isMove: true, origin: from.slice(0, from.indexOf("/", prefix.length) + 1) });
  });
  document.getElementById("new-folder")?.addEventListener("click", () => run(makeFolder()));
  for (const sort of document.querySelectorAll("[data-sort]")) {
    sort.addEventListener("click", () => {
      const by = sort.dataset.sort;
      const isDescending = by === place.by && !place.isDescending;
      go({ by, isDescending }, {});
      announce(`Sorted by ${by}, ${isDescending ? "descending" : "ascending"}.`);
    });
  }
  listenToSearch();
  let soon = 0;
  document.addEventListener("dfs:stored", () => {
    clearTimeout(soon);
    soon = setTimeout(() => grid.refresh(), STORED_MS);
  });
  if (!may("write")) return;
  enableDrag({
    body: byId("rows"),
    crumbs: byId("crumbs"),
    entryOf: (row) => grid.entryOf(row),
    chosen: (entry) => (selection.has(entry) ? selection.list : [entry]),
    drop: (entries, target) => run(changes.moveTo(entries, target, changed)),
  });
}

function listenToSearch() {
  const [field, everywhere] = [byId("search"), byId("everywhere")];
  let soon = 0;
  const search = () => {
    clearTimeout(soon);
    const wanted = { ...place, ...within(place.prefix, field.value), isEverywhere: everywhere.checked };
    history.replaceState(null, "", addressOf(wanted));
    show(wanted).then(() => announce(byId("list-status").textContent || byId("empty-title").textContent));
  };
  field.addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(search, TYPING_MS);
  });
  everywhere.addEventListener("change", search);
  byId("empty").addEventListener("click", (event) => {
    const link = event.target.closest("#other-case");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    field.value = link.textContent;
    search();
    field.focus();
  });
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
}

async function makeFolder() {
  const path = await changes.newFolder(place.prefix);
  if (path === null) return;
  await changed();
  grid.focusOn((entry) => entry.path === path);
}

listen();
const isAsWritten = isByName(place) && place.isEverywhere === byId("everywhere").defaultChecked;
const began = isAsWritten ? readRows(place.prefix) : null;
if (began === null) show(place);
else {
  showPlace(place);
  grid.adopt(new Pages(queryOf(place), began));
  selection.set(began.chosen, true);
}
