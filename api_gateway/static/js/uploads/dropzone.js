/** Where files come from: the whole page as a place to drop them, paste, and buttons. */

import { byId } from "../common/dom.js";
import { chosen, dropped } from "./sources.js";

/** @typedef {(batches: AsyncGenerator<import("./sources.js").Entry[]>) => void} Take */

/** @param {Take} take @param {(path: string) => void} onUnreadable */
export function openDropzone(take, onUnreadable) {
  watchDrops((transfer) => take(dropped(transfer, onUnreadable)));
  addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData?.files.length) take(chosen(clipboardData.files));
  });
  for (const kind of ["files", "folder"]) watchInput(byId(`choose-${kind}`), byId(`input-${kind}`), take);
}

/**
 * A button that stands for a hidden input.
 * @param {HTMLElement} button @param {HTMLInputElement} input @param {Take} take
 */
export function watchInput(button, input, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = Array.from(input.files);
    // So that the same file can be chosen again, and the input does not hold on to them.
    input.value = "";
    take(chosen(files));
  });
}

function watchDrops(take) {
  const veil = byId("drop-here");
  // Not the page's own rows, which can be dragged too; and nothing goes on behind a dialog.
  const isOurs = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  const isFree = () => !document.querySelector("dialog[open]");
  addEventListener("dragover", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = isFree() ? "copy" : "none";
    if (veil.hidden) veil.querySelector("span").textContent = document.body.dataset.prefix?.slice(0, -1) || "All files";
    veil.hidden = !isFree();
  });
  addEventListener("dragleave", (event) => {
    // Elements are left all the time; only the window is left for nothing.
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!isOurs(event)) return;
    event.preventDefault();
    if (isFree()) take(event.dataTransfer);
  });
}
