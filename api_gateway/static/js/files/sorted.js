/** A listing in another order than that of the names: all of it is read first, up to a limit, and sorted here. */

import { fetchPage } from "./entries.js";

export const MAX_SORTED = 20000;
const ORDERS = {
  name: (a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)),
  size: (a, b) => a.size - b.size,
  changed: (a, b) => (a.changed < b.changed ? -1 : Number(a.changed > b.changed)),
  type: (a, b) => a.kind.localeCompare(b.kind) || a.type.localeCompare(b.type),
};

/** It looks like Pages to the list that shows it. */
export class Sorted {
  /**
   * @param {import("./entries.js").Query} query
   * @param {{by: string, isDescending: boolean}} order
   * @param {(count: number) => void} onprogress
   */
  constructor(query, order, onprogress) {
    this.query = query;
    this.isComplete = false;
    this.isCut = false;
    this._order = order;
    this._onprogress = onprogress;
    this._entries = [];
    this._isRead = false;
    this._abort = new AbortController();
  }

  get length() {
    return this._entries.length;
  }

  get total() {
    return this.length;
  }

  get isWhole() {
    return this.isComplete;
  }

  at(index) {
    return this._entries[index] ?? null;
  }

  known() {
    return this._entries;
  }

  async want() {
    if (this._isRead) return false;
    this._isRead = true;
    await this._readAll();
    return true;
  }

  refresh() {
    this._isRead = false;
  }

  stop() {
    this._abort.abort();
  }

  async _readAll() {
    const entries = [];
    let cursor = "";
    do {
      const page = await fetchPage(this.query, { cursor, limit: 1000, signal: this._abort.signal });
      entries.push(...page.entries);
      cursor = page.next ?? "";
      this._onprogress(entries.length);
    } while (cursor && entries.length < MAX_SORTED);
    this.isComplete = !cursor;
    this.isCut = !this.isComplete;
    this._entries = entries.sort(this._compare());
  }

  /** Folders stay before files, whichever way the rest is turned. */
  _compare() {
    const order = ORDERS[this._order.by];
    const sign = this._order.isDescending ? -1 : 1;
    return (a, b) => Number(Boolean(a.id)) - Number(Boolean(b.id)) || sign * order(a, b) || ORDERS.name(a, b);
  }
}
