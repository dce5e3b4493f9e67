/** The three charts, and what they keep: samples of the last ten minutes, however long the view is open. */

import { rate } from "../common/format.js";
import { makeChart } from "./chart.js";
import { percent, usedShare } from "./workers.js";

const SPAN_SECONDS = 600;
const MOST_SAMPLES = 400;
// With more workers than line styles, the ends and the middle stand for all.
const MOST_LINES = 6;

/** @returns {{add: (cluster: any) => void, gap: () => void}} add: an answer of /cluster; gap: there was none */
export function makeCharts() {
  const capacity = follow("capacity", percent, 1);
  const repair = follow("rate", rate, 1e6);
  const owed = follow("owed", (value) => Math.round(value).toLocaleString("en"), 2);
  return {
    add: ({ workers, replication }) => {
      const lines = linesOf(workers);
      const series = lines.map(([key, label]) => [key, label]);
      capacity(Object.fromEntries(lines.map(([key, , share]) => [key, share])), series);
      repair({ repair: replication.repair_bytes_per_second }, [["repair", "Repair"]]);
      owed({ owed: replication.owed_replicas }, [["owed", "Missing"]]);
    },
    gap: () => [capacity, repair, owed].forEach((add) => add({})),
  };
}

function follow(name, format, least) {
  const show = makeChart(document.querySelector(`[data-chart="${name}"]`), format, least);
  const samples = [];
  let last = [];
  return (values, series = last) => {
    const at = performance.now() / 1000;
    last = series;
    samples.push({ at, values });
    const first = samples.findIndex((sample) => sample.at >= at - SPAN_SECONDS);
    samples.splice(0, Math.max(first, samples.length - MOST_SAMPLES));
    show(samples, series);
  };
}

/** Key, label and share of each line. */
function linesOf(workers) {
  const known = workers.filter((worker) => worker.capacity_bytes);
  const lines = known.map((worker) => [worker.worker_id, worker.worker_id, usedShare(worker)]);
  if (lines.length <= MOST_LINES) return lines;
  lines.sort(([, , one], [, , other]) => other - one);
  const chosen = [["Fullest", lines[0]], ["Middle", lines[lines.length >> 1]], ["Emptiest", lines.at(-1)]];
  return chosen.map(([word, [name, , share]]) => [word, `${word} (${name})`, share]);
}
