/** One upload's line in the list: made once, then brought up to date. */

import { button, element, icon } from "../common/dom.js";
import { bytes, duration, rate } from "../common/format.js";

const MAIN = {
  waiting: ["Pause", "pause"],
  sending: ["Pause", "pause"],
  retrying: ["Retry now", "restore"],
  paused: ["Resume", "play"],
  failed: ["Retry", "restore"],
  asking: ["Choose", "info"],
};
const WORDS = { waiting: "Waiting", paused: "Paused", done: "Stored", sending: "Being stored" };

export class Row {
  #name = element("span", { class: "upload-name" });
  #folder = element("span", { class: "upload-folder quiet-text" });
  #status = element("span", { class: "upload-status bar-text" });
  #bar = element("progress", { class: "bar", max: 100 });

  /** @param {import("./upload.js").Upload} upload @param {() => void} act @param {() => void} leave its two buttons */
  constructor(upload, act, leave) {
    this.upload = upload;
    this.main = button("", act, { kind: "quiet square" });
    this.leave = button("", leave, { kind: "quiet square", icon: "close" });
    const title = element("div", { class: "upload-title" }, this.#name, this.#folder);
    const buttons = element("div", { class: "upload-buttons" }, this.main, this.leave);
    const properties = { class: "upload", id: `upload-${upload.id}` };
    this.element = element("li", properties, title, this.#bar, this.#status, buttons);
  }

  update() {
    const { name, path, state, sent, size, isFinished } = this.upload;
    const status = statusOf(this.upload);
    this.element.dataset.state = state;
    write(this.#name, name);
    write(this.#folder, path.slice(0, path.lastIndexOf(name)));
    write(this.#status, status);
    this.#bar.value = percentOf(sent, size);
    this.#bar.hidden = isFinished;
    label(this.#bar, `Upload of ${name}`);
    this.#bar.setAttribute("aria-valuetext", status);
    label(this.leave, `${isFinished ? "Remove from the list:" : "Cancel"} ${name}`);
    this.#updateMain(MAIN[state], name);
  }

  #updateMain(action, name) {
    const { main } = this;
    if (!action && document.activeElement === main) this.leave.focus();
    main.hidden = !action;
    if (!action) return;
    if (main.dataset.icon !== action[1]) main.replaceChildren(icon(action[1]));
    main.dataset.icon = action[1];
    label(main, `${action[0]} ${name}`);
  }
}

function statusOf({ state, sent, size, speed, note }) {
  if (state === "done") return `${note || WORDS.done}, ${bytes(size)}`;
  if (note) return note;
  if (sent === 0 || (state === "sending" && sent === size)) return WORDS[state];
  return state === "sending" ? progress(sent, size, speed) : `${WORDS[state]}, ${progress(sent, size)}`;
}

/** @type {(sent: number, size: number) => number} */
export const percentOf = (sent, size) => (size > 0 ? Math.floor((100 * sent) / size) : 0);

/**
 * Such as "45 %, 4.5 MB of 10 MB, 1.0 MB/s, 6 s left".
 * @param {number} sent @param {number} size @param {import("./speed.js").SpeedMeter|null} [speed]
 * @returns {string}
 */
export function progress(sent, size, speed = null) {
  const done = `${percentOf(sent, size)} %, ${bytes(sent)} of ${bytes(size)}`;
  const left = speed?.secondsLeft(size - sent) ?? null;
  return left === null ? done : `${done}, ${rate(speed.bytesPerSecond)}, ${duration(left)} left`;
}

/** Writes only what changed: each write costs layout. @param {Node} node @param {string} text */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function label(node, text) {
  if (node.getAttribute("aria-label") === text) return;
  node.setAttribute("aria-label", text);
  if (node.tagName === "BUTTON") node.title = text;
}
