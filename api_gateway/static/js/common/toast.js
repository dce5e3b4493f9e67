/** Short notes at the foot of the page, said to screen readers too, with one thing to do about them. */

import { announce } from "./announce.js";
import { button, element, icon } from "./dom.js";

/**
 * Show a note. It goes by itself, but never while the pointer or the focus is on it; an error stays until it is closed.
 *
 * @param {string} text
 * @param {{kind?: ""|"error", action?: {label: string, run: () => void}, seconds?: number}} [options]
 * @returns {{close: () => void, update: (text: string) => void}}
 */
export function toast(text, { kind = "", action, seconds = action ? 20 : 6 } = {}) {
  const words = element("span", { class: "toast-text" }, text);
  const close = () => note.remove();
  const act = action && button(action.label, () => (close(), action.run()), { kind: "quiet" });
  const leave = element(
    "button",
    { type: "button", class: "button quiet square", "aria-label": "Dismiss", onclick: close },
    icon("close"),
  );
  const note = element("div", { class: `toast ${kind}`.trim() }, words, act ?? null, leave);
  place().append(note);
  announce(action ? `${text} ${action.label} is at the end of the page.` : text);
  if (kind !== "error") leaveAfter(note, seconds);
  return {
    close,
    update: (changed) => {
      words.textContent = changed;
    },
  };
}

function place() {
  const found = document.getElementById("toasts");
  if (found !== null) return found;
  const made = element("section", { id: "toasts", class: "toasts", "aria-label": "Notes" });
  document.body.append(made);
  return made;
}

function leaveAfter(note, seconds) {
  let timer = 0;
  const begin = () => {
    timer = setTimeout(() => note.remove(), seconds * 1000);
  };
  const hold = () => clearTimeout(timer);
  for (const event of ["pointerenter", "focusin"]) note.addEventListener(event, hold);
  for (const event of ["pointerleave", "focusout"]) note.addEventListener(event, () => (hold(), begin()));
  begin();
}
