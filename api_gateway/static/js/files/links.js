/** Addresses of a file to pass on: its plain one, or one that needs no key for some time. */

import { explain, fsPath, request } from "../common/api.js";
import { button, element } from "../common/dom.js";
import { dateTime } from "../common/format.js";
import { toast } from "../common/toast.js";

const TIMES = [
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["604800", "7 days"],
];

/**
 * Put a text on the clipboard.
 *
 * @param {string} text
 * @param {string} what it is, for the note about it
 */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied.`);
  } catch {
    // Pages without TLS may not write to the clipboard: the text is shown, selected, to be copied by hand.
    const field = element("input", { type: "text", readonly: true, "aria-label": `${what}, to be copied` });
    field.value = text;
    const place = document.querySelector("dialog[open] .dialog-body") ?? document.body;
    place.prepend(field);
    field.select();
    field.addEventListener("blur", () => field.remove());
    const isCopied = document.execCommand("copy");
    toast(isCopied ? `${what} copied.` : `${what} is selected: copy it with Ctrl+C.`);
    if (isCopied) field.remove();
  }
}

/**
 * What offers a file's addresses.
 *
 * @param {import("./entries.js").Entry} file
 * @returns {HTMLElement}
 */
export function linkSection(file) {
  const section = element("section", { "aria-label": "Link" }, element("h3", {}, "Link"));
  const plain = button("Copy link", () => copy(location.origin + fsPath(file.path), "Link"), { icon: "link" });
  section.append(element("div", { class: "toolbar" }, plain));
  if (!("signedIn" in document.body.dataset)) return section;
  const time = element("select", { id: "link-time" }, ...TIMES.map(([value, text]) => element("option", { value }, text)));
  const make = button("Copy a link without key", () => copySigned(file, Number(time.value)), { icon: "link" });
  section.append(
    element("div", { class: "field" }, element("label", { for: "link-time" }, "For people without a key, valid for"), time),
    make,
  );
  return section;
}

async function copySigned(file, seconds) {
  try {
    const made = await request("POST", "/links", { body: { path: file.path, method: "GET", seconds } });
    await copy(made.url, `Link, valid until ${dateTime(made.expires_at)},`);
  } catch (error) {
    toast(explain(error), { kind: "error" });
  }
}
