/** The card with all uploads: the total, what can be done with all, and the rows. */

import { announce } from "../common/announce.js";
import { byId } from "../common/dom.js";
import { count } from "../common/format.js";
import { percentOf, progress, Row, write } from "./row.js";
import { SpeedMeter } from "./speed.js";
import { shownOf, totalOf } from "./window.js";

const REFRESH_MS = 250;
const UNFINISHED = ["waiting", "sending", "retrying", "asking"];
const LEFT = { open: "paused or failed", waiting: "waiting", finished: "finished" };

export class Panel {
  #queue;
  #choose;
  /** @type {Map<Upload, Row>} */
  #rows = new Map();
  #timer = 0;
  #speed = new SpeedMeter();
  #list = byId("uploads-list");
  #bar = byId("uploads-bar");
  #buttons = {};

  /** @param {import("./queue.js").Queue} queue @param {(upload: Upload) => void} choose asks about a name */
  constructor(queue, choose) {
    this.#queue = queue;
    this.#choose = choose;
    // From the end: what waits must not start in the place of what was just stopped.
    this.#on("pause", () => this.#each(queue.uploads.toReversed(), "pause", "All uploads are paused."));
    this.#on("resume", () => this.#each(queue.uploads, "resume", "The uploads go on."));
    this.#on("cancel", () => this.#each(queue.uploads.toReversed(), "cancel", "All uploads are cancelled."));
    this.#on("clear", () => queue.clearFinished());
    addEventListener("beforeunload", (event) => {
      if (this.#isBusy) event.preventDefault();
    });
  }

  /** Bring it up to date soon. By a timer: a page in the background draws nothing, but shows its title. */
  refresh() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#update();
      // What is sent stands still when the connection does; the speed has to fall all the same.
      if (this.#isBusy) this.refresh();
    }, REFRESH_MS);
  }

  /** Whether leaving the page would stop something. */
  get #isBusy() {
    return this.#queue.uploads.some(({ state }) => UNFINISHED.includes(state));
  }

  #on(name, run) {
    const button = (this.#buttons[name] = byId(`uploads-${name}`));
    button.addEventListener("click", () => {
      run();
      this.#update();
      if (button.hidden) byId("uploads-title").focus();
    });
  }

  #each(uploads, action, words) {
    for (const upload of uploads) this.#queue[action](upload);
    announce(words);
  }

  #update() {
    const { uploads, moved } = this.#queue;
    byId("uploads").hidden = uploads.length === 0;
    for (const upload of uploads) if (upload.isRunning) upload.speed.note(upload.sent);
    this.#speed.note(moved);
    this.#updateRows();
    const total = totalOf(uploads);
    this.#updateTotal(total);
    this.#updateButtons((...states) => states.some((state) => total.counts[state]));
  }

  #updateTotal({ counts, size, sent }) {
    const files = this.#queue.uploads.length - (counts.cancelled ?? 0);
    const words = progress(sent, size, counts.sending ? this.#speed : null);
    write(byId("uploads-total"), `${(counts.done ?? 0).toLocaleString("en")} of ${count(files, "file")} stored. ${words}`);
    const percent = percentOf(sent, size);
    this.#bar.value = percent;
    this.#bar.setAttribute("aria-valuetext", `${percent} %`);
    this.#bar.hidden = !this.#isBusy;
    showInTitle(this.#isBusy ? `${percent} % · ` : "");
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
      const row = this.#rows.get(upload) ?? this.#add(upload);
      row.update();
      this.#place(row.element, index);
    });
    const groups = Object.keys(left).filter((group) => left[group] > 0);
    const words = groups.map((group) => `${left[group].toLocaleString("en")} ${LEFT[group]}`);
    write(byId("uploads-more"), words.length ? `And ${words.join(", ")}.` : "");
  }

  #add(upload) {
    const row = new Row(upload, () => this.#act(upload), () => this.#leave(upload));
    this.#rows.set(upload, row);
    return row;
  }

  /** An element that is moved loses the focus. */
  #place(row, index) {
    const there = this.#list.children[index] ?? null;
    if (there === row) return;
    const focused = row.contains(document.activeElement) ? document.activeElement : null;
    this.#list.insertBefore(row, there);
    focused?.focus();
  }

  #drop(upload, row) {
    if (row.element.contains(document.activeElement)) byId("uploads-title").focus();
    row.element.remove();
    this.#rows.delete(upload);
  }

  #act(upload) {
    if (upload.state === "asking") return this.#choose(upload);
    this.#queue[upload.state === "waiting" || upload.state === "sending" ? "pause" : "resume"](upload);
    this.#update();
  }

  #leave(upload) {
    this.#queue[upload.isFinished ? "clearFinished" : "cancel"](upload);
    this.#update();
  }
}

/** The folder's title stands behind it, whoever changes that. */
function showInTitle(progress) {
  const title = progress + document.title.replace(/^\d+ % · /, "");
  if (document.title !== title) document.title = title;
}
