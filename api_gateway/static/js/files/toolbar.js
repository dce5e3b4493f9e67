/** The bar that stands above a list while something is selected. */

import { button, byId, element } from "../common/dom.js";
import { count } from "../common/format.js";
import { may } from "../common/rights.js";

export class SelectionBar {
  /**
   * @param {import("./selection.js").Selection} selection
   * @param {{label: string, icon: string, run: () => void, isForOne?: boolean, kind?: string, id?: string,
   *   right?: string}[]} actions isForOne: cannot be done to several; right: who does not have it does not see it
   */
  constructor(selection, actions) {
    this._selection = selection;
    this._bar = byId("selection-bar");
    this._words = element("strong", {});
    this._forOne = [];
    const open = actions.filter(({ right }) => right === undefined || may(right));
    this._isOfUse = open.length > 0;
    const buttons = open.map(({ label, icon, run, isForOne, kind, id }) => {
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
    this._bar.hidden = number === 0 || !this._isOfUse;
    this._words.textContent = number === null ? "All selected" : `${count(number, "entry", "entries")} selected`;
    for (const made of this._forOne) made.hidden = number !== 1;
  }
}
