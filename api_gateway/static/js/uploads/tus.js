/**
 * One file's way to the server by tus 1.0.0: created, sent in slices, gone on with where the server says it stopped.
 * Touches neither the document nor the queue. A slice is a reference into the file on disk: its bytes never lie in the
 * page's memory.
 */

import { ConnectionLost, send } from "./transport.js";
import { backoff, Forgotten, Passing, Refused, verdict } from "./verdict.js";

export const SMALL_FILE_BYTES = 4 * 2 ** 20;
const SLICE_BYTES = 32 * 2 ** 20;
// Some proxies take small bodies only; 1 MiB is the least that is common.
const LEAST_SLICE_BYTES = 2 ** 20;
// A server that fails again and again without any progress needs a person.
const MOST_SERVER_FAILURES = 8;
const VERSION = { "Tus-Resumable": "1.0.0" };
const OCTETS = { "Content-Type": "application/offset+octet-stream" };

/**
 * @typedef {Object} Hooks
 * @property {(url: string|null, expires: number|null) => void} onAddress where to go on after a reload, until when
 * @property {(bytes: number) => void} onOffset what the server holds, as it said
 * @property {(bytes: number) => void} onProgress what is there or on its way
 * @property {(sentence: string, seconds: number) => void} onRetry it waits
 * @property {() => void} onSend it goes on
 */

export class Transfer {
  #file;
  #metadata;
  #url;
  #hooks;
  #offset = null;
  #farthest = 0;
  #slice = SLICE_BYTES;
  #isSentWhole;
  #failures = 0;
  #wake = () => {};

  /**
   * @param {{file: File, path: string, mayReplace: boolean, url: string|null}} upload url: begun earlier, goes on
   * @param {Hooks} hooks
   */
  constructor({ file, path, mayReplace, url }, hooks) {
    this.#file = file;
    this.#metadata = metadata({ path, filetype: file.type, if_none_match: mayReplace ? "" : "*" });
    this.#url = url;
    this.#hooks = hooks;
    this.#isSentWhole = file.size < SMALL_FILE_BYTES;
  }

  /**
   * Until the file is stored.
   * @param {AbortSignal} signal pauses it: what arrived stays
   * @returns {Promise<string|null>} the file's id, where it was told; rejects with Refused, NameTaken or the signal's
   *   reason
   */
  async run(signal) {
    for (;;) {
      try {
        this.#hooks.onSend();
        const reply = await this.#step(signal);
        if (this.#offset === this.#file.size) return reply.header("X-DFS-File-Id");
      } catch (error) {
        signal.throwIfAborted();
        await this.#recover(error, signal);
      }
    }
  }

  /** Try again at once instead of waiting on. */
  hurry() {
    this.#wake();
  }

  #step(signal) {
    if (this.#url === null) return this.#create(signal);
    return this.#offset === null ? this.#ask(signal) : this.#sendSlice(signal);
  }

  async #create(signal) {
    const body = this.#isSentWhole ? this.#file : null;
    // The next try, if there is one, asks first: a refusal may be lost where a body is still on its way.
    this.#isSentWhole = false;
    const headers = { "Upload-Length": this.#file.size, "Upload-Metadata": this.#metadata, ...(body && OCTETS) };
    const reply = await this.#send("POST", "/uploads", headers, { signal, body, onProgress: this.#hooks.onProgress });
    // The path alone: behind a proxy, the server may not know the address under which it is seen.
    this.#url = new URL(reply.header("Location"), location.href).pathname;
    this.#accept(Number(reply.header("Upload-Offset") ?? 0), reply);
    return reply;
  }

  async #ask(signal) {
    const reply = await this.#send("HEAD", this.#url, {}, { signal });
    this.#accept(offsetOf(reply), reply);
    this.#hooks.onOffset(this.#offset);
    return reply;
  }

  async #sendSlice(signal) {
    const start = this.#offset;
    const body = this.#file.slice(start, start + this.#slice);
    const onProgress = (bytes) => this.#hooks.onProgress(start + bytes);
    // Until it is answered nobody knows how much of it arrived.
    this.#offset = null;
    const headers = { "Upload-Offset": start, ...OCTETS };
    const reply = await this.#send("PATCH", this.#url, headers, { signal, body, onProgress });
    const offset = offsetOf(reply);
    if (offset <= start) throw new Passing("The store took nothing");
    this.#accept(offset, reply);
    return reply;
  }

  async #send(method, url, headers, options) {
    const reply = await send(method, url, { ...options, headers: { ...VERSION, ...headers } });
    if (reply.status === 413 && options.body && this.#slice > LEAST_SLICE_BYTES) {
      this.#slice = Math.max(LEAST_SLICE_BYTES, this.#slice / 4);
      throw new Passing("The store takes less at once", 0);
    }
    if (reply.status >= 300) throw verdict(reply, url === this.#url);
    return reply;
  }

  #accept(offset, reply) {
    // It cannot hold more than there is: whatever it holds is not this file.
    if (offset > this.#file.size) throw new Forgotten();
    this.#offset = offset;
    if (offset > this.#farthest) this.#failures = 0;
    this.#farthest = Math.max(offset, this.#farthest);
    this.#hooks.onAddress(this.#url, Date.parse(reply.header("Upload-Expires")) || null);
  }

  async #recover(error, signal) {
    if (error instanceof Forgotten) this.#forget();
    else if (error instanceof ConnectionLost) await requireReadable(this.#file);
    else if (!(error instanceof Passing)) throw error;
    this.#failures += 1;
    if (error.status === 500 && this.#failures >= MOST_SERVER_FAILURES) {
      throw new Refused("The store failed again and again. Retry later.");
    }
    const milliseconds = error.after != null ? error.after * 1000 : backoff(this.#failures);
    this.#hooks.onRetry(error.message || "The connection was lost", milliseconds / 1000);
    await pause(milliseconds, signal, (wake) => (this.#wake = wake));
  }

  #forget() {
    this.#url = null;
    this.#offset = null;
    this.#farthest = 0;
    this.#hooks.onAddress(null, null);
    this.#hooks.onOffset(0);
  }
}

/** Give up an upload; what cannot be told to the server now expires there by itself. @param {string} url */
export async function terminate(url) {
  await send("DELETE", url, { headers: VERSION }).catch(() => {});
}

/** Wait; the network's return, or a call of `wake`, ends it early. */
function pause(milliseconds, signal, onStart) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
    onStart(end);
  });
}

/** Upload-Metadata: names and base64 of UTF-8; what is empty is left out. */
function metadata(fields) {
  const given = Object.entries(fields).filter(([, text]) => text);
  return given.map(([name, text]) => `${name} ${base64(text)}`).join(",");
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function offsetOf(reply) {
  const text = reply.header("Upload-Offset");
  if (!/^\d+$/.test(text ?? "")) throw new Passing("The answer was not understood");
  return Number(text);
}

/** The browser reports a file that was changed or removed as a lost connection: that would be tried for ever. */
async function requireReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Refused("The file was changed, moved or removed on your device. Choose it again.");
  }
}
