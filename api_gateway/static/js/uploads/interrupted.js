/** Says which uploads stopped when the page was left, and takes the same files again. */

import { byId, element } from "../common/dom.js";
import { count } from "../common/format.js";
import { watchInput } from "./dropzone.js";
import { held } from "./locks.js";
import { progress } from "./row.js";
import { terminate } from "./tus.js";

const MOST_NAMED = 5;

export class Interrupted {
  #memory;
  #queue;
  #notice = byId("interrupted");

  /**
   * @param {import("./memory.js").Memory} memory @param {import("./queue.js").Queue} queue
   * @param {(entries: import("./sources.js").Entry[], others: number) => void} take what was chosen of them, with the
   *   paths as they were wanted; others: how many files were chosen that are none of these
   */
  constructor(memory, queue, take) {
    this.#memory = memory;
    this.#queue = queue;
    watchInput(byId("interrupted-choose"), byId("input-interrupted"), async (batches) => {
      for await (const entries of batches) await this.#match(entries, take);
    });
    byId("interrupted-forget").addEventListener("click", () => this.#forget());
    // Other tabs begin and end uploads too.
    addEventListener("storage", () => this.refresh());
  }

  /** The queue has more: what is shown may be among it. */
  changed() {
    if (!this.#notice.hidden) this.refresh();
  }

  async refresh() {
    const entries = [...(await this.#unfinished()).values()].sort((a, b) => b.sent - a.sent || (a.path < b.path ? -1 : 1));
    const was = entries.length === 1 ? "was" : "were";
    const lines = entries.slice(0, MOST_NAMED).map(lineOf);
    if (entries.length > MOST_NAMED) lines.push(`and ${(entries.length - MOST_NAMED).toLocaleString("en")} more`);
    byId("interrupted-title").textContent = `${count(entries.length, "upload")} ${was} interrupted`;
    byId("interrupted-list").replaceChildren(...lines.map((line) => element("li", {}, line)));
    this.#notice.hidden = entries.length === 0;
  }

  /** Without those that this tab has in its queue, or another one is sending. */
  async #unfinished() {
    const taken = await held();
    for (const { print } of this.#queue.uploads) taken.add(print);
    return new Map([...this.#memory.all()].filter(([print]) => !taken.has(print)));
  }

  async #match(chosen, take) {
    const known = [...(await this.#unfinished()).values()];
    const isSame = (one, file) => ["name", "size", "lastModified"].every((field) => one[field] === file[field]);
    // One file may have been on its way to several places.
    const found = chosen.map(({ file }) => {
      return known.filter((one) => isSame(one, file)).map(({ wanted }) => ({ path: wanted, file }));
    });
    take(found.flat(), found.filter((entries) => entries.length === 0).length);
  }

  async #forget() {
    for (const [print, { url }] of await this.#unfinished()) {
      this.#memory.drop(print);
      if (url !== null) terminate(url);
    }
    await this.refresh();
    byId("main").focus();
  }
}

function lineOf({ url, path, sent, size }) {
  return `${path}: ${url === null ? "not begun" : progress(sent, size)}`;
}
