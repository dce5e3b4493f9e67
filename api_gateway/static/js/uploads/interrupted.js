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
   * @param {(entries: {path: string, file: File}[]) => void} resume paths as they were wanted
   * @param {(names: string[]) => void} onOthers files that were chosen and are none of these
   */
  constructor(memory, queue, resume, onOthers) {
    this.#memory = memory;
    this.#queue = queue;
    watchInput(byId("interrupted-choose"), byId("input-interrupted"), async (batches) => {
      for await (const entries of batches) this.#take(entries, resume, onOthers);
    });
    byId("interrupted-forget").addEventListener("click", () => this.#forget());
    // Other tabs begin and end uploads too.
    addEventListener("storage", () => this.refresh());
  }

  /** The queue changed: what is shown may be among it. */
  changed() {
    if (!this.#notice.hidden) this.refresh();
  }

  async refresh() {
    const entries = [...(await this.#unfinished()).values()];
    this.#notice.hidden = entries.length === 0;
    if (entries.length === 0) return;
    const was = entries.length === 1 ? "was" : "were";
    byId("interrupted-title").textContent = `${count(entries.length, "upload")} ${was} interrupted`;
    const lines = entries.slice(0, MOST_NAMED).map((entry) => `${entry.path}: ${progress(entry.sent, entry.size)}`);
    if (entries.length > MOST_NAMED) lines.push(`and ${entries.length - MOST_NAMED} more`);
    byId("interrupted-list").replaceChildren(...lines.map((line) => element("li", {}, line)));
  }

  /** Without those that this tab has in its queue, or another one is sending. */
  async #unfinished() {
    const taken = await held();
    for (const { print } of this.#queue.uploads) taken.add(print);
    return new Map([...this.#memory.all()].filter(([print]) => !taken.has(print)));
  }

  async #take(chosen, resume, onOthers) {
    const entries = [...(await this.#unfinished()).values()];
    const found = [];
    const others = [];
    for (const { file } of chosen) {
      const entry = entries.find((one) => isSame(one, file));
      if (entry) found.push({ path: entry.wanted, file });
      else others.push(file.name);
    }
    if (found.length > 0) resume(found);
    if (others.length > 0) onOthers(others);
  }

  async #forget() {
    for (const [print, { url }] of await this.#unfinished()) {
      this.#memory.drop(print);
      terminate(url);
    }
    await this.refresh();
    byId("main").focus();
  }
}

function isSame(entry, file) {
  return entry.name === file.name && entry.size === file.size && entry.lastModified === file.lastModified;
}
