/** Drain and undrain: what will happen is said before it does. */

import { request } from "../common/api.js";
import { ask } from "../common/dialog.js";
import { bytes, count } from "../common/format.js";

/**
 * Ask, and give the order.
 *
 * @param {string} verb drain or undrain
 * @param {string} name of the worker
 * @param {any} cluster as /cluster last said it
 * @returns {Promise<string>} what has happened, "" when nothing
 */
export async function orderDrain(verb, name, cluster) {
  const isDrain = verb === "drain";
  const title = isDrain ? `Drain ${name}?` : `Take ${name} back?`;
  const text = isDrain
    ? whatDrainDoes(name, cluster)
    : "It takes new chunks again and keeps what it still has. What was copied away stays there.";
  const answer = await ask({ title, text, choices: [{ value: verb, label: title.slice(0, -1), kind: "primary" }] });
  if (answer === null) return "";
  await request("POST", `/cluster/workers/${encodeURIComponent(name)}/${verb}`);
  return isDrain ? `${name} is being drained.` : `${name} is taken back.`;
}

function whatDrainDoes(name, { workers, replication }) {
  const worker = workers.find((one) => one.worker_id === name);
  const others = workers.filter((one) => one.state === "alive" && one !== worker).length;
  const needed = replication.replication_factor;
  const what =
    `${count(worker.chunk_count, "chunk")} (${bytes(worker.used_bytes)}) are copied to other workers. ` +
    "Meanwhile it serves what it has, and takes nothing new. You can take it back at any time.";
  return others < needed
    ? `${what}\n\nIt cannot become empty now: ${needed} other workers are needed, and there are ${others}.`
    : what;
}
