/** Rows dragged onto a folder, in the list or in the path above it, are moved there. The dialog "Move" does the same. */

import { count } from "../common/format.js";

const TYPE = "application/x-dfs-entries";

/**
 * @param {{body: HTMLElement, crumbs: HTMLElement, entryOf: (row: any) => any,
 *   chosen: (entry: any) => import("./entries.js").Entry[]|null, drop: (entries: any[], target: string) => void}} parts
 *   chosen: what is dragged along with an entry; null: nothing can be dragged
 */
export function enableDrag({ body, crumbs, entryOf, chosen, drop }) {
  let dragged = [];
  body.addEventListener("dragstart", (event) => {
    const row = event.target.closest?.("tr");
    const entry = row && entryOf(row);
    dragged = (entry && chosen(entry)) || [];
    if (!dragged.length) return event.preventDefault();
    event.dataTransfer.setData(TYPE, "");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setDragImage(label(dragged), 0, 0);
  });
  document.addEventListener("dragend", () => (mark(null), (dragged = [])));
  const targetOf = (event) => {
    if (!event.dataTransfer?.types.includes(TYPE)) return null;
    const spot = event.target.closest?.("tbody tr, .crumbs a[href]");
    if (!spot) return null;
    const isCrumb = spot.matches("a") && crumbs.contains(spot);
    const folder = isCrumb ? new URL(spot.href).searchParams.get("prefix") ?? document.body.dataset.bound : entryOf(spot)?.path;
    const isFolder = folder === "" || folder?.endsWith("/");
    return isFolder && !dragged.some((entry) => entry.path === folder) ? { spot, folder } : null;
  };
  for (const place of [body, crumbs]) {
    place.addEventListener("dragover", (event) => {
      const target = targetOf(event);
      mark(target?.spot ?? null);
      if (target === null) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "move";
    });
    place.addEventListener("drop", (event) => {
      const target = targetOf(event);
      mark(null);
      if (target === null) return;
      event.preventDefault();
      drop(dragged, target.folder);
    });
    place.addEventListener("dragleave", () => mark(null));
  }
}

function mark(spot) {
  for (const marked of document.querySelectorAll(".drop")) if (marked !== spot) marked.classList.remove("drop");
  spot?.classList.add("drop");
}

function label(entries) {
  const text = entries.length === 1 ? entries[0].name : count(entries.length, "entry", "entries");
  const made = Object.assign(document.createElement("div"), { className: "badge", textContent: text });
  made.style.cssText = "position: fixed; top: -4rem; left: 0";
  document.body.append(made);
  setTimeout(() => made.remove());
  return made;
}
