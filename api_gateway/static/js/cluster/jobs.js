/** Masters, background jobs, and the check of all records against all disks. */

import { request } from "../common/api.js";
import { openDialog } from "../common/dialog.js";
import { byId, element } from "../common/dom.js";
import { bytes, count, dateTime, duration, rate } from "../common/format.js";
import { patchRows, setBadge, setCells } from "./patch.js";

const SHOWN = 200;
const TEXTS = { bytes, rate, seconds: duration, count: (number) => number.toLocaleString("en") };

/** @param {any} cluster as /cluster says it; which masters there are, the page knows from the gateway's configuration */
export function showMasters({ masters }) {
  for (const [place, master] of masters.entries()) {
    const row = byId("masters").children[place];
    setBadge(row, master.state);
    setCells(row, { version: master.version });
    row.querySelector('[data-cell="leads"]').hidden = !master.is_leader;
  }
}

/** @param {any} cluster */
export function showJobs({ jobs }) {
  const items = jobs.filter(({ name }) => !name.startsWith("scrub ")).map((job) => [job.name, job]);
  patchRows("jobs", items, (row, { name, state, progress, last_error: error }) => {
    const fields = JSON.parse(row.dataset.fields).filter(([field]) => progress[field]);
    const now = fields.map(([field, ...rest]) => told(progress[field], ...rest)).join(", ");
    setCells(row, { name, state, now, error: state === "failed" ? error : "" });
  });
  const check = jobs.find(({ name }) => name === "fsck")?.progress;
  if (check?.started_at) showCheck(check);
}

function told(number, unit, words, one) {
  return `${TEXTS[unit](number)} ${number === 1 && one ? one : words}`.trim();
}

/**
 * Have the check begin.
 *
 * @param {boolean} isVerifying
 */
export async function startCheck(isVerifying) {
  await request("POST", `/cluster/fsck${isVerifying ? "?verify=true" : ""}`);
  return "The check begins within seconds.";
}

/** What the last check found, one by one. */
export async function showDifferences() {
  const { differences } = (await request("GET", "/cluster/fsck")).progress;
  const rows = differences.slice(0, SHOWN).map((one) => {
    const ids = [one.worker_id, one.chunk_id, one.file_id].filter(Boolean).join(" ");
    return element("li", {}, `${one.kind}: ${one.explanation}. `, element("code", {}, ids));
  });
  if (differences.length > SHOWN) rows.push(element("li", {}, "And more, which ./dfs fsck lists."));
  openDialog({ title: "What the check found", content: [element("ul", {}, ...rows)], kind: "panel" });
}

function showCheck({ finished_at: end, found, records_checked: records, replicas_checked: replicas }) {
  const kinds = Object.entries(found).map(([kind, number]) => `${number.toLocaleString("en")} ${kind}`);
  const checked = `${count(records, "record")} and ${count(replicas, "replica")}`;
  const result = `${kinds.join(", ") || "no differences"} in ${checked}`;
  setCells(byId("fsck"), { result: end ? `Finished ${dateTime(end)}: ${result}.` : `Under way: ${checked} so far.` });
  const show = document.querySelector('[data-act="differences"]');
  if (show !== null) show.hidden = !end || kinds.length === 0;
}
