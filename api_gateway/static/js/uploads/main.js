/** Puts the parts of the page's uploads together. */

import { count } from "../common/format.js";
import { toast } from "../common/toast.js";
import { openDropzone } from "./dropzone.js";
import { Interrupted } from "./interrupted.js";
import { Memory } from "./memory.js";
import { Panel } from "./panel.js";
import { Questions } from "./questions.js";
import { Queue } from "./queue.js";
import { Reporter } from "./reporter.js";

const memory = new Memory();
const reporter = new Reporter();
const queue = new Queue(memory, {
  onChange: () => panel.refresh(),
  onStored: ({ path, name }, fileId) => {
    document.dispatchEvent(new CustomEvent("dfs:stored", { detail: { path, file_id: fileId } }));
    reporter.note("stored", name);
  },
  onFailed: ({ name }) => reporter.note("failed", name),
  onQuestion: (upload) => questions.put(upload),
});
const questions = new Questions(queue);
const panel = new Panel(queue, (upload) => questions.put(upload));
const interrupted = new Interrupted(memory, queue, (entries, others) => {
  add(entries, { answer: null });
  const words = `${count(others, "file")} left out: only what was interrupted goes on here.`;
  if (others > 0) toast(words, { kind: entries.length ? "" : "error" });
});

openDropzone(take, (path) => toast(`“${path}” could not be read.`, { kind: "error" }));
addEventListener("pagehide", () => queue.remember());
interrupted.refresh();

/** Everything goes into the folder that is on show when it is given. */
async function take(batches) {
  const folder = document.body.dataset.prefix ?? "";
  const batch = { answer: null };
  for await (const entries of batches) {
    add(entries.map(({ path, file }) => ({ path: folder + path, file })), batch);
  }
}

function add(entries, batch) {
  queue.add(entries, batch);
  interrupted.changed();
}
