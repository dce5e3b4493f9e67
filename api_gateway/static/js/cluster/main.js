/** The cluster view: asks what /cluster says, and keeps every part of the page as it is. */

import { announce } from "../common/announce.js";
import { explain } from "../common/api.js";
import { byId, element } from "../common/dom.js";
import { duration } from "../common/format.js";
import { toast } from "../common/toast.js";
import { makeCharts } from "./charts.js";
import { orderDrain } from "./drain.js";
import { showDifferences, showJobs, showMasters, startCheck } from "./jobs.js";
import { patchChildren, setCells, setText } from "./patch.js";
import { poll } from "./poll.js";
import { showNumbers, showWorkers } from "./workers.js";

const charts = makeCharts();
const polling = poll("/cluster", show, miss);
const { freshness } = polling;
const ACTS = {
  drain: orderDrain,
  undrain: orderDrain,
  check: () => startCheck(byId("verify").checked),
  differences: showDifferences,
};
let cluster = null;
let told = "";

byId("main").addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-act]");
  if (pressed !== null && cluster !== null) act(pressed);
});
byId("pause").addEventListener("click", () => {
  polling.pause(!freshness.isPaused);
  byId("pause").setAttribute("aria-pressed", String(freshness.isPaused));
  showFreshness();
});
setInterval(showFreshness, 1000);
polling.soon();

function show(answer) {
  showSummary(answer.summary);
  showMasters(answer);
  if (answer.problem) {
    // Nothing is known of the rest: what is on show stays.
    charts.gap();
  } else {
    cluster = answer;
    showNumbers(answer);
    showWorkers(answer);
    showJobs(answer);
    charts.add(answer);
  }
  showFreshness();
}

function miss(problem) {
  charts.gap();
  say(problem);
  showFreshness();
}

function showSummary({ level, text, notes }) {
  const part = byId("summary");
  part.className = `card summary ${level}`;
  part.querySelector("use").setAttribute("href", `#icon-${level}`);
  // The page itself has been read already.
  if (told !== "" || part.querySelector(".verdict").textContent !== text) say(text);
  else told = kindOf(text);
  setCells(part, { text });
  const list = part.querySelector("ul");
  list.hidden = notes.length === 0;
  const items = notes.map((note, place) => [String(place), note]);
  patchChildren(list, items, () => element("li"), setText);
}

function showFreshness() {
  const { at, failures, problem, nextAt, isPaused } = freshness;
  const age = Math.floor((performance.now() - at) / 1000);
  const seen = age < 5 ? "Up to date" : `As of ${duration(age)} ago`;
  setText(byId("freshness"), isPaused ? `Paused: ${seen.toLowerCase()}` : seen);
  const wait = Math.ceil((nextAt - performance.now()) / 1000);
  const again = isPaused ? "" : ` Asked again ${wait > 0 ? `in ${wait} s` : "now"}.`;
  setText(byId("trouble"), failures ? `${problem} What you see is ${duration(age)} old.${again}` : "");
}

async function act(pressed) {
  if (pressed.ariaDisabled === "true") return;
  pressed.ariaDisabled = "true";
  try {
    const { act: name } = pressed.dataset;
    const done = await ACTS[name](name, pressed.closest("[data-key]")?.dataset.key, cluster);
    if (done) toast(done);
    polling.soon();
  } catch (error) {
    toast(explain(error), { kind: "error" });
  } finally {
    pressed.ariaDisabled = null;
  }
}

/** Say what is new to screen readers: another kind of sentence, not another number in it. */
function say(text) {
  if (kindOf(text) !== told) announce(text);
  told = kindOf(text);
}

function kindOf(text) {
  return text.replace(/\d[\d,.]*/g, "0");
}
