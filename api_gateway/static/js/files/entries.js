/** Entries of a listing: files, and folders, which are the beginnings that paths share. Knows the REST's /files. */

import { request } from "../common/api.js";
import { kindOf } from "./kinds.js";

/**
 * @typedef {{kind: string, path: string, name: string, key: string, id: string, size: number, changed: string,
 *   type: string, left?: number|string}} Entry key: its own among all entries; id: of a file, "" of a folder; path of a
 *   folder ends in "/"; left: seconds until it goes from the trash, or how that is said
 * @typedef {{prefix: string, search?: string, delimiter?: string, status?: string}} Query
 * @typedef {{entries: Entry[], next: string|null}} Page
 */

/**
 * One page of a listing.
 *
 * @param {Query} query
 * @param {{cursor?: string, until?: string, isReverse?: boolean, limit: number, signal?: AbortSignal}} part until: a
 *   cursor that it does not go beyond; isReverse: from the end, the last entry first
 * @returns {Promise<Page>}
 */
export async function fetchPage(query, { cursor = "", until = "", isReverse = false, limit, signal }) {
  const { prefix, search = "", delimiter = "", status = "" } = query;
  const parameters = new URLSearchParams({ prefix: prefix + search, limit: String(limit) });
  const order = isReverse ? "desc" : "";
  for (const [name, value] of Object.entries({ delimiter, status, cursor, until, order })) {
    if (value) parameters.set(name, value);
  }
  const listing = await request("GET", `/files?${parameters}`, { signal });
  const shown = status === "deleted" ? "" : prefix;
  const folders = listing.prefixes.map((path) => folderEntry(path, shown));
  // The folder's own entry is what makes an empty folder; it is no file in itself.
  const files = listing.files.filter((file) => file.path !== shown).map((file) => fileEntry(file, shown));
  return { entries: [...folders, ...files], next: listing.next_cursor };
}

/**
 * Every entry of a listing, page by page.
 *
 * @param {Query} query
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<Entry>}
 */
export async function* allEntries(query, signal) {
  let cursor = "";
  do {
    const page = await fetchPage(query, { cursor, limit: 1000, signal });
    yield* page.entries;
    cursor = page.next ?? "";
  } while (cursor);
}

/**
 * The files that entries stand for: folders with all that is below them, their own entries too.
 *
 * @param {AsyncIterable<Entry>|Iterable<Entry>} entries
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<{file: Entry, top: Entry}>} top: the entry that it belongs to
 */
export async function* filesOf(entries, signal) {
  for await (const top of entries) {
    if (top.id) yield { file: top, top };
    else for await (const file of allFilesBelow(top.path, signal)) yield { file, top };
  }
}

/**
 * @param {Object<string, any>} file its JSON
 * @param {string} prefix what its name leaves out
 * @returns {Entry}
 */
export function fileEntry(file, prefix) {
  const { path, file_id: id, size, modified_at: changed, content_type: type, expires_in_seconds: left } = file;
  const kind = path.endsWith("/") ? "folder" : kindOf(path, type);
  return { kind, path, name: path.slice(prefix.length), key: id, id, size, changed, type, left };
}

/** The folder that a path is in, "" at the top. */
export function parentOf(path) {
  return path.slice(0, path.replace(/\/$/, "").lastIndexOf("/") + 1);
}

/** The last segment of a path, without the slash of a folder. */
export function lastName(path) {
  return path.slice(parentOf(path).length).replace(/\/$/, "");
}

function folderEntry(path, prefix) {
  const name = path.slice(prefix.length, -1);
  return { kind: "folder", path, name, key: path, id: "", size: -1, changed: "", type: "" };
}

async function* allFilesBelow(prefix, signal) {
  let cursor = "";
  do {
    const parameters = new URLSearchParams({ prefix, limit: "1000", ...(cursor ? { cursor } : {}) });
    const listing = await request("GET", `/files?${parameters}`, { signal });
    yield* listing.files.map((file) => fileEntry(file, ""));
    cursor = listing.next_cursor ?? "";
  } while (cursor);
}
