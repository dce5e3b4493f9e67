/** One row of a list: those that came with the page are filled in anew, others made out of the server's own template. */

import { byId, element } from "../common/dom.js";
import { bytes, dateTime, sizeOf, span } from "../common/format.js";
import { may } from "../common/rights.js";
import { wordOf } from "./kinds.js";

// Of a folder's list; the trash has one more.
const COLUMNS = 6;
const CONTROLS = /([\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069])/;

/**
 * @param {import("./entries.js").Entry} entry
 * @param {{link: string|null, action: string}} shown link: where its name leads, null for nowhere; action: the word of
 *   its button, "" for none
 * @param {HTMLTableRowElement} [row] to be filled in
 * @returns {HTMLTableRowElement}
 */
export function makeRow(entry, { link, action }, row = blankRow()) {
  const shown = entry.name || entry.path;
  const size = entry.size >= 0 && entry.kind !== "folder" ? bytes(entry.size) : "";
  const changed = entry.changed ? dateTime(entry.changed) : "";
  const [name, under] = fill(row, entry.kind, [wordOf(entry.kind), size, changed], `Select ${shown}`);
  name.replaceChildren(...partsOf(shown));
  name.title = shown;
  if (link === null) name.removeAttribute("href");
  else name.setAttribute("href", link);
  const left = leftOf(entry);
  under.textContent = [size || wordOf(entry.kind), left ? `goes ${left}` : changed].filter(Boolean).join(" · ");
  if (isTrash(row)) row.cells[5].textContent = left;
  const properties = { type: "button", class: "more", tabindex: "-1", "aria-label": `${action} ${shown}` };
  row.lastElementChild.replaceChildren(entry.id && action ? element("button", properties) : "");
  row.draggable = link !== null && may("write");
  return row;
}

/** A row whose entry is still to come, or never will. */
export function makeWaitingRow(isCut) {
  const row = blankRow();
  const [name] = fill(row, "waiting", ["", "", ""], "Not read yet");
  name.textContent = isCut ? "Not shown" : "Reading ...";
  name.removeAttribute("href");
  row.querySelector("input").disabled = true;
  return row;
}

/**
 * The listing's beginning, as it came with the page.
 *
 * @param {string} prefix what its names leave out
 * @returns {{entries: import("./entries.js").Entry[], next: string|null, chosen: import("./entries.js").Entry[]}|null}
 *   chosen: whose boxes are checked; null where it is no beginning, or its names cannot be told from the text
 */
export function readRows(prefix) {
  const rows = [...byId("rows").rows];
  const entries = rows.map((row) => readRow(row, prefix));
  // HTML knows one line break only.
  if (new URL(location).searchParams.has("cursor") || entries.some(({ name }) => name.includes("\n"))) return null;
  const following = document.querySelector(".next a");
  const next = following && new URL(following.href).searchParams.get("cursor");
  return { entries, next, chosen: entries.filter((_, index) => rows[index].querySelector("input").checked) };
}

/** Its size is as exact as it is shown. */
function readRow(row, prefix) {
  const [name] = row.cells[1].children;
  const id = name.getAttribute("href").match(/^\/files\/(\w+)\//)?.[1] ?? "";
  const path = prefix + name.textContent + (id ? "" : "/");
  const [size, changed] = [row.cells[3].textContent, row.cells[4].textContent];
  const rest = { size: size ? sizeOf(size) : -1, changed: changed && `${changed.replace(" ", "T")}Z`, type: "" };
  if (isTrash(row)) rest.left = row.cells[5].textContent;
  return { kind: row.className, path, name: name.textContent, key: id || path, id, ...rest };
}

function isTrash(row) {
  return row.cells.length > COLUMNS;
}

function fill(row, kind, texts, label) {
  const [box, [name, under]] = [row.querySelector("input"), row.cells[1].children];
  row.className = kind;
  // What names the parts of a row that no script has touched is used once in a page.
  box.removeAttribute("aria-labelledby");
  name.removeAttribute("id");
  box.setAttribute("aria-label", label);
  box.tabIndex = name.tabIndex = -1;
  texts.forEach((text, number) => (row.cells[number + 2].textContent = text));
  return [name, under];
}

/** A name with what cannot be seen in it set apart: it could make "exe.jpg" of "gpj.exe". As routes/shown.py has it. */
function partsOf(name) {
  return name.split(CONTROLS).map((part, index) => (index % 2 ? element("span", { class: "control" }, part) : part));
}

/** Of a row that came with the page it is known in words only. */
function leftOf({ left }) {
  if (left === undefined || typeof left === "string") return left ?? "";
  return left > 0 ? `in ${span(left)}` : "now";
}

function blankRow() {
  return byId("row-template").content.querySelector("tr").cloneNode(true);
}
