/** Names are found by how they begin, letter for letter; where nothing does, the same in another case may. */

import { element } from "../common/dom.js";
import { fetchPage } from "./entries.js";
import { addressOf, queryOf } from "./place.js";

/**
 * The first of the usual ways to write what was searched for with which something begins; each is one look into an
 * index. As api_gateway/routes/search.py has it.
 *
 * @param {import("./place.js").Place} place in which nothing was found
 * @returns {Promise<string|null>}
 */
export async function otherCase(place) {
  for (const search of spellings(place.search)) {
    const { entries } = await fetchPage({ ...queryOf(place), search }, { limit: 1 });
    if (entries.length) return search;
  }
  return null;
}

/**
 * The sentence that offers it.
 *
 * @param {import("./place.js").Place} place
 * @param {string} search
 * @returns {HTMLElement}
 */
export function offer(place, search) {
  const link = element("a", { id: "other-case", href: addressOf({ ...place, search }) }, search);
  return element("span", {}, " There are names that begin with ", link, ".");
}

function spellings(search) {
  const [first = ""] = search;
  const small = search.toLowerCase();
  const capital = first.toUpperCase() + small.slice(first.length);
  return [...new Set([small, capital, search.toUpperCase()])].filter((one) => one !== search);
}
