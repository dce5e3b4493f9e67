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

  /** Ask about it when those before it are answered. @param {import("./upload.js").Upload} upload */
  async put(upload) {
    this.#open.push(upload);
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#open.length > 0) await this.#ask(this.#open.shift());
    this.#isAsking = false;
  }

  async #ask(upload) {
    const { batch } = upload;
    if (upload.state !== "asking") return;
    const answer = await ask({
      title: "Replace the file?",
      text: `“${upload.path}” is there already. To replace it keeps it as an older version for a while.`,
      choices: CHOICES,
      forAll: "Do the same for all others of these files",
    });
    // Closed without an answer: this one and all others stay in the list, each with a button to choose.
    if (answer === null) return this.#open.splice(0);
    if (!answer.forAll) return this.#queue.answer(upload, answer.value);
    batch.answer = answer.value;
    for (const one of this.#queue.uploads) if (one.batch === batch) this.#queue.answer(one, batch.answer);
  }
}
