/** The table of workers and the figures at the top, in the words in which routes/cluster_rows.py wrote them first. */

import { byId } from "../common/dom.js";
import { bytes, count, duration, rate } from "../common/format.js";
import { patchRows, setBadge, setCells, setText } from "./patch.js";

/** @param {any} cluster as /cluster says it */
export function showWorkers({ workers, jobs }) {
  const scrubs = new Map(jobs.map((job) => [job.name, job.progress.progress]));
  const items = workers.map((worker) => [worker.worker_id, worker]);
  patchRows("workers", items, (row, worker) => fill(row, worker, scrubs.get(`scrub ${worker.worker_id}`)));
}

/** @param {any} cluster */
export function showNumbers({ workers, replication }) {
  const used = sum(workers, "used_bytes");
  const capacity = sum(workers, "capacity_bytes");
  const { pending_free_bytes: pending, due_free_bytes: due } = replication;
  setCells(byId("numbers"), {
    used: percent((100 * used) / (capacity || 1)),
    used_note: `${bytes(used)} of ${bytes(capacity)} on all workers`,
    owed: count(replication.owed_replicas, "replica"),
    owed_note: owedNote(replication),
    pending: bytes(pending),
    pending_note: pending ? `${bytes(due)} now, the rest after its time in the trash` : "",
  });
}

/**
 * @param {any} worker
 * @returns {number} in percent
 */
export function usedShare(worker) {
  return (100 * worker.used_bytes) / (worker.capacity_bytes || 1);
}

/**
 * @param {number} share
 * @returns {string}
 */
export function percent(share) {
  if (share > 0 && share < 0.05) return "under 0.1 %";
  return `${share.toFixed(share > 0 && share < 9.95 ? 1 : 0)} %`;
}

function fill(row, worker, scrubbed) {
  const { worker_id: name, capacity_bytes: capacity, last_heartbeat_age_seconds: age } = worker;
  const share = usedShare(worker);
  setCells(row, {
    worker_id: name,
    note: notes(worker).join("; "),
    used: capacity ? `${bytes(worker.used_bytes)} of ${bytes(capacity)}, ${percent(share)}` : "",
    chunks: worker.chunk_count.toLocaleString("en"),
    age: age === null ? "never" : `${duration(age)} ago`,
    verified: scrubbed === undefined ? "" : percent(100 * scrubbed),
    version: worker.version,
  });
  setBadge(row, stateOf(worker));
  const bar = row.querySelector("progress");
  bar.value = share;
  bar.setAttribute("aria-label", `Used of ${name}`);
  const act = row.querySelector("[data-act]");
  // Only those have it who may.
  if (act === null) return;
  const label = worker.is_draining ? "Take back" : "Drain";
  act.hidden = !worker.url;
  act.dataset.act = worker.is_draining ? "undrain" : "drain";
  setText(act, label);
  act.setAttribute("aria-label", `${label} ${name}`);
}

function stateOf({ url, is_lost: isLost, state, drain }) {
  if (!url) return "never";
  if (isLost) return "lost";
  return state === "draining" && drain?.is_complete ? "empty" : state;
}

function notes({ zone, drain, url, is_reconciled: isCompared, quarantined_count: aside, is_configured: isNamed }) {
  const isLeaving = drain && !drain.is_complete;
  return [
    zone && `zone ${zone}`,
    isLeaving && `${count(drain.chunks_left, "chunk")} left`,
    isLeaving && drain.blocked && `cannot go on: ${drain.blocked}`,
    isLeaving && !drain.blocked && drain.waits_for && `waiting: ${drain.waits_for}`,
    url && !isCompared && "its disk is yet to be compared with the records",
    aside && `${count(aside, "file")} in quarantine`,
    !isNamed && "taken out of config.json",
  ].filter(Boolean);
}

function owedNote(replication) {
  if (!replication.owed_replicas) return `every chunk has its ${replication.replication_factor} copies`;
  // An object of small whole numbers is in their order.
  const left = Object.entries(replication.under_replicated_by_copies);
  const copies = left.map(([number, chunks]) => `${count(chunks, "chunk")} with ${number}`).join(", ");
  const speed = replication.repair_bytes_per_second;
  return `${bytes(replication.owed_bytes)}; copies left: ${copies}${speed ? `; ${rate(speed)}` : ""}`;
}

function sum(workers, name) {
  return workers.reduce((total, worker) => total + worker[name], 0);
}
