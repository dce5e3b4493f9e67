/** Says what became of uploads, to the eye where nobody looks at the list and to screen readers: seldom, and in sum. */

import { announce } from "../common/announce.js";
import { count } from "../common/format.js";

const TOGETHER_MS = 2000;

export class Reporter {
  #stored = [];
  #failed = [];
  #timer = 0;

  /** @param {import("./upload.js").Upload} upload */
  stored(upload) {
    this.#note(this.#stored, upload.name);
  }

  /** @param {import("./upload.js").Upload} upload */
  failed(upload) {
    this.#note(this.#failed, `${upload.name}: ${upload.note}`);
  }

  #note(names, name) {
    names.push(name);
    this.#timer ||= setTimeout(() => this.#say(), TOGETHER_MS);
  }

  #say() {
    const stored = inSum(this.#stored, (name) => `${name} is stored.`, (files) => `${files} are stored.`);
    const failed = inSum(this.#failed, (text) => `Failed: ${text}`, (files) => `${files} failed.`);
    announce([stored, failed].filter(Boolean).join(" "));
    this.#stored = [];
    this.#failed = [];
    this.#timer = 0;
  }
}

function inSum(names, one, many) {
  if (names.length === 0) return "";
  return names.length === 1 ? one(names[0]) : many(count(names.length, "file"));
}
