/** The card with all uploads: the total, what can be done with all, and the rows. */

import { announce } from "../common/announce.js";
import { byId } from "../common/dom.js";
import { count, duration, rate } from "../common/format.js";
import { progress, Row, write } from "./row.js";
import { SpeedMeter } from "./speed.js";
import { countStates, shownOf } from "./window.js";

const REFRESH_MS = 250;
const UNFINISHED = ["waiting", "sending", "retrying", "asking"];
const LEFT = { waiting: "waiting", done: "stored", failed: "failed", paused: "paused", cancelled: "cancelled" };

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
    const counts = countStates(uploads);
    this.#section.hidden = uploads.length === 0;
    this.#updateRows();
    this.#updateTotal(uploads, counts);
    const isAny = (...states) => states.some((state) => counts[state]);
    this.#buttons.pause.hidden = !isAny("waiting", "sending", "retrying");
    this.#buttons.resume.hidden = !isAny("paused", "failed");
    write(this.#buttons.resume, counts.failed && !counts.paused ? "Retry failed" : "Resume all");
    this.#buttons.cancel.hidden = !isAny("paused", "failed", ...UNFINISHED);
    this.#buttons.clear.hidden = !isAny("done", "cancelled");
  }

  #updateTotal(uploads, counts) {
    let size = 0;
    let sent = 0;
    for (const upload of uploads) {
      if (upload.state === "cancelled") continue;
      size += upload.size;
      sent += upload.sent;
      if (upload.isRunning) upload.speed.note(upload.sent);
    }
    this.#speed.note(this.#queue.moved);
    const isRunning = UNFINISHED.some((state) => counts[state]);
    const percent = size > 0 ? Math.floor((100 * sent) / size) : 100;
    const stored = `${(counts.done ?? 0).toLocaleString("en")} of ${count(uploads.length - (counts.cancelled ?? 0), "file")} stored`;
    const left = counts.sending ? this.#speed.secondsLeft(size - sent) : null;
    const pace = left === null ? "" : `, ${rate(this.#speed.bytesPerSecond)}, ${duration(left)} left`;
    write(this.#total, `${stored}. ${progress(sent, size)}${pace}`);
    this.#bar.value = percent;
    this.#bar.setAttribute("aria-valuetext", `${percent} %`);
    this.#bar.hidden = !isRunning;
    showInTitle(isRunning ? percent : null);
  }

  #updateRows() {
    const { rows, left } = shownOf(this.#queue.uploads);
    const wanted = new Set(rows);
    for (const [upload, row] of this.#rows) if (!wanted.has(upload)) this.#drop(upload, row);
    let before = null;
    for (const upload of rows) {
      const row = this.#rowOf(upload);
      row.update();
      const place = before === null ? this.#list.firstElementChild : before.nextElementSibling;
      if (place !== row.element) this.#list.insertBefore(row.element, place);
      before = row.element;
    }
    const words = Object.entries(left).map(([state, number]) => `${number.toLocaleString("en")} ${LEFT[state] ?? state}`);
    write(this.#more, words.length ? `And ${words.join(", ")}.` : "");
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
