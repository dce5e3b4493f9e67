/** What an answer that is no success means for an upload, and what to tell the person. */

// What passes: a lost race, a queue, a service that is restarted.
const PASSING = [408, 409, 423, 425, 429, 500, 502, 503, 504];
const LONGEST_WAIT_SECONDS = 300;
const LONGEST_BACKOFF_MS = 10_000;

/** The upload cannot go on as it is; the message is for the person. */
export class Refused extends Error {}

/** The path is taken, and the upload was to make a new file only. */
export class NameTaken extends Error {}

/** The server does not know the upload any more: it begins anew. */
export class Forgotten extends Error {}

/** It may work later. */
export class Passing extends Error {
  /** @param {string} message @param {number|null} after in seconds, as the server asked @param {number} status */
  constructor(message, after = null, status = 0) {
    super(message);
    this.after = after;
    this.status = status;
  }
}

/**
 * @param {import("./transport.js").Reply} reply @param {boolean} isKnown whether an upload's own address was asked
 * @returns {Error} one of the classes above
 */
export function verdict({ status, problem, header }, isKnown) {
  if (PASSING.includes(status)) {
    const isShared = status === 423 || status === 409;
    const message = isShared ? "Another connection was sending this file" : "The store is busy";
    return new Passing(message, retryAfter(header("Retry-After")), status);
  }
  if (isKnown && (status === 404 || status === 410)) return new Forgotten();
  if (status === 412) return new NameTaken();
  if (status === 401) return new Refused("You are signed out. Sign in in another tab, then retry.");
  const sentences = {
    403: "You may not store a file here",
    413: "The file is larger than the store takes",
    507: "The store has no room for the file",
  };
  const sentence = sentences[status] ?? problem.title ?? `The store answered ${status}`;
  return new Refused(problem.detail ? `${sentence}: ${problem.detail}` : `${sentence}.`);
}

/**
 * How long to wait after so many failures, with jitter, so that not all come back at once.
 * @param {number} failures 1 for the first @param {() => number} [random]
 * @returns {number} in ms
 */
export function backoff(failures, random = Math.random) {
  return Math.min(LONGEST_BACKOFF_MS, 250 * 2 ** Math.min(failures, 10)) * (0.5 + random() / 2);
}

/** Seconds, or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(text) {
  if (!text) return null;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.min(Math.max(seconds, 0), LONGEST_WAIT_SECONDS);
}
