/** A listing of any length, of which only the pages near the view are in memory.

    It is a row of pages, each of which begins where the one before ends; where each begins is kept, so one that was
    dropped can be read again by itself. What nobody has read yet is a gap. How many entries are in it is not known: it
    always stands for as many rows, is read from the end that the view is nearer to, and closes when the two sides meet. */

import { fetchPage } from "./entries.js";

// Soon to be seen; then as many as the gateway gives at once.
const FIRST_PAGE = 500;
const PAGE = 1000;
const GAP = 1000;
// Rows so near to the view are read before they are looked at, and such as are far from it are dropped.
const AHEAD = 500;
const FAR = 3000;
// Taller pages than this many rows make are cut off by some browsers.
export const MAX_ROWS = 350000;

/** @typedef {import("./entries.js").Entry} Entry */

export class Pages {
  /**
   * @param {import("./entries.js").Query} query
   * @param {{entries: Entry[], next: string|null}} [known] its beginning, where that is known already
   */
  constructor(query, known) {
    this.query = query;
    /** Told when what was at index `from` and behind has moved by some rows. @type {(from: number, by: number) => void} */
    this.onmove = () => {};
    this._pages = [{ ...gapAt(""), count: 0 }];
    this._reading = new Map();
    this._abort = new AbortController();
    if (known) this._replace(this._pages[0], pagesOf("", known.entries, known.next));
  }

  /** How many rows: entries, and what stands for those that nobody has read. */
  get length() {
    const last = this._pages.at(-1);
    return last.start + last.count;
  }

  /** How many entries are known of. */
  get total() {
    return this._pages.reduce((sum, page) => sum + (page.isGap ? 0 : page.count), 0);
  }

  get isComplete() {
    return !this._pages.some((page) => page.isGap);
  }

  /** Whether there are more than can be shown. */
  get isCut() {
    return this.length >= MAX_ROWS && !this.isComplete;
  }

  /** @returns {Entry|null} null where it is not in memory */
  at(index) {
    const page = this._pages[this._pageOf(index)];
    return page.entries?.[index - page.start] ?? null;
  }

  /** All that is in memory, in order. @returns {Entry[]} */
  known() {
    return this._pages.flatMap((page) => page.entries ?? []);
  }

  /** Whether every entry is in memory. */
  get isWhole() {
    return this._pages.every((page) => page.entries !== null);
  }

  /**
   * Read what is missing of these rows and near them, and drop what is far away.
   *
   * @returns {Promise<boolean>} whether anything changed: then there may be more to read
   */
  async want(first, last) {
    // Where there is no row there is a page all the same.
    const end = Math.max(first, last);
    const isWithin = ({ start, count }, rows) => start < end + rows && start + count > first - rows;
    const isWanted = (page) => (page.entries === null ? isWithin(page, AHEAD) : page.isStale && isWithin(page, 1));
    const wanted = this._pages.filter((page) => isWanted(page) && !(page.isGap && this.isCut));
    const isFromEnd = wanted.map((page) => (first + last) / 2 > middleOf(page));
    for (const [number, page] of wanted.entries()) await this._read(page, isFromEnd[number]);
    for (const page of this._pages) if (!isWithin(page, FAR)) page.entries = null;
    return wanted.length > 0;
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
    return low;
  }

  _read(page, isFromEnd) {
    if (!this._reading.has(page)) {
      const reading = this._fetch(page, page.isGap && isFromEnd).finally(() => this._reading.delete(page));
      this._reading.set(page, reading);
    }
    return this._reading.get(page);
  }

  /** Of a gap a part, of a page that was read before all, or what one answer holds of it. */
  async _fetch(page, isReverse) {
    const number = this._pages.indexOf(page);
    if (number < 0) return;
    const [begin, end] = [page.cursor, this._pages[number + 1]?.cursor ?? ""];
    const [cursor, until] = isReverse ? [end, begin] : [begin, end];
    const limit = this.length ? PAGE : FIRST_PAGE;
    const found = await fetchPage(this.query, { cursor, until, isReverse, limit, signal: this._abort.signal });
    const isAll = begin === "" && end === "" && found.next === null;
    this._replace(page, pagesOf(begin, inOrder(found.entries, this.query, isAll, isReverse), found.next, isReverse));
  }

  _replace(page, parts) {
    const before = this.length;
    this._pages.splice(this._pages.indexOf(page), 1, ...parts);
    let start = 0;
    for (const one of this._pages) {
      one.start = start;
      start += one.count;
    }
    // What is looked at in the second half of a gap is looked at from its end.
    const from = page.isGap ? middleOf(page) : page.start + page.count;
    if (before && start !== before) this.onmove(from, start - before);
  }
}

/** What comes of reading from `begin`, or towards it: a page, and where `next` says so a gap on its other side. */
function pagesOf(begin, entries, next, isReverse = false) {
  const page = { cursor: begin, entries, count: entries.length, start: 0, isGap: false, isStale: false };
  if (next === null) return [page];
  return isReverse ? [gapAt(begin), { ...page, cursor: next }] : [page, gapAt(next)];
}

function gapAt(cursor) {
  return { cursor, entries: null, count: GAP, start: 0, isGap: true, isStale: false };
}

function middleOf({ start, count }) {
  return start + count / 2;
}

/** Folders come first where all is in one page; else in the order of the paths, which the pages follow. */
function inOrder(entries, query, isAll, isReverse) {
  if (!query.delimiter) return isReverse ? entries.reverse() : entries;
  return isAll ? entries : entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}
