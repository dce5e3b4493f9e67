/** What can be done to files and folders: new folder, rename, move, delete, each with a way back. */

import { explain, fsPath, request } from "../common/api.js";
import { ask, askText } from "../common/dialog.js";
import { count } from "../common/format.js";
import { may } from "../common/rights.js";
import { toast } from "../common/toast.js";
import { Conflicts } from "./conflicts.js";
import { filesOf, lastName, parentOf } from "./entries.js";
import { reportFailures, runJob } from "./jobs.js";
import { problemOf, stemLength } from "./names.js";
import { pickFolder } from "./picker.js";

/** @typedef {import("./entries.js").Entry} Entry */

/**
 * Ask for a name and make a folder.
 *
 * @param {string} prefix
 * @returns {Promise<string|null>} its path
 */
export async function newFolder(prefix) {
  const check = (name) => problemOf(name, prefix);
  const name = await askText({ title: "New folder", label: "Name of the folder", action: "Make folder", check });
  if (name === null) return null;
  const path = `${prefix}${name}/`;
  try {
    await makeFolder(path);
  } catch (error) {
    toast(error.status === 412 ? `There is already a folder “${name}” here.` : explain(error), { kind: "error" });
    return null;
  }
  toast(`The folder “${name}” was made.`);
  return path;
}

/** Make a folder's own entry, which holds no bytes. Fails with status 412 where there is one. */
export function makeFolder(path) {
  const headers = { "If-None-Match": "*", "Content-Type": "application/octet-stream" };
  return request("PUT", fsPath(path), { body: "", headers });
}

/**
 * Ask for another name.
 *
 * @param {Entry} entry
 * @param {() => void} onchange after each change
 * @returns {Promise<string|null>} the new path
 */
export async function rename(entry, onchange) {
  const [folder, before] = [parentOf(entry.path), lastName(entry.path)];
  const isFolder = entry.path.endsWith("/");
  const name = await askText({
    title: isFolder ? "Rename the folder" : "Rename the file",
    label: "New name",
    value: before,
    select: isFolder ? before.length : stemLength(before),
    action: "Rename",
    check: (text) => problemOf(text, folder),
  });
  if (name === null || name === before) return null;
  const target = `${folder}${name}${isFolder ? "/" : ""}`;
  const isMerged = isFolder && (await isThere(target));
  if (isMerged && !(await isMergeMeant(name))) return null;
  const did = (number) => (isMerged ? `${count(number, "file")} moved to “${name}”.` : `“${before}” is now “${name}”.`);
  const words = { doing: "Renaming", did, failed: "Not everything was renamed" };
  await relocate([entry], () => target, words, onchange);
  return target;
}

async function isThere(folder) {
  const { files } = await request("GET", `/files?${new URLSearchParams({ prefix: folder, limit: "1" })}`);
  return files.length > 0;
}

async function isMergeMeant(name) {
  const answer = await ask({
    title: `Merge with the folder “${name}”?`,
    text: `There is already a folder of this name. The files of both would be in it; names that both have are asked about.`,
    choices: [{ value: "merge", label: "Merge" }],
  });
  return answer !== null;
}

/**
 * Ask for a folder and move entries there.
 *
 * @param {Entry[]|null} entries null: too many to be named
 * @param {(signal?: AbortSignal) => AsyncIterable<Entry>} list the same
 * @param {string} from the folder they are in
 * @param {() => void} onchange
 */
export async function move(entries, list, from, onchange) {
  const what = entries?.length === 1 ? `“${lastName(entries[0].path)}”` : "the selected entries";
  const target = await pickFolder({ title: `Move ${what} to`, start: from });
  if (target !== null) await moveTo(entries ?? list, target, onchange);
}

/**
 * Move entries into a folder.
 *
 * @param {Entry[]|((signal?: AbortSignal) => AsyncIterable<Entry>)} entries
 * @param {string} target
 * @param {() => void} onchange
 */
export async function moveTo(entries, target, onchange) {
  const isInside = (entry) => entry.path.endsWith("/") && target.startsWith(entry.path);
  if (Array.isArray(entries) && entries.some(isInside)) {
    toast("A folder cannot be moved into itself.", { kind: "error" });
    return;
  }
  const place = target ? `“${lastName(target)}”` : "“All files”";
  const words = {
    doing: "Moving",
    did: (number) => `${count(number, "file")} moved to ${place}.`,
    failed: "Not everything was moved",
  };
  const newPath = (entry) => `${target}${lastName(entry.path)}${entry.path.endsWith("/") ? "/" : ""}`;
  await relocate(entries, newPath, words, onchange);
}

/**
 * Put entries into the trash.
 *
 * @param {Entry[]|null} entries null: too many to be named
 * @param {(signal?: AbortSignal) => AsyncIterable<Entry>} list the same
 * @param {() => void} onchange
 */
export async function remove(entries, list, onchange) {
  if (!(await isDeletionMeant(entries))) return;
  const { done, failed, isStopped } = await runJob(
    "Deleting",
    (signal) => filesOf(list(signal), signal),
    ({ file }, signal) => request("DELETE", `/files/${file.id}`, { signal }),
  );
  onchange();
  if (failed.length) reportFailures("Not everything was deleted", failed, ({ file }) => file.path);
  if (!done.length) return;
  const name = entries?.length === 1 ? `“${lastName(entries[0].path)}”` : count(done.length, "file");
  const undo = { label: "Undo", run: () => undoDeletion(done, onchange) };
  toast(`${name} moved to the trash${isStopped ? ", then stopped" : ""}.`, { action: may("write") ? undo : undefined });
}

async function isDeletionMeant(entries) {
  if (entries !== null && entries.every((entry) => entry.id)) return true;
  const single = entries?.length === 1 ? `the folder “${lastName(entries[0].path)}”` : "the selected entries";
  const answer = await ask({
    title: `Delete ${single}?`,
    text: "All files in it move to the trash, one by one. From there they can be restored until the retention ends.",
    choices: [{ value: "delete", label: "Delete", kind: "danger" }],
  });
  return answer !== null;
}

async function undoDeletion(deleted, onchange) {
  const conflicts = new Conflicts(true);
  const { done, failed } = await runJob(
    "Restoring",
    async function* () {
      yield* deleted;
    },
    async ({ file }, signal) => {
      const restore = (path) => request("POST", `/files/${file.id}/restore`, { body: { path }, signal });
      return (await conflicts.settle(restore, file.path)) !== null;
    },
  );
  onchange();
  if (failed.length) reportFailures("Not everything was restored", failed, ({ file }) => file.path);
  if (done.length) toast(`${count(done.length, "file")} restored.`);
}

/** Give every file another path: that of its entry, as `newPath` says, and below a folder the same as before. */
async function relocate(entries, newPath, words, onchange) {
  const list = Array.isArray(entries) ? () => entries : entries;
  const conflicts = new Conflicts(!Array.isArray(entries) || entries.length > 1 || entries[0].path.endsWith("/"));
  const moved = [];
  const { failed } = await runJob(
    words.doing,
    (signal) => filesOf(list(signal), signal),
    async ({ file, top }, signal) => {
      const target = newPath(top) + file.path.slice(top.path.length);
      if (target === file.path) return false;
      const place = (path) => request("PATCH", `/files/${file.id}`, { body: { path }, signal });
      const onown = () => request("DELETE", `/files/${file.id}`, { signal });
      const path = await conflicts.settle(place, target, { onown });
      if (path !== null) moved.push({ id: file.id, from: file.path });
      return path !== null;
    },
  );
  await onchange();
  if (failed.length) reportFailures(words.failed, failed, ({ file }) => file.path);
  if (moved.length) {
    toast(words.did(moved.length), { action: { label: "Undo", run: () => undoRelocation(moved, onchange) } });
  }
}

async function undoRelocation(moved, onchange) {
  const conflicts = new Conflicts(true);
  const { done, failed } = await runJob(
    "Moving back",
    async function* () {
      yield* moved;
    },
    async ({ id, from }, signal) => {
      const place = (path) => request("PATCH", `/files/${id}`, { body: { path }, signal });
      return (await conflicts.settle(place, from)) !== null;
    },
  );
  onchange();
  if (failed.length) reportFailures("Not everything was moved back", failed, ({ from }) => from);
  if (done.length) toast(`${count(done.length, "file")} moved back.`);
}
