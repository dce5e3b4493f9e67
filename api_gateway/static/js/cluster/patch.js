/** Changes in the page only what has changed, so that focus and selection stay. */

/**
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Set the texts of places inside a part of the page, which have their names as `data-cell`.
 *
 * @param {Element} part
 * @param {Object<string, string>} texts
 */
export function setCells(part, texts) {
  for (const [name, text] of Object.entries(texts)) setText(part.querySelector(`[data-cell="${name}"]`), text);
}

/**
 * Keep, fill, add and remove children, so that there is one for each key, in this order.
 *
 * @template T
 * @param {Element} parent
 * @param {[string, T][]} items by their keys
 * @param {() => Element} make a child without content
 * @param {(child: Element, item: T) => void} fill
 */
export function patchChildren(parent, items, make, fill) {
  const left = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const [key, item] of items) {
    const child = left.get(key) ?? make();
    if (!left.delete(key)) child.dataset.key = key;
    fill(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of left.values()) {
    if (child.contains(document.activeElement)) parent.closest("section").querySelector("h2").focus();
    child.remove();
  }
}

/**
 * The same for the rows of a table, which is hidden where there are none; `<tbody id="x">` has `<template id="x-row">`.
 *
 * @template T
 * @param {string} id
 * @param {[string, T][]} items
 * @param {(row: Element, item: T) => void} fill
 */
export function patchRows(id, items, fill) {
  const body = document.getElementById(id);
  document.getElementById(`no-${id}`).hidden = items.length > 0;
  body.closest("table").hidden = items.length === 0;
  const row = document.getElementById(`${id}-row`).content.firstElementChild;
  patchChildren(body, items, () => row.cloneNode(true), fill);
}

/**
 * Show the badge of a state, copied from the list that explains them.
 *
 * @param {Element} part has the place for it
 * @param {string} state
 */
export function setBadge(part, state) {
  const place = part.querySelector("[data-state]");
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  const badge = document.querySelector(`#states [data-state="${CSS.escape(state)}"] .badge`);
  place.replaceChildren(badge?.cloneNode(true) ?? state);
}
