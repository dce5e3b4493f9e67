/** Gives files another path and never replaces another file unasked: where the path is taken, it asks. */

import { request } from "../common/api.js";
import { ask } from "../common/dialog.js";
import { numbered } from "../common/naming.js";
import { may } from "../common/rights.js";
import { lastName } from "./entries.js";

const CHOICES = [
  { value: "both", label: "Keep both", kind: "primary" },
  { value: "replace", label: "Replace" },
  { value: "skip", label: "Skip" },
];

/** Answers for one action: what was said "for all" is asked once. */
export class Conflicts {
  /** @param {boolean} isMany whether more questions may come */
  constructor(isMany) {
    this._isMany = isMany;
    this._answer = null;
    this._asking = Promise.resolve();
  }

  /**
   * Rename a file, or bring it back from the trash.
   *
   * @param {(path: string) => Promise<any>} place moves it there; fails with path_taken where another file is
   * @param {string} path
   * @param {{onown?: () => Promise<any>}} [options] onown: instead of asking, for a folder's own entry
   * @returns {Promise<string|null>} where it is now; null when it was left where it was
   */
  async settle(place, path, { onown } = {}) {
    try {
      await place(path);
      return path;
    } catch (error) {
      if (error.code !== "path_taken") throw error;
    }
    if (path.endsWith("/")) {
      // Two folders become one: one of their own entries is enough.
      await onown?.();
      return path;
    }
    const choice = await this._choose(path);
    if (choice === "skip") return null;
    if (choice === "both") return placeBeside(place, path);
    await moveAway(path);
    await place(path);
    return path;
  }

  /** One question at a time, though several files may wait for one. */
  _choose(path) {
    const turn = this._asking.then(async () => {
      if (this._answer !== null) return this._answer;
      const what = `There is already a file “${lastName(path)}” in this place.`;
      // What is replaced is deleted first.
      const isReplaceable = may("delete");
      const answer = await ask({
        title: "This name is taken",
        text: isReplaceable ? `${what} What was there would go to the trash if you replace it.` : what,
        choices: CHOICES.filter(({ value }) => value !== "replace" || isReplaceable),
        forAll: this._isMany ? "The same for all others" : "",
      });
      if (answer?.forAll || answer === null) this._answer = answer?.value ?? "skip";
      return answer?.value ?? "skip";
    });
    this._asking = turn.catch(() => {});
    return turn;
  }
}

async function placeBeside(place, path) {
  for (let number = 1; ; number += 1) {
    try {
      await place(numbered(path, number));
      return numbered(path, number);
    } catch (error) {
      if (error.code !== "path_taken" || number >= 1000) throw error;
    }
  }
}

/** What is at this path goes to the trash, from where it can be restored. */
async function moveAway(path) {
  const listing = await request("GET", `/files?${new URLSearchParams({ prefix: path, limit: "1" })}`);
  const taken = listing.files.find((file) => file.path === path);
  if (taken !== undefined) await request("DELETE", `/files/${taken.file_id}`);
}
