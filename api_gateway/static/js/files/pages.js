/** A listing of any length, of which only the pages near the view are in memory.

    Pages are read one after the other, because each begins where the one before ended; where each begins is kept, so
    one that was dropped can be read again by itself. How many entries there are is known at the end only. */

import { fetchPage } from "./entries.js";

// Soon to be seen; then as many as the gateway gives at once.
const FIRST_PAGE = 500;
const PAGE = 1000;
// Pages are kept this far from the view.
const NEAR = 3;
// Taller pages than this many rows make are cut off by some browsers.
export const MAX_ROWS = 350000;

/** @typedef {import("./entries.js").Entry} Entry */

export class Pages {
  /** @param {import("./entries.js").Query} query */
  constructor(query) {
    this.query = query;
    this.isComplete = false;
    this._pages = [];
    this._next = "";
    this._reading = new Map();
    this._abort = new AbortController();
  }

  /** How many entries are known of. */
  get length() {
    const last = this._pages.at(-1);
    return last ? last.start + last.count : 0;
  }

  /** Whether there are more than can be shown. */
  get isCut() {
    return !this.isComplete && this.length >= MAX_ROWS;
  }

  /** @returns {Entry|null} null where it is not in memory */
  at(index) {
    const page = this._pages[this._pageOf(index)];
    return page?.entries?.[index - page.start] ?? null;
  }

  /** All that is in memory, in order. @returns {Entry[]} */
  known() {
    return this._pages.flatMap((page) => page.entries ?? []);
  }

  /** Whether every entry is in memory. */
  get isWhole() {
    return this.isComplete && this._pages.every((page) => page.entries !== null);
  }

  /**
   * Read what is missing of these rows, and drop what is far from them.
   *
   * @returns {Promise<boolean>} whether anything changed
   */
  async want(first, last) {
    const from = Math.max(0, this._pageOf(first));
    const to = Math.max(from, this._pageOf(last));
    let changed = false;
    for (let number = from; number <= to && number < this._pages.length; number += 1) {
      const page = this._pages[number];
      if (page.entries === null || page.isStale) changed = (await this._read(number)) || changed;
    }
    // Ahead of the view, so that scrolling rarely meets the end of what is known.
    if (!this.isComplete && !this.isCut && last >= this.length - PAGE / 2) changed = (await this.more()) || changed;
    this._pages.forEach((page, number) => {
      if (number < from - NEAR || number > to + NEAR) page.entries = null;
    });
    return changed;
  }

  /** Read the page after the last that is known. @returns {Promise<boolean>} */
  more() {
    return this.isComplete ? Promise.resolve(false) : this._read(this._pages.length);
  }

  /** Learn how many there are, keeping no more in memory than before. @param {(count: number) => boolean} goesOn */
  async readAll(goesOn) {
    while (!this.isComplete && !this.isCut && goesOn(this.length)) {
      await this.more();
      for (const page of this._pages.slice(1, -1)) page.entries = null;
    }
  }

  /** Read pages again when they are next looked at; until then they stay as they are. */
  refresh() {
    for (const page of this._pages) page.isStale = true;
  }

  /** Nobody looks any more. */
  stop() {
    this._abort.abort();
  }

  _pageOf(index) {
    let low = 0;
    let high = this._pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this._pages[middle].start <= index) low = middle;
      else high = middle - 1;
    }
    return high < 0 ? -1 : low;
  }

  _read(number) {
    if (!this._reading.has(number)) {
      const reading = this._fetch(number).finally(() => this._reading.delete(number));
      this._reading.set(number, reading);
    }
    return this._reading.get(number);
  }

  async _fetch(number) {
    const cursor = number < this._pages.length ? this._pages[number].cursor : this._next;
    const found = await fetchPage(this.query, { cursor, limit: number ? PAGE : FIRST_PAGE, signal: this._abort.signal });
    const isFlat = !this.query.delimiter;
    // Folders come first where all is in one page; else in the order of the paths, which the pages follow.
    const isOrdered = isFlat || (cursor === "" && found.next === null);
    const entries = isOrdered ? found.entries : found.entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    this._pages[number] = { cursor, count: entries.length, entries, isStale: false, start: 0 };
    this._follow(number, found.next);
    return true;
  }

  /** What was added or removed since moves the beginning of the next page, and the place of all that follow. */
  _follow(number, next) {
    if (next === null) this._pages.length = number + 1;
    const following = this._pages[number + 1];
    if (following === undefined) {
      this.isComplete = next === null;
      this._next = next ?? "";
    } else if (following.cursor !== next) {
      Object.assign(following, { cursor: next, isStale: true });
    }
    let start = 0;
    for (const page of this._pages) {
      page.start = start;
      start += page.count;
    }
  }
}
