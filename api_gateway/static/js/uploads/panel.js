/** The card with all uploads: the total, what can be done with all, and the rows. */

import { announce } from "../common/announce.js";
import { byId } from "../common/dom.js";
import { count, duration, rate } from "../common/format.js";
import { progress, Row, write } from "./row.js";
import { SpeedMeter } from "./speed.js";
import { shownOf, totalOf } from "./window.js";

const REFRESH_MS = 250;
const UNFINISHED = ["waiting", "sending", "retrying", "asking"];
const LEFT = { open: "paused or failed", waiting: "waiting", finished: "finished" };

export class Panel {
  #queue;
  #choose;
  #rows = new Map();
  #timer = 0;
  #speed = new SpeedMeter();
  #section = byId("uploads");
  #list = byId("uploads-list");
  #total = byId("uploads-total");
  #bar = byId("uploads-bar");
  #more = byId("uploads-more");
  #buttons = {};

  /** @param {import("./queue.js").Queue} queue @param {(upload: Upload) => void} choose asks about a name */
  constructor(queue, choose) {
    this.#queue = queue;
    this.#choose = choose;
    this.#on("pause", () => (queue.pauseAll(), announce("All uploads are paused.")));
    this.#on("resume", () => (queue.resumeAll(), announce("The uploads go on.")));
    this.#on("cancel", () => (queue.cancelAll(), announce("All uploads are cancelled.")));
    this.#on("clear", () => queue.clearFinished());
    addEventListener("beforeunload", (event) => {
      if (this.isBusy) event.preventDefault();
    });
  }

  /** Whether leaving the page would stop something. */
  get isBusy() {
    return this.#queue.uploads.some(({ state }) => UNFINISHED.includes(state));
  }

  /** Bring it up to date soon: a timer, for a page in the background draws nothing but shows its title. */
  refresh() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#update();
      // What is sent stands still when the connection does; the speed has to fall all the same.
      if (this.#queue.uploads.some((upload) => upload.isRunning)) this.refresh();
    }, REFRESH_MS);
  }

  #on(name, run) {
    const button = byId(`uploads-${name}`);
    this.#buttons[name] = button;
    button.addEventListener("click", () => {
      run();
      this.#update();
      if (button.hidden) byId("uploads-title").focus();
    });
  }

  #update() {
    const { uploads } = this.#queue;
    this.#section.hidden = uploads.length === 0;
    for (const upload of uploads) if (upload.isRunning) upload.speed.note(upload.sent);
    this.#speed.note(this.#queue.moved);
    this.#updateRows();
    const total = totalOf(uploads);
    this.#updateTotal(total);
    this.#updateButtons((...states) => states.some((state) => total.counts[state]));
  }

  #updateTotal({ counts, size, sent }) {
    const files = this.#queue.uploads.length - (counts.cancelled ?? 0);
    const left = counts.sending ? this.#speed.secondsLeft(size - sent) : null;
    const pace = left === null ? "" : `, ${rate(this.#speed.bytesPerSecond)}, ${duration(left)} left`;
    write(this.#total, `${counts.done ?? 0} of ${count(files, "file")} stored. ${progress(sent, size)}${pace}`);
    const percent = size > 0 ? Math.floor((100 * sent) / size) : 100;
    this.#bar.value = percent;
    this.#bar.setAttribute("aria-valuetext", `${percent} %`);
    this.#bar.hidden = !this.isBusy;
    showInTitle(this.isBusy ? percent : null);
  }

  #updateButtons(isAny) {
    const { pause, resume, cancel, clear } = this.#buttons;
    pause.hidden = !isAny("waiting", "sending", "retrying");
    resume.hidden = !isAny("paused", "failed");
    write(resume, isAny("paused") ? "Resume all" : "Retry failed");
    cancel.hidden = !isAny("paused", "failed", ...UNFINISHED);
    clear.hidden = !isAny("done", "cancelled");
  }

  #updateRows() {
    const { rows, left } = shownOf(this.#queue.uploads);
    const wanted = new Set(rows);
    for (const [upload, row] of this.#rows) if (!wanted.has(upload)) this.#drop(upload, row);
    rows.forEach((upload, index) => {
      const row = this.#rowOf(upload);
      row.update();
      this.#place(row.element, index);
    });
    const words = Object.entries(left).filter(([, number]) => number > 0);
    const text = words.map(([group, number]) => `${number.toLocaleString("en")} ${LEFT[group]}`).join(", ");
    write(this.#more, text && `And ${text}.`);
  }

  /** An element that is moved loses the focus. */
  #place(row, index) {
    if (this.#list.children[index] === row) return;
    const focused = row.contains(document.activeElement) ? document.activeElement : null;
    this.#list.insertBefore(row, this.#list.children[index] ?? null);
    focused?.focus();
  }

  #rowOf(upload) {
    if (!this.#rows.has(upload)) {
      const actions = { main: (one) => this.#act(one), leave: (one) => this.#leave(one) };
      this.#rows.set(upload, new Row(upload, actions));
    }
    return this.#rows.get(upload);
  }

  #drop(upload, row) {
    const hadFocus = row.element.contains(document.activeElement);
    row.element.remove();
    this.#rows.delete(upload);
    if (hadFocus) byId("uploads-title").focus();
  }

  #act(upload) {
    if (upload.state === "asking") return this.#choose(upload);
    if (upload.state === "waiting" || upload.state === "sending") this.#queue.pause(upload);
    else this.#queue.resume(upload);
    this.#update();
  }

  #leave(upload) {
    if (upload.isFinished) this.#queue.clearFinished(upload);
    else this.#queue.cancel(upload);
    this.#update();
  }
}

/** The folder's title stands behind the percentage, whoever changes it. */
function showInTitle(percent) {
  const title = document.title.replace(/^\d+ % · /, "");
  const wanted = percent === null ? title : `${percent} % · ${title}`;
  if (document.title !== wanted) document.title = wanted;
}
