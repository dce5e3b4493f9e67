/** Which entries are selected: some by name, or all of a listing, be it in memory or not, but for some. */

import { allEntries } from "./entries.js";

export class Selection {
  /** @param {() => void} onchange */
  constructor(onchange) {
    this._onchange = onchange;
    this._entries = new Map();
    this._query = null;
  }

  /** How many; null where all are selected and nobody has counted them. */
  get count() {
    return this._query === null ? this._entries.size : null;
  }

  get isEmpty() {
    return this.count === 0;
  }

  has(entry) {
    return this._entries.has(entry.key) === (this._query === null);
  }

  set(entries, isSelected) {
    for (const entry of entries) {
      if (isSelected === (this._query === null)) this._entries.set(entry.key, entry);
      else this._entries.delete(entry.key);
    }
    this._onchange();
  }

  /** Select these alone. */
  only(entries) {
    this._query = null;
    this._entries = new Map(entries.map((entry) => [entry.key, entry]));
    this._onchange();
  }

  /** Select all that a query finds. */
  all(query) {
    this._query = query;
    this._entries.clear();
    this._onchange();
  }

  clear() {
    this.only([]);
  }

  /** The only entry that is selected, or null. */
  get single() {
    return this.count === 1 ? this._entries.values().next().value : null;
  }

  /** Those that are known, for what need not read them all: null where all of a listing are selected. */
  get list() {
    return this._query === null ? [...this._entries.values()] : null;
  }

  /**
   * What is selected now, whatever is selected later.
   *
   * @returns {(signal?: AbortSignal) => AsyncIterable<import("./entries.js").Entry>}
   */
  snapshot() {
    const [query, chosen] = [this._query, new Map(this._entries)];
    return async function* (signal) {
      if (query === null) yield* chosen.values();
      else for await (const entry of allEntries(query, signal)) if (!chosen.has(entry.key)) yield entry;
    };
  }
}
