/** Elements out of plain values. Text only ever becomes text: nothing here parses HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 *
 * A property that starts with "on" is a listener, `dataset` an object, true an empty attribute; null, undefined and
 * false are left out; everything else becomes an attribute.
 *
 * @param {string} tag
 * @param {Object<string, any>} [properties]
 * @param {...(Node|string|null)} children text is added as text
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * One of the symbols of templates/_icons.html; it says nothing to a screen reader.
 *
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  drawing.append(use);
  return drawing;
}

/**
 * A button. kind: "", "primary", "danger", "quiet".
 *
 * @param {string} label
 * @param {() => void} run
 * @param {{kind?: string, icon?: string, id?: string}} [options]
 * @returns {HTMLButtonElement}
 */
export function button(label, run, { kind = "", icon: symbol = "", id } = {}) {
  const properties = { type: "button", class: `button ${kind}`.trim(), onclick: run, id };
  return element("button", properties, symbol ? icon(symbol) : null, label);
}

/**
 * The element with this id, which the template has.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found;
}
