/** One upload's line in the list: made once, then brought up to date. */

import { button, element, icon } from "../common/dom.js";
import { bytes, duration, rate } from "../common/format.js";

const MAIN = { waiting: "Pause", sending: "Pause", retrying: "Retry now", paused: "Resume", failed: "Retry", asking: "Choose" };
const ICONS = { Pause: "pause", Resume: "play", Retry: "restore", "Retry now": "restore", Choose: "info" };
const WORDS = { waiting: "Waiting", paused: "Paused", done: "Stored", cancelled: "Cancelled" };

export class Row {
  /**
   * @param {import("./upload.js").Upload} upload
   * @param {{main: (upload: Upload) => void, leave: (upload: Upload) => void}} actions main: what its first button does
   */
  constructor(upload, actions) {
    this.upload = upload;
    this.name = element("span", { class: "upload-name" });
    this.folder = element("span", { class: "upload-folder quiet-text" });
    this.status = element("span", { class: "upload-status bar-text" });
    this.bar = element("progress", { class: "bar", max: 100 });
    this.main = button("", () => actions.main(upload), { kind: "quiet square" });
    this.leave = button("", () => actions.leave(upload), { kind: "quiet square", icon: "close" });
    this.element = element(
      "li",
      { class: "upload", id: `upload-${upload.id}` },
      element("div", { class: "upload-title" }, this.name, this.folder),
      this.bar,
      this.status,
      element("div", { class: "upload-buttons" }, this.main, this.leave),
    );
    this.update();
  }

  update() {
    const { upload } = this;
    this.element.dataset.state = upload.state;
    write(this.name, upload.name);
    write(this.folder, upload.path.slice(0, upload.path.lastIndexOf(upload.name)));
    const status = statusOf(upload);
    write(this.status, status);
    const percent = upload.size > 0 ? Math.floor((100 * upload.sent) / upload.size) : 0;
    this.bar.value = upload.state === "done" ? 100 : percent;
    this.bar.hidden = upload.isFinished;
    label(this.bar, `Upload of ${upload.name}`);
    this.bar.setAttribute("aria-valuetext", status);
    this.#updateButtons();
  }

  #updateButtons() {
    const { upload, main, leave } = this;
    const action = MAIN[upload.state];
    const hadFocus = document.activeElement === main;
    main.hidden = action === undefined;
    if (main.hidden && hadFocus) leave.focus();
    if (action && main.dataset.action !== action) {
      main.dataset.action = action;
      main.replaceChildren(icon(ICONS[action]));
    }
    label(main, `${action} ${upload.name}`);
    label(leave, `${upload.isFinished ? "Remove from the list:" : "Cancel"} ${upload.name}`);
  }
}

function statusOf(upload) {
  const { state, sent, size, speed, note } = upload;
  if (state === "failed" || state === "asking" || state === "retrying") return note;
  if (state === "done") return `${note || WORDS.done}, ${bytes(size)}`;
  if (state !== "sending") return note || (sent > 0 ? `${WORDS[state]}, ${progress(sent, size)}` : WORDS[state]);
  const left = speed.secondsLeft(size - sent);
  const pace = left === null ? "" : `, ${rate(speed.bytesPerSecond)}, ${duration(left)} left`;
  return sent === size ? "Being stored" : progress(sent, size) + pace;
}

/** @param {number} sent @param {number} size @returns {string} such as "45 %, 4.5 MB of 10 MB" */
export function progress(sent, size) {
  const percent = size > 0 ? Math.floor((100 * sent) / size) : 0;
  return `${percent} %, ${bytes(sent)} of ${bytes(size)}`;
}

/** Writes only what changed: each write costs layout, and may be read aloud. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function label(node, text) {
  if (node.getAttribute("aria-label") !== text) {
    node.setAttribute("aria-label", text);
    if (node.tagName === "BUTTON") node.title = text;
  }
}
