/** Where files come from: the whole page as a place to drop them, paste, and the two buttons. */

import { byId } from "../common/dom.js";
import { chosen, dropped } from "./sources.js";

/**
 * @param {(entries: AsyncGenerator<import("./sources.js").Entry[]>) => void} take
 * @param {(path: string) => void} onUnreadable
 */
export function openDropzone(take, onUnreadable) {
  watchDrops((transfer) => take(dropped(transfer, onUnreadable)));
  addEventListener("paste", (event) => {
    const files = event.clipboardData?.files ?? [];
    if (files.length > 0) take(chosen(files));
  });
  for (const kind of ["files", "folder"]) watchInput(byId(`choose-${kind}`), byId(`input-${kind}`), take);
}

/**
 * A button that stands for a hidden input of files.
 * @param {HTMLElement} button @param {HTMLInputElement} input
 * @param {(entries: AsyncGenerator<import("./sources.js").Entry[]>) => void} take
 */
export function watchInput(button, input, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const entries = chosen(input.files);
    // So that the same file can be chosen again, and the input does not hold on to them.
    input.value = "";
    take(entries);
  });
}

function watchDrops(take) {
  const overlay = byId("drop-here");
  const show = (isOver) => {
    overlay.hidden = !isOver;
  };
  addEventListener("dragover", (event) => {
    if (!hasFiles(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    show(true);
  });
  addEventListener("dragleave", (event) => {
    // Elements are left all the time; only the window is left for nothing.
    if (event.relatedTarget === null) show(false);
  });
  addEventListener("drop", (event) => {
    show(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (!document.querySelector("dialog[open]")) take(event.dataTransfer);
  });
}

/** Not the page's own rows, which can be dragged too. */
function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
