/** The bar that stands above a list while something is selected. */

import { button, byId, element } from "../common/dom.js";
import { count } from "../common/format.js";

export class SelectionBar {
  /**
   * @param {import("./selection.js").Selection} selection
   * @param {{label: string, icon: string, run: () => void, isForOne?: boolean, kind?: string, id?: string}[]} actions
   *   isForOne: cannot be done to several
   */
  constructor(selection, actions) {
    this._selection = selection;
    this._bar = byId("selection-bar");
    this._words = element("strong", {});
    this._forOne = [];
    const buttons = actions.map(({ label, icon, run, isForOne, kind, id }) => {
      const made = button(label, run, { icon, kind, id });
      if (isForOne) this._forOne.push(made);
      return made;
    });
    const clear = button("Clear", () => selection.clear(), { icon: "close" });
    clear.classList.add("last");
    this._bar.append(this._words, ...buttons, clear);
  }

  update() {
    const number = this._selection.count;
    this._bar.hidden = number === 0;
    this._words.textContent = number === null ? "All selected" : `${count(number, "entry", "entries")} selected`;
    for (const made of this._forOne) made.hidden = number !== 1;
  }
}
