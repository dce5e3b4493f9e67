/** Asks for a folder: walk up and down with buttons, or make a new one on the way. */

import { explain, request } from "../common/api.js";
import { openDialog } from "../common/dialog.js";
import { button, element, icon } from "../common/dom.js";
import { lastName, parentOf } from "./entries.js";

// A folder may hold any number of entries; this many pages of it are looked through for folders.
const MAX_PAGES = 5;

/**
 * @param {{title: string, start: string}} question start: the folder that is shown first
 * @returns {Promise<string|null>} its path, "" for the top, null when it was closed
 */
export async function pickFolder({ title, start }) {
  let chosen = null;
  let at = start;
  let turn = 0;
  const where = element("p", { class: "quiet-text", "aria-live": "polite" });
  const list = element("ul", { class: "folders", "aria-label": "Folders" });
  const choose = button("Move here", () => ((chosen = at), dialog.close()), { kind: "primary" });
  const dialog = openDialog({
    title,
    content: [where, list],
    buttons: [button("Cancel", () => dialog.close()), choose],
  });

  const show = async (path, isFocused = true) => {
    at = path;
    turn += 1;
    const mine = turn;
    where.textContent = path ? `In ${path}` : "In All files";
    const above = path.startsWith(bound()) && path !== bound() ? line("Up", () => show(parentOf(path))) : "";
    list.replaceChildren(above, element("p", {}, "Reading ..."));
    let lines;
    try {
      const { folders, isCut } = await foldersIn(path);
      lines = folders.map((folder) => line(lastName(folder), () => show(folder)));
      if (!lines.length) lines.push(note("No folders in here."));
      if (isCut) lines.push(note("There may be more folders; open this one in the list and drag instead."));
    } catch (error) {
      lines = [note(explain(error))];
    }
    if (mine !== turn) return;
    list.replaceChildren(...[above, ...lines].filter(Boolean));
    if (isFocused) (list.querySelector("button") ?? choose).focus();
  };

  await show(start);
  await dialog.closed;
  return chosen;
}

function bound() {
  return document.body.dataset.bound ?? "";
}

function line(name, run) {
  return element("li", {}, element("button", { type: "button", onclick: run }, icon(name === "Up" ? "restore" : "folder"), name));
}

function note(text) {
  return element("li", {}, element("p", {}, text));
}

async function foldersIn(prefix) {
  const folders = [];
  let cursor = "";
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const parameters = { prefix, delimiter: "/", limit: "1000", ...(cursor ? { cursor } : {}) };
    const listing = await request("GET", `/files?${new URLSearchParams(parameters)}`);
    folders.push(...listing.prefixes);
    cursor = listing.next_cursor;
    if (!cursor) return { folders, isCut: false };
  }
  return { folders, isCut: true };
}
