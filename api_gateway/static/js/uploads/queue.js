/** Which upload goes when: in the order given, a few at a time. Knows neither the document nor the protocol. */

import { numbered } from "../common/naming.js";
import { exclusively } from "./locks.js";
import { holdsSameBytes, storeFolder } from "./stored.js";
import { SMALL_FILE_BYTES, terminate, Transfer } from "./tus.js";
import { NameTaken } from "./verdict.js";
import { Upload } from "./upload.js";

// Three large files, or six small ones: browsers open six connections to one server.
const CAPACITY = 6;
const LARGE_COST = 2;
const DAY_MS = 86_400_000;
// Browsers keep five million letters for a page in all.
const MOST_WAITING = 2000;

export class Queue {
  /** @type {Upload[]} in the order given */
  uploads = [];
  /** Bytes that this page sent in all; what the server held already is not among them. */
  moved = 0;
  #memory;
  #events;
  #nextId = 1;
  #used = 0;
  // Everything before it is past waiting: a queue of thousands is not searched from its beginning each time.
  #firstWaiting = 0;

  /**
   * @param {import("./memory.js").Memory} memory
   * @param {{onChange: () => void, onStored: (upload: Upload, fileId: string|null) => void,
   *   onFailed: (upload: Upload) => void, onQuestion: (upload: Upload) => void}} events
   */
  constructor(memory, events) {
    this.#memory = memory;
    this.#events = events;
  }

  /**
   * @param {import("./sources.js").Entry[]} entries path: where each is to go
   * @param {import("./upload.js").Batch} batch
   */
  add(entries, batch) {
    const known = new Map(this.uploads.filter((one) => one.file && !one.isFinished).map((one) => [one.print, one]));
    for (const entry of entries) {
      const upload = new Upload(this.#nextId++, entry, batch);
      const earlier = known.get(upload.print);
      if (earlier === undefined) this.uploads.push(upload);
      else this.#giveAgain(earlier, entry.file);
    }
    this.#fill();
  }

  /** What the server has stays; resume() goes on from there. @param {Upload} upload */
  pause(upload) {
    if (upload.may("paused")) this.#stop(upload, "paused");
  }

  /** Also tries again what failed, and at once what waits for a retry. @param {Upload} upload */
  resume(upload) {
    if (upload.state === "retrying") upload.transfer?.hurry();
    else if (upload.may("waiting") && upload.state !== "asking") this.#requeue(upload);
  }

  /** The server forgets it. @param {Upload} upload */
  cancel(upload) {
    if (upload.may("cancelled")) this.#leaveOut(upload, "Cancelled");
  }

  /** Take what is finished out of the list. @param {Upload|null} one only this one, if given */
  clearFinished(one = null) {
    this.uploads = this.uploads.filter((upload) => !upload.isFinished || (one !== null && upload !== one));
    this.#firstWaiting = 0;
    this.#events.onChange();
  }

  /** Write down how far everything is, and what is still to come: the page is left. */
  remember() {
    const left = this.uploads.filter(({ file, state }) => file !== null && state !== "failed");
    const isBegun = ({ url, size }) => url !== null && size >= SMALL_FILE_BYTES;
    for (const upload of this.uploads) if (isBegun(upload)) this.#remember(upload);
    for (const upload of left.filter((one) => !isBegun(one)).slice(0, MOST_WAITING)) {
      this.#keep({ ...upload, url: null, sent: 0, expires: Date.now() + DAY_MS });
    }
  }

  /**
   * What to do about a name that is taken.
   * @param {Upload} upload in the state "asking" @param {"replace"|"keep"|"skip"} choice
   */
  answer(upload, choice) {
    if (upload.state !== "asking") return;
    if (choice === "skip") return this.#leaveOut(upload, "Skipped: there is a file of this name");
    if (choice === "replace") upload.mayReplace = true;
    else upload.path = numbered(upload.wanted, (upload.renames += 1));
    this.#requeue(upload);
  }

  #remember(upload) {
    // A small one is sent again sooner than its place is found.
    if (upload.size >= SMALL_FILE_BYTES) this.#keep(upload);
  }

  #keep({ print, url, path, wanted, size, sent, expires, file }) {
    const { name, lastModified } = file;
    this.#memory.keep(print, { url, path, wanted, name, size, lastModified, sent, expires });
  }

  /** The same file once more, in the same place: what stopped goes on. */
  #giveAgain(upload, file) {
    if (upload.state === "failed") upload.file = file;
    if (!upload.isRunning) this.resume(upload);
  }

  #requeue(upload) {
    upload.become("waiting");
    this.#firstWaiting = 0;
    this.#fill();
  }

  #stop(upload, state, note) {
    upload.become(state, note);
    upload.abort?.abort();
    this.#events.onChange();
  }

  #leaveOut(upload, note) {
    this.#stop(upload, "cancelled", note);
    this.#forget(upload);
  }

  #forget(upload) {
    this.#memory.drop(upload.print);
    if (upload.url !== null) terminate(upload.url);
    upload.url = null;
  }

  #fill() {
    for (let upload; (upload = this.#nextWaiting()); ) {
      const cost = upload.size < SMALL_FILE_BYTES ? 1 : LARGE_COST;
      if (this.#used + cost > CAPACITY) break;
      this.#used += cost;
      this.#run(upload).finally(() => {
        this.#used -= cost;
        this.#fill();
      });
    }
    this.#events.onChange();
  }

  /** An upload that was paused and resumed at once has to wait until its last request is gone. */
  #nextWaiting() {
    let first = null;
    for (let index = this.#firstWaiting; index < this.uploads.length; index += 1) {
      if (this.uploads[index].state !== "waiting") continue;
      first ??= index;
      if (this.uploads[index].abort === null) {
        this.#firstWaiting = first;
        return this.uploads[index];
      }
    }
    this.#firstWaiting = first ?? this.uploads.length;
    return null;
  }

  async #run(upload) {
    upload.become("sending");
    const { signal } = (upload.abort = new AbortController());
    try {
      this.#finish(upload, await this.#store(upload, signal));
    } catch (error) {
      if (!signal.aborted) await this.#explain(upload, error, signal);
    } finally {
      upload.abort = null;
      upload.transfer = null;
    }
    // Its address may have come after it was given up.
    if (upload.state === "cancelled" && upload.url !== null) this.#forget(upload);
  }

  #store(upload, signal) {
    if (upload.file === null) return storeFolder(upload.path, signal);
    return exclusively(upload.print, () => {
      this.#recall(upload);
      upload.transfer = new Transfer(upload, this.#hooks(upload));
      return upload.transfer.run(signal);
    });
  }

  /** Goes on where an earlier visit to the page stopped. */
  #recall(upload) {
    const known = upload.url === null && this.#memory.find(upload.print);
    if (!known) return;
    upload.url = known.url;
    upload.path = known.path;
  }

  #hooks(upload) {
    return {
      onAddress: (url, expires) => {
        upload.url = url;
        upload.expires = expires ?? Date.now() + DAY_MS;
        if (url === null) this.#memory.drop(upload.print);
        else this.#remember(upload);
      },
      onOffset: (bytes) => upload.startFrom(bytes),
      onProgress: (bytes) => {
        const sent = Math.min(bytes, upload.size);
        this.moved += Math.max(0, sent - upload.sent);
        upload.sent = sent;
        this.#events.onChange();
      },
      onRetry: (sentence, seconds) => {
        upload.become("retrying", `${sentence}: trying again in ${Math.ceil(seconds)} s`);
        this.#events.onChange();
      },
      onSend: () => upload.become("sending"),
    };
  }

  #finish(upload, fileId) {
    upload.url = null;
    upload.sent = upload.size;
    upload.become("done");
    this.#memory.drop(upload.print);
    this.#events.onStored(upload, fileId);
  }

  async #explain(upload, error, signal) {
    if (!(error instanceof NameTaken)) {
      upload.become("failed", error.message);
      return this.#events.onFailed(upload);
    }
    const isStored = await holdsSameBytes(upload.path, upload.file);
    if (signal.aborted) return;
    if (!isStored) return this.#settle(upload);
    this.#finish(upload, null);
    upload.note = "It was stored already";
  }

  #settle(upload) {
    // Nothing of it is kept at the server where the name was taken in the meantime.
    this.#forget(upload);
    upload.startFrom(0);
    upload.become("asking", "There is a file of this name");
    // Another name was asked for: the next one is tried without asking again.
    const choice = upload.renames > 0 ? "keep" : upload.batch.answer;
    if (choice !== null) this.answer(upload, choice);
    else this.#events.onQuestion(upload);
  }
}
