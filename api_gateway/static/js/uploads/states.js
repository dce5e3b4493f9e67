/** The life of one upload as a table: which states may follow each. */

const FOLLOWING = {
  waiting: ["sending", "paused", "cancelled"],
  sending: ["retrying", "asking", "paused", "done", "failed", "cancelled"],
  retrying: ["sending", "asking", "paused", "done", "failed", "cancelled"],
  asking: ["waiting", "cancelled"],
  failed: ["waiting", "cancelled"],
  // The last answer may be on its way while it is stopped.
  paused: ["waiting", "done", "cancelled"],
  cancelled: ["done"],
  done: [],
};

/** @type {(state: string, next: string) => boolean} */
export const mayFollow = (state, next) => FOLLOWING[state].includes(next);

/** @type {(state: string) => boolean} whether its requests are under way, or about to be */
export const isRunning = (state) => state === "sending" || state === "retrying";

/** @type {(state: string) => boolean} whether nothing more will become of it */
export const isFinished = (state) => state === "done" || state === "cancelled";
