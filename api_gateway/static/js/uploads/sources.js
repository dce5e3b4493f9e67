/** Files out of what a person drops, pastes or chooses, folders with all that is in them. Sends nothing. */

const AT_ONCE = 200;

/** @typedef {{path: string, file: File|null}} Entry a folder without files: no file, and a path that ends in "/" */

/**
 * Must be called while the event is handled: what was dropped is gone afterwards.
 * @param {DataTransfer} transfer @param {(path: string) => void} onUnreadable
 * @returns {AsyncGenerator<Entry[]>} many at once
 */
export function dropped(transfer, onUnreadable) {
  const items = Array.from(transfer.items ?? []).filter((item) => item.kind === "file");
  const roots = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
  return inBatches(walk(roots, onUnreadable));
}

/** @param {FileList} files of an input or the clipboard @returns {AsyncGenerator<Entry[]>} */
export function chosen(files) {
  const entries = Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
  return inBatches(entries);
}

/** Folders before and files as they come; nothing is held but the folders still to be read. */
async function* walk(roots, onUnreadable) {
  const waiting = roots.toReversed();
  while (waiting.length > 0) {
    const root = waiting.pop();
    if (root instanceof File) {
      yield { path: root.name, file: root };
      continue;
    }
    const path = root.fullPath.replace(/^\//, "");
    try {
      if (root.isFile) {
        yield { path, file: await fileOf(root) };
        continue;
      }
      const children = await childrenOf(root);
      if (children.length === 0) yield { path: `${path}/`, file: null };
      for (const child of children.toReversed()) waiting.push(child);
    } catch {
      onUnreadable(path);
    }
  }
}

function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** readEntries gives some at a time, and none at the end. */
async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return children;
    for (const child of some) children.push(child);
  }
}

/** The queue begins with the first while the rest is still read. */
async function* inBatches(entries) {
  let batch = [];
  for await (const entry of entries) {
    batch.push(entry);
    if (batch.length < AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
