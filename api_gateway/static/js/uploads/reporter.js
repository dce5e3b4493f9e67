/** Tells screen readers what became of uploads: seldom, and in sum. */

import { announce } from "../common/announce.js";
import { count } from "../common/format.js";

const TOGETHER_MS = 2000;

export class Reporter {
  #news = { stored: [], failed: [] };
  #timer = 0;

  /** @param {"stored"|"failed"} what @param {string} name */
  note(what, name) {
    this.#news[what].push(name);
    this.#timer ||= setTimeout(() => this.#say(), TOGETHER_MS);
  }

  #say() {
    const told = Object.entries(this.#news).filter(([, names]) => names.length > 0);
    const nameOf = (names) => (names.length === 1 ? names[0] : count(names.length, "file"));
    announce(told.map(([what, names]) => `${nameOf(names)} ${what}.`).join(" "));
    this.#news = { stored: [], failed: [] };
    this.#timer = 0;
  }
}
