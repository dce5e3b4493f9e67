/** What an answer that is no success means for an upload, and what to tell the person. */

// What passes: a lost race, a queue, a service that is restarted.
const PASSING = new Set([408, 409, 423, 425, 429, 500, 502, 503, 504]);
const LONGEST_WAIT_SECONDS = 300;
const LONGEST_BACKOFF_MS = 10_000;

/** The upload cannot go on as it is; the message is for the person. */
export class Refused extends Error {}

/** The path is taken, and the upload was to make a new file only. */
export class NameTaken extends Error {}

/** It may work later. after: seconds that the server asked for, or null; hasServerFailed: it answered 500. */
export class Passing extends Error {
  constructor(message, after = null, hasServerFailed = false) {
    super(message);
    this.after = after;
    this.hasServerFailed = hasServerFailed;
  }
}

/** The upload is not known any more: it begins anew. */
export class Forgotten extends Error {}

/**
 * @param {import("./transport.js").Reply} reply @param {{isKnown: boolean}} upload isKnown: its address was asked
 * @returns {Error} one of the classes above
 */
export function verdict(reply, { isKnown }) {
  const { status, problem } = reply;
  const detail = problem.detail ?? "";
  if (PASSING.has(status)) {
    return new Passing(passingSentence(status), retryAfter(reply.header("Retry-After")), status === 500);
  }
  if (isKnown && (status === 404 || status === 410)) return new Forgotten();
  if (status === 412) return new NameTaken();
  if (status === 401) return new Refused("You are signed out. Sign in in another tab, then retry.");
  if (status === 403) return new Refused(withDetail("You may not store a file here", detail));
  if (status === 413) return new Refused(withDetail("The file is larger than the store takes", detail));
  if (status === 507) return new Refused(withDetail("The store has no room for the file", detail));
  return new Refused(withDetail(problem.title ?? `The store answered ${status}`, detail));
}

/**
 * How long to wait before try number `failures`, with jitter, so that not all come back at once.
 * @param {number} failures 1 for the first @param {() => number} random
 * @returns {number} in ms
 */
export function backoff(failures, random = Math.random) {
  const longest = Math.min(LONGEST_BACKOFF_MS, 500 * 2 ** Math.min(failures - 1, 10));
  return longest * (0.5 + random() / 2);
}

function passingSentence(status) {
  if (status === 423 || status === 409) return "Another connection is sending this file";
  return "The store is busy";
}

/** Seconds, or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(text, now = Date.now()) {
  if (!text) return null;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), LONGEST_WAIT_SECONDS) : null;
}

function withDetail(sentence, detail) {
  return detail ? `${sentence}: ${detail}` : `${sentence}.`;
}
