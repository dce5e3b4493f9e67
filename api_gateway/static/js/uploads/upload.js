/** One entry of the queue: what is to go where, how far it is, and in which state. Sends nothing itself. */

import { fingerprint } from "./memory.js";
import { SpeedMeter } from "./speed.js";
import { isFinished, isRunning, mayFollow } from "./states.js";

/**
 * What was given at once, by one drop or one choice. answer: what to do about every name in it that is taken, once the
 * person said so for all.
 * @typedef {{answer: "replace"|"keep"|"skip"|null}} Batch
 */

export class Upload {
  state = "waiting";
  /** Why it waits, failed or was left out, in a sentence. */
  note = "";
  sent = 0;
  /** Where it goes on, while the server keeps it. @type {string|null} */
  url = null;
  /** Until when, in ms since 1970. */
  expires = 0;
  mayReplace = false;
  /** How many names beside the wanted one were tried. */
  renames = 0;
  speed = new SpeedMeter();
  /** There while its requests are under way. @type {AbortController|null} */
  abort = null;
  /** @type {import("./tus.js").Transfer|null} */
  transfer = null;

  /** @param {number} id @param {import("./sources.js").Entry} entry @param {Batch} batch */
  constructor(id, { path, file }, batch) {
    this.id = id;
    this.path = path;
    this.wanted = path;
    this.file = file;
    this.size = file?.size ?? 0;
    /** Null for a folder. */
    this.print = file && fingerprint(path, file);
    this.batch = batch;
  }

  /** @param {string} state @param {string} [note] */
  become(state, note = "") {
    if (this.state !== state && !this.may(state)) throw new Error(`an upload cannot go from ${this.state} to ${state}`);
    this.state = state;
    this.note = note;
    // What is finished is shown for long: the file itself is not needed any more.
    if (this.isFinished) this.file = null;
  }

  /** What the server holds, as it said. @param {number} bytes */
  startFrom(bytes) {
    this.sent = bytes;
    this.speed.restart(bytes);
  }

  /** @param {string} state */
  may(state) {
    return mayFollow(this.state, state);
  }

  get isRunning() {
    return isRunning(this.state);
  }

  get isFinished() {
    return isFinished(this.state);
  }

  get name() {
    return this.path.replace(/\/$/, "").split("/").pop();
  }
}
