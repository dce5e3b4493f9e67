/** Questions and panels on <dialog>: the browser holds the focus inside and gives it back afterwards. */

import { button, element, icon } from "./dom.js";

let number = 0;

/**
 * Show a modal dialog.
 *
 * @param {{title: string, content: (Node|string)[], buttons?: Node[], kind?: "question"|"panel", onclose?: () => void}}
 *   shape kind "panel" stands at the side, or fills a phone
 * @returns {{element: HTMLDialogElement, close: () => void, closed: Promise<void>}}
 */
export function openDialog({ title, content, buttons = [], kind = "question", onclose }) {
  number += 1;
  const heading = element("h2", { id: `dialog-title-${number}` }, title);
  const leave = element(
    "button",
    { type: "button", class: "button quiet square", "aria-label": "Close", onclick: () => dialog.close() },
    icon("close"),
  );
  const dialog = element(
    "dialog",
    { class: `dialog ${kind}`, "aria-labelledby": heading.id },
    element("header", { class: "dialog-head" }, heading, leave),
    element("div", { class: "dialog-body" }, ...content),
    buttons.length ? element("footer", { class: "dialog-foot" }, ...buttons) : null,
  );
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      bringNotes();
      dialog.remove();
      onclose?.();
      resolve();
    });
  });
  // A click beside the dialog hits the dialog element itself.
  dialog.addEventListener("mousedown", (event) => {
    if (event.target === dialog && kind === "panel") dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  bringNotes();
  return { element: dialog, close: () => dialog.close(), closed };
}

/** Behind a modal dialog nothing is seen, pressed or read out: notes and the live region stand in the topmost one. */
function bringNotes() {
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  for (const id of ["live", "toasts"]) {
    const notes = document.getElementById(id);
    if (notes !== null) top.append(notes);
  }
}

/**
 * Ask to choose.
 *
 * @param {{title: string, text: string|Node, choices: {value: string, label: string, kind?: string}[],
 *   forAll?: string}} question forAll: the label of a checkbox, if there is to be one
 * @returns {Promise<{value: string, forAll: boolean}|null>} null when it was closed without an answer
 */
export async function ask({ title, text, choices, forAll = "" }) {
  let answer = null;
  const box = element("input", { type: "checkbox" });
  const made = choices.map(({ value, label, kind }) =>
    button(
      label,
      () => {
        answer = { value, forAll: box.checked };
        dialog.close();
      },
      { kind },
    ),
  );
  const cancel = button("Cancel", () => dialog.close());
  const dialog = openDialog({
    title,
    content: [element("p", {}, text), forAll ? element("label", { class: "check" }, box, forAll) : ""],
    buttons: [cancel, ...made],
  });
  // What destroys is never one careless press of Enter away.
  (choices[0]?.kind === "danger" ? cancel : made[0]).focus();
  await dialog.closed;
  return answer;
}

/**
 * Ask for a line of text.
 *
 * @param {{title: string, label: string, value?: string, action: string, select?: number,
 *   check?: (text: string) => string}} question check: what is wrong with the text, or ""; select: how many letters
 * @returns {Promise<string|null>}
 */
export async function askText({ title, label, value = "", action, select = value.length, check = () => "" }) {
  let answer = null;
  const problem = element("p", { class: "problem", id: "ask-problem", role: "alert" });
  const field = element("input", { type: "text", id: "ask-text", autocomplete: "off", spellcheck: "false" });
  field.value = value;
  const form = element(
    "form",
    { method: "dialog", id: "ask-form" },
    element("label", { for: "ask-text" }, label),
    field,
    problem,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.textContent = check(field.value);
    field.toggleAttribute("aria-invalid", problem.textContent !== "");
    if (problem.textContent === "") {
      answer = field.value;
      dialog.close();
    } else {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", "ask-problem");
      field.focus();
    }
  });
  const dialog = openDialog({
    title,
    content: [form],
    buttons: [
      button("Cancel", () => dialog.close()),
      element("button", { type: "submit", form: "ask-form", class: "button primary" }, action),
    ],
  });
  field.focus();
  field.setSelectionRange(0, select);
  await dialog.closed;
  return answer;
}
