/** One row of a list, made out of the template that the server uses for its rows. */

import { byId } from "../common/dom.js";
import { bytes, dateTime } from "../common/format.js";
import { wordOf } from "./kinds.js";

/**
 * @param {import("./entries.js").Entry} entry
 * @param {{link: string|null, action: string}} shown link: where its name leads, null for nowhere; action: the word of
 *   its button
 * @returns {HTMLTableRowElement}
 */
export function makeRow(entry, { link, action }) {
  const row = blankRow();
  const shown = entry.name || entry.path;
  const isFolder = entry.kind === "folder";
  const size = entry.size >= 0 && !isFolder ? bytes(entry.size) : "";
  const changed = entry.changed ? dateTime(entry.changed) : "";
  const name = row.querySelector("a");
  name.textContent = shown;
  name.title = shown;
  name.tabIndex = -1;
  if (link === null) name.removeAttribute("href");
  else name.setAttribute("href", link);
  row.querySelector("input").setAttribute("aria-label", `Select ${shown}`);
  const act = row.querySelector("button");
  act.setAttribute("aria-label", `${action} ${shown}`);
  act.hidden = entry.id === "";
  row.draggable = link !== null;
  row.querySelector(".kind").classList.replace("file", entry.kind);
  row.querySelector(".kind use").setAttribute("href", `#icon-${entry.kind === "pdf" ? "text" : entry.kind}`);
  row.querySelector(".under").textContent = [size || wordOf(entry.kind), changed].filter(Boolean).join(" · ");
  row.querySelector(".type").textContent = wordOf(entry.kind);
  row.querySelector(".size").textContent = size;
  const time = row.querySelector("time");
  time.textContent = changed;
  if (entry.changed) time.dateTime = entry.changed;
  return row;
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
