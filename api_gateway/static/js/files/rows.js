/** One row of a list, made out of the template that the server uses for its rows. */

import { byId, element } from "../common/dom.js";
import { bytes, dateTime, span } from "../common/format.js";
import { may } from "../common/rights.js";
import { wordOf } from "./kinds.js";

const CONTROLS = /([\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069])/;

/**
 * @param {import("./entries.js").Entry} entry
 * @param {{link: string|null, action: string}} shown link: where its name leads, null for nowhere; action: the word of
 *   its button, "" for none
 * @returns {HTMLTableRowElement}
 */
export function makeRow(entry, { link, action }) {
  const row = blankRow();
  const shown = entry.name || entry.path;
  const isFolder = entry.kind === "folder";
  const size = entry.size >= 0 && !isFolder ? bytes(entry.size) : "";
  const changed = entry.changed ? dateTime(entry.changed) : "";
  const name = row.querySelector("a");
  name.replaceChildren(...partsOf(shown));
  name.title = shown;
  name.tabIndex = -1;
  if (link === null) name.removeAttribute("href");
  else name.setAttribute("href", link);
  row.querySelector("input").setAttribute("aria-label", `Select ${shown}`);
  const act = row.querySelector("button");
  act.setAttribute("aria-label", `${action} ${shown}`);
  act.hidden = entry.id === "" || action === "";
  row.draggable = link !== null && may("write");
  row.querySelector(".kind").classList.replace("file", entry.kind);
  row.querySelector(".kind use").setAttribute("href", `#icon-${entry.kind === "pdf" ? "text" : entry.kind}`);
  const left = leftOf(entry);
  const under = [size || wordOf(entry.kind), left ? `goes ${left}` : changed];
  row.querySelector(".under").textContent = under.filter(Boolean).join(" · ");
  // The trash alone has it.
  row.querySelector(".left")?.replaceChildren(left);
  row.querySelector(".type").textContent = wordOf(entry.kind);
  row.querySelector(".size").textContent = size;
  const time = row.querySelector("time");
  time.textContent = changed;
  if (entry.changed) time.dateTime = entry.changed;
  return row;
}

/** A name with what cannot be seen in it set apart: it could make "exe.jpg" of "gpj.exe". As routes/shown.py has it. */
function partsOf(name) {
  return name.split(CONTROLS).map((part, index) => (index % 2 ? element("span", { class: "control" }, part) : part));
}

function leftOf({ left }) {
  if (left === undefined) return "";
  return left > 0 ? `in ${span(left)}` : "now";
}

/** A row whose entry is still to come. */
export function makeWaitingRow() {
  const row = blankRow();
  row.classList.add("waiting");
  row.querySelector("a").textContent = "Reading ...";
  row.querySelector("a").removeAttribute("href");
  row.querySelector("input").disabled = true;
  row.querySelector("input").setAttribute("aria-label", "Not read yet");
  row.querySelector("button").hidden = true;
  return row;
}

function blankRow() {
  return byId("row-template").content.querySelector("tr").cloneNode(true);
}
