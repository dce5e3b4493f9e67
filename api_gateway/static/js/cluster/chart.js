/** A line chart as SVG, with a legend that has the values, and a table on demand. */

import { element } from "../common/dom.js";
import { patchChildren, setText } from "./patch.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [600, 100];
const STYLES = 6;
const SPANS_MINUTES = [1, 2, 5, 10];

/**
 * @typedef {{at: number, values: Object<string, number>}} Sample at: seconds; a value that is missing is a gap
 * @typedef {[string, string][]} Series names and labels, in the order of the line styles
 */

/**
 * Make a chart in a <figure> of the template.
 *
 * @param {HTMLElement} figure
 * @param {(value: number) => string} format
 * @param {number} least the scale reaches at least so far
 * @returns {(samples: Sample[], series: Series) => void} shows the samples, which end now
 */
export function makeChart(figure, format, least) {
  const find = (selector) => figure.querySelector(selector);
  const name = find("figcaption").textContent;
  const words = drawn("desc", { id: `${figure.dataset.chart}-words` });
  const lines = drawn("g", {});
  const grid = drawn("path", { class: "grid", d: `M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}` });
  const svg = drawn("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": name,
    "aria-describedby": words.id,
  });
  svg.append(words, grid, lines);
  find(".lines").append(svg);
  const say = (value) => (value === undefined ? "unknown" : format(value));
  let shown = [[], []];
  find("details").addEventListener("toggle", () => {
    find(".chart-table").replaceChildren(find("details").open ? table(name, ...shown, say) : "");
  });

  return (samples, series) => {
    shown = [samples, series];
    const { at: now, values } = samples.at(-1);
    const minutes = SPANS_MINUTES.find((span) => now - samples[0].at <= span * 60) ?? SPANS_MINUTES.at(-1);
    const top = roundUp(Math.max(least, ...samples.flatMap((sample) => Object.values(sample.values))));
    const texts = series.map(([key, label]) => `${label} ${say(values[key])}`);
    const items = series.map(([key], place) => [key, place]);
    const style = (place) => `line-${(place % STYLES) + 1}`;
    patchChildren(lines, items, () => drawn("path", {}), (line, place) => {
      line.setAttribute("class", style(place));
      line.setAttribute("d", shape(samples, series[place][0], minutes * 60, top));
    });
    patchChildren(find(".series"), items, makeKey, (item, place) => {
      item.querySelector("path").setAttribute("class", style(place));
      setText(item.lastElementChild, texts[place]);
    });
    [1, 0.5, 0].forEach((share, place) => setText(find(".scale").children[place], format(top * share)));
    setText(find(".times").firstElementChild, minutes === 1 ? "1 minute ago" : `${minutes} minutes ago`);
    setText(words, `Now: ${texts.join(", ")}. The table below has the minutes before.`);
  };
}

/** A value a minute, as of now. */
function table(name, samples, series, say) {
  const { at: now } = samples.at(-1) ?? { at: 0 };
  const row = (tag, cells) => element("tr", {}, ...cells.map((cell) => element(tag, {}, cell)));
  const rows = [];
  for (let minute = 0; minute * 60 <= now - (samples[0]?.at ?? 1); minute += 1) {
    const { values } = samples.findLast((sample) => sample.at <= now - minute * 60);
    rows.push(row("td", [minute ? `${minute} min before` : "now", ...series.map(([key]) => say(values[key]))]));
  }
  const head = element("thead", {}, row("th", ["When", ...series.map(([, label]) => label)]));
  return element("table", { class: "data", "aria-label": name }, head, element("tbody", {}, ...rows));
}

/** The line of one series; it is broken off where a value is missing. */
function shape(samples, key, span, top) {
  let isOpen = false;
  const steps = samples.map(({ at, values }) => {
    const wasOpen = isOpen;
    isOpen = values[key] !== undefined;
    if (!isOpen) return "";
    const x = (WIDTH * (1 - (samples.at(-1).at - at) / span)).toFixed(1);
    const y = (HEIGHT * (1 - values[key] / top)).toFixed(1);
    // A line of no length shows a single value as a dot.
    return wasOpen ? `L${x} ${y}` : `M${x} ${y}h0`;
  });
  return steps.join("");
}

/** The next number that makes a good end of a scale. */
function roundUp(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((factor) => factor * step).find((top) => top >= value);
}

function makeKey() {
  const line = drawn("svg", { class: "key", viewBox: "0 0 28 8", "aria-hidden": "true" });
  line.append(drawn("path", { d: "M2 4H26" }));
  return element("li", {}, line, element("span"));
}

function drawn(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
