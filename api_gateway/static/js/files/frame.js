/** What stands around the list of a folder: title, the path above, the empty state, how many entries there are. */

import { announce } from "../common/announce.js";
import { byId, element, icon } from "../common/dom.js";
import { count } from "../common/format.js";
import { fsPath } from "../common/api.js";
import { may } from "../common/rights.js";
import { addressOf } from "./place.js";
import { lastName } from "./entries.js";
import { offer, otherCase } from "./othercase.js";
import { MAX_SORTED } from "./sorted.js";
import { MAX_ROWS } from "./pages.js";

/**
 * Say which folder is on show, everywhere where it is said.
 *
 * @param {import("./place.js").Place} place
 */
export function showPlace(place) {
  const name = place.prefix ? lastName(place.prefix) : "All files";
  document.title = `${name} - Distributed File System`;
  document.body.dataset.prefix = place.prefix;
  byId("folder-name").textContent = name;
  byId("search").value = place.search;
  byId("everywhere").checked = place.isEverywhere;
  const links = [crumb("All files", "")];
  let path = "";
  const bound = document.body.dataset.bound ?? "";
  for (const segment of place.prefix.split("/").slice(0, -1)) {
    path += `${segment}/`;
    links.push(crumb(segment, path.startsWith(bound) ? path : null));
  }
  links.at(-1).firstChild.setAttribute("aria-current", "page");
  byId("crumbs").replaceChildren(element("ol", {}, ...links));
  showOrder(place);
}

/**
 * Say how many entries there are, and what is not shown of them.
 *
 * @param {import("./grid.js").Source} source
 * @param {import("./place.js").Place} place
 */
export function showCount(source, place) {
  const { length, total, isComplete, isCut } = source;
  let words = isComplete ? count(total, "entry", "entries") : `More than ${count(total, "entry", "entries")}`;
  if (isCut && place.by !== "name") words = `Only the first ${MAX_SORTED.toLocaleString("en")} by name are sorted`;
  else if (isCut) words = `Only ${MAX_ROWS.toLocaleString("en")} are shown: search to see others`;
  byId("list-status").textContent = length ? words : "";
  byId("empty").hidden = length > 0 || !isComplete;
  if (!length && isComplete) showEmpty(place);
}

let emptyPlace = null;

/** Once for a place, however often its rows are drawn. */
function showEmpty(place) {
  if (emptyPlace === place) return;
  emptyPlace = place;
  const { prefix, search } = place;
  const [title, text] = byId("empty").querySelectorAll("#empty-title, #empty-text");
  // Not there for whoever may not write.
  const shell = document.getElementById("empty-shell");
  if (shell !== null) {
    shell.hidden = search !== "";
    shell.querySelector("code").textContent = `curl -T FILE ${location.origin}${fsPath(prefix)}FILE`;
  }
  if (search) {
    title.textContent = "Nothing begins with this";
    text.textContent = "Names are found by how they begin, small and capital letters as they are.";
    offerOtherCase(place);
    return;
  }
  title.textContent = "No files here yet";
  text.textContent = may("write")
    ? "Drop files or folders anywhere on this page, or choose Upload."
    : "What others store here will be listed.";
}

async function offerOtherCase(place) {
  const found = await otherCase(place).catch(() => null);
  if (found === null || emptyPlace !== place || byId("empty").hidden) return;
  const words = offer(place, found);
  byId("empty-text").append(words);
  announce(words.textContent.trim());
}

function showOrder({ by, isDescending }) {
  for (const sort of document.querySelectorAll("[data-sort]")) {
    const heading = sort.closest("th");
    if (sort.dataset.sort !== by) heading.removeAttribute("aria-sort");
    else heading.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
  }
}

/** prefix: null for a folder that this visitor may not open. */
function crumb(name, prefix) {
  return element("li", {}, element("a", { href: prefix === null ? null : addressOf({ prefix }) }, name));
}

/**
 * Say that the list could not be read, and offer to try again.
 *
 * @param {string} text "" when all is well again
 * @param {() => void} [again]
 */
export function showProblem(text, again) {
  document.getElementById("list-problem")?.remove();
  if (!text) return;
  const retry = element("button", { type: "button", class: "button", onclick: again }, icon("restore"), "Try again");
  byId("list").before(element("p", { id: "list-problem", class: "problem", role: "alert" }, `${text} `, retry));
}
