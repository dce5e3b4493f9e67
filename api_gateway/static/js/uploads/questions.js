/** Asks about names that are taken, one after the other; one answer may count for all that were given at once. */

import { ask } from "../common/dialog.js";

const CHOICES = [
  { value: "skip", label: "Skip" },
  { value: "keep", label: "Keep both" },
  { value: "replace", label: "Replace", kind: "primary" },
];

export class Questions {
  #queue;
  #open = [];
  #isAsking = false;

  /** @param {import("./queue.js").Queue} queue */
  constructor(queue) {
    this.#queue = queue;
  }

  /** Ask about it, first of all that wait. @param {import("./upload.js").Upload} upload */
  async put(upload, isFirst = false) {
    if (isFirst) this.#open.unshift(upload);
    else this.#open.push(upload);
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#open.length > 0) await this.#ask(this.#open.shift());
    this.#isAsking = false;
  }

  async #ask(upload) {
    if (upload.state !== "asking") return;
    if (upload.batch.answer !== null) return this.#queue.answer(upload, upload.batch.answer);
    const answer = await ask({
      title: "Replace the file?",
      text: `There is a file “${upload.path}” already. The one that is there becomes an older version, or both are kept.`,
      choices: CHOICES,
      forAll: "Do the same for all others of these files",
    });
    // Closed without an answer: it stays in the list, with a button to choose.
    if (answer === null) return;
    if (answer.forAll) upload.batch.answer = answer.value;
    this.#queue.answer(upload, answer.value);
    if (answer.forAll) this.#answerAll(upload.batch);
  }

  #answerAll(batch) {
    const asking = this.#queue.uploads.filter((upload) => upload.batch === batch && upload.state === "asking");
    for (const upload of asking) this.#queue.answer(upload, batch.answer);
  }
}
