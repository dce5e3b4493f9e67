/** A table of any length: rows near the view are in the document, spacers stand for the rest. Keyboard as in a grid.

    One row is the active one: it alone can be reached with Tab, and the arrow keys make another row active. */

import { announce } from "../common/announce.js";
import { byId, element } from "../common/dom.js";
import { makeWaitingRow } from "./rows.js";

// Rows made beyond what can be seen, above and below.
const SPARE = 12;

/**
 * @typedef {{length: number, total: number, isComplete: boolean, isWhole: boolean, known: Function, onmove?: Function,
 *   at: (index: number) => import("./entries.js").Entry|null, want: (first: number, last: number) => Promise<boolean>}} Source
 */

export class Grid {
  /**
   * @param {{make: (entry: any, row?: HTMLTableRowElement) => HTMLTableRowElement, selection: import("./selection.js").Selection,
   *   open: (entry: any) => void, act: (entry: any) => void, keys: Object<string, (entry: any) => void>,
   *   onchange: () => void, onread: () => void, onerror: (error: any) => void}} parts
   *   open: its name was chosen; act: its button; keys: what other keys do to the active entry; onread: the listing
   *   answers, onerror: it does not
   */
  constructor(parts) {
    this._parts = parts;
    this._table = byId("list");
    this._body = byId("rows");
    this._all = byId("select-all");
    this._source = null;
    this._rows = new Map();
    this._active = 0;
    this._anchor = 0;
    this._height = 0;
    this._frame = 0;
    // By how many rows what is in view has moved since it was last shown.
    this._shift = 0;
    this._range = null;
    this._table.setAttribute("role", "grid");
    this._table.setAttribute("aria-multiselectable", "true");
    this._table.querySelector("thead tr").setAttribute("aria-rowindex", "1");
    this._body.addEventListener("click", (event) => this._onclick(event));
    this._body.addEventListener("keydown", (event) => this._onkey(event));
    this._body.addEventListener("focusin", (event) => this._onfocus(event));
    this._all.addEventListener("change", () => this._chooseAll(this._all.checked));
    for (const event of ["scroll", "resize"]) window.addEventListener(event, () => this._schedule(), { passive: true });
  }

  /**
   * Show another listing, from its top, once its first rows are there.
   *
   * @param {Source} source
   * @returns {Promise<boolean>} false when yet another one took its place meanwhile
   */
  async show(source) {
    this._take(source);
    this._table.setAttribute("aria-busy", "true");
    try {
      await source.want(0, 0);
    } finally {
      if (this._source === source) this._table.removeAttribute("aria-busy");
    }
    if (this._source !== source) return false;
    [this._active, this._anchor] = [0, 0];
    this._dropRows();
    this.render();
    return true;
  }

  /** Show a listing the first rows of which came with the page. */
  adopt(source) {
    this._take(source);
    const rows = [...this._body.rows];
    this._active = Math.max(0, rows.indexOf(document.activeElement.closest("tr")));
    rows.forEach((row, index) => this._make(index, row));
    this.render();
    this._read();
  }

  get source() {
    return this._source;
  }

  /** The entry that keys act on. */
  get activeEntry() {
    return this._source?.at(this._active) ?? null;
  }

  /** Read what is in view again. */
  async refresh() {
    this._source?.refresh();
    await this._read();
  }

  /** Give the focus to the active row, or to another one. @returns {boolean} false where there is none */
  focus(index = this._active) {
    if (!this._source?.length) return false;
    this._active = Math.max(0, Math.min(index, this._source.length - 1));
    this.render(true);
    const row = this._rows.get(this._active)?.row;
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
    return row !== undefined;
  }

  /** Focus the first entry in memory that fits. */
  focusOn(fits) {
    for (let index = 0; index < this._source.length; index += 1) {
      const entry = this._source.at(index);
      if (entry !== null && fits(entry)) return this.focus(index);
    }
    return false;
  }

  /** Which entry a row stands for. */
  entryOf(row) {
    return this._source?.at(Number(row.dataset.index)) ?? null;
  }

  /** Show what is in memory now. isHeld: the active row is to be there, wherever the view is. */
  render(isHeld = this._body.contains(document.activeElement)) {
    // What is there is of another listing, and stays until this one has come.
    if (this._table.hasAttribute("aria-busy")) return;
    const { length, isComplete } = this._source;
    this._table.hidden = length === 0;
    this._table.setAttribute("aria-rowcount", isComplete ? String(length + 1) : "-1");
    this._active = Math.max(0, Math.min(this._active, length - 1));
    const [first, last] = this._inView();
    const wanted = [];
    for (let index = first; index <= last; index += 1) wanted.push(index);
    if (isHeld && length && this._active < first) wanted.unshift(this._active);
    if (isHeld && length && this._active > last) wanted.push(this._active);
    const top = this._shift && window.scrollY + this._shift * this._height;
    this._place(wanted, length);
    if (this._shift) window.scrollTo(0, top);
    this._shift = 0;
    this._mark();
    this._parts.onchange();
  }

  _take(source) {
    this._source?.stop();
    this._source = source;
    this._shift = 0;
    source.onmove = (from, by) => source === this._source && this._move(from, by);
  }

  /** The rows that are made, of those that there are. */
  _inView() {
    const [first, last] = this._span();
    const end = this._source.length - 1;
    return [Math.max(0, Math.min(first, end)), Math.min(end, Math.max(0, last))];
  }

  _span() {
    this._height ||= this._measure();
    const top = this._body.getBoundingClientRect().top - this._shift * this._height;
    return [Math.floor(-top / this._height) - SPARE, Math.ceil((window.innerHeight - top) / this._height) + SPARE];
  }

  /** Rows were found, or were not there, before these: they stay in sight, and active, selected to, and focused. */
  _move(from, by) {
    const moved = (index) => (index >= from ? index + by : index);
    const [first, last] = this._span();
    if ((first + last) / 2 > from) this._shift += by;
    [this._active, this._anchor] = [moved(this._active), moved(this._anchor)];
    if (this._range) this._range = Object.assign(this._range, { at: moved(this._range.at), last: moved(this._range.last) });
    const rows = [...this._rows.values()];
    this._rows.clear();
    for (const { row, entry, index } of rows) this._keep(row, entry, moved(index));
  }

  /** Put these rows into the table, with spacers between them. Rows that stay are not touched: one may have the focus. */
  _place(wanted, length) {
    const hadFocus = this._body.contains(document.activeElement);
    const keep = new Set(wanted);
    for (const child of [...this._body.children]) {
      const known = this._rows.get(Number(child.dataset.index));
      if (known?.row === child && keep.has(known.index) && known.entry === this._source.at(known.index)) continue;
      if (known?.row === child) this._rows.delete(known.index);
      child.remove();
    }
    let next = 0;
    let child = this._body.firstElementChild;
    for (const index of wanted) {
      if (index > next) this._body.insertBefore(this._spacer(index - next), child);
      const known = this._rows.get(index);
      if (known === undefined) this._body.insertBefore(this._make(index), child);
      else child = known.row.nextElementSibling;
      next = index + 1;
    }
    if (next < length) this._body.append(this._spacer(length - next));
    if (hadFocus && !this._body.contains(document.activeElement)) {
      this._rows.get(this._active)?.row.focus({ preventScroll: true });
    }
  }

  /** old: a row to make it of. */
  _make(index, old) {
    const entry = this._source.at(index);
    return this._keep(entry === null ? makeWaitingRow(this._source.isCut) : this._parts.make(entry, old), entry, index);
  }

  _keep(row, entry, index) {
    // It may be given the focus before it is marked as the active one.
    row.tabIndex = -1;
    row.dataset.index = String(index);
    row.setAttribute("aria-rowindex", String(index + 2));
    this._rows.set(index, { row, entry, index });
    return row;
  }

  _spacer(rows) {
    // One cell, for a screen may show fewer columns than there are: those of a wider cell would take room of the others.
    const cell = element("td");
    cell.style.height = `${rows * this._height}px`;
    return element("tr", { class: "spacer", "aria-hidden": "true" }, cell);
  }

  /** Selected rows, the one that Tab reaches, and the box of all. */
  _mark() {
    const { selection } = this._parts;
    for (const { row, entry, index } of this._rows.values()) {
      const isSelected = entry !== null && selection.has(entry);
      row.setAttribute("aria-selected", String(isSelected));
      row.querySelector("input").checked = isSelected;
      row.tabIndex = index === this._active ? 0 : -1;
    }
    if (!this._rows.has(this._active)) {
      const first = this._rows.values().next().value;
      if (first !== undefined) first.row.tabIndex = 0;
    }
    this._all.checked = selection.count === null || (selection.count > 0 && selection.count >= this._source.length);
    this._all.indeterminate = !this._all.checked && !selection.isEmpty;
  }

  _schedule() {
    if (this._frame || this._source === null) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = 0;
      this._height = this._measure() || this._height;
      this.render();
      this._read();
    });
  }

  async _read() {
    const source = this._source;
    try {
      while ((await source.want(...this._inView())) && source === this._source) {
        this.render();
        this._parts.onread();
      }
    } catch (error) {
      if (error.name !== "AbortError") this._parts.onerror(error);
    }
  }

  _measure() {
    const row = this._body.querySelector("tr:not(.spacer)");
    return row === null ? 44 : row.getBoundingClientRect().height;
  }

  _dropRows() {
    this._rows.clear();
    this._body.replaceChildren();
  }

  _onfocus(event) {
    const row = event.target.closest("tr");
    if (row?.dataset.index === undefined || Number(row.dataset.index) === this._active) return;
    this._active = Number(row.dataset.index);
    this._mark();
  }

  _onclick(event) {
    const row = event.target.closest("tr");
    const entry = row && this.entryOf(row);
    if (!entry) return;
    const index = Number(row.dataset.index);
    if (event.target.closest("td")?.cellIndex === 0) this._pick(event, index, entry);
    else if (event.target.closest("button")) this._parts.act(entry);
    else if (event.target.closest("a")) {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      this._parts.open(entry);
    } else if (event.shiftKey) this._extend(index);
    else if (event.ctrlKey || event.metaKey) this._toggle(index, entry);
    else this._parts.selection.only([entry]);
    this._active = index;
    if (!event.shiftKey) this._anchor = index;
    if (event.shiftKey) getSelection()?.removeAllRanges();
    if (this._body.contains(row) && !event.target.closest("a, button")) row.focus({ preventScroll: true });
  }

  _pick(event, index, entry) {
    if (event.shiftKey) this._extend(index);
    else if (event.target.matches("input")) this._parts.selection.set([entry], event.target.checked);
    else this._toggle(index, entry);
  }

  _toggle(index, entry) {
    this._anchor = index;
    this._parts.selection.set([entry], !this._parts.selection.has(entry));
    this._mark();
  }

  /** Select from where the selection began to here; what of it is not in memory is read first. */
  async _extend(index) {
    const source = this._source;
    const range = { at: Math.min(this._anchor, index), last: Math.max(this._anchor, index) };
    const entries = [];
    for (this._range = range; range.at <= range.last; range.at += 1) {
      while (source.at(range.at) === null && (await source.want(range.at, range.at)));
      // Something else is shown, or selected, by now.
      if (source !== this._source || range !== this._range) return;
      entries.push(source.at(range.at));
    }
    this._parts.selection.only(entries.filter(Boolean));
  }

  _chooseAll(isSelected) {
    const { selection } = this._parts;
    if (!isSelected) selection.clear();
    else if (this._source.isWhole) selection.only(this._source.known());
    else selection.all(this._source.query);
    announce(isSelected ? "All entries are selected." : "Nothing is selected.");
  }

  _onkey(event) {
    if (event.target.matches("input") && event.key === " ") return;
    const page = Math.max(1, Math.floor(window.innerHeight / this._height) - 3);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const isCommand = event.ctrlKey || event.metaKey;
    if (event.key in steps && !event.altKey) this._go(this._active + steps[event.key], event.shiftKey);
    else if (event.key === "Home") this._go(0, event.shiftKey);
    else if (event.key === "End") this._go(this._source.length - 1, event.shiftKey);
    else if (isCommand && event.key.toLowerCase() === "a") this._chooseAll(true);
    else if (event.key === " ") this.activeEntry && this._toggle(this._active, this.activeEntry);
    else if (event.key === "Escape" && !this._parts.selection.isEmpty) this._parts.selection.clear();
    else if (isCommand || event.altKey || !this._runKey(event)) return;
    event.preventDefault();
  }

  _runKey(event) {
    if (event.target.closest("button, a, input") && event.key === "Enter") return false;
    const run = this._parts.keys[event.key];
    if (run === undefined || this.activeEntry === null) return false;
    run(this.activeEntry);
    return true;
  }

  _go(index, isExtending) {
    if (!this.focus(index)) return;
    if (isExtending) this._extend(this._active);
    else this._anchor = this._active;
    this._read();
  }
}
