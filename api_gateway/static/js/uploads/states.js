/** The life of one upload as a table: which states may follow each. */

const FOLLOWING = {
  waiting: ["sending", "paused", "cancelled"],
  sending: ["waiting", "retrying", "asking", "paused", "done", "failed", "cancelled"],
  retrying: ["sending", "waiting", "asking", "paused", "done", "failed", "cancelled"],
  asking: ["waiting", "done", "cancelled"],
  // The last answer may be on its way while it is stopped.
  paused: ["waiting", "done", "cancelled"],
  failed: ["waiting", "cancelled"],
  done: [],
  cancelled: ["done"],
};
const RUNNING = new Set(["sending", "retrying"]);
const FINISHED = new Set(["done", "cancelled"]);

/**
 * The state that comes after `state`.
 * @param {string} state @param {string} next
 * @returns {string} `next`; throws for a step that the table does not have.
 */
export function follow(state, next) {
  if (!FOLLOWING[state].includes(next)) throw new Error(`an upload cannot go from ${state} to ${next}`);
  return next;
}

/** @param {string} state @param {string} next @returns {boolean} */
export const mayFollow = (state, next) => FOLLOWING[state].includes(next);

/** Whether a request of it is, or is about to be, on its way. @param {string} state @returns {boolean} */
export const isRunning = (state) => RUNNING.has(state);

/** Whether nothing more will become of it. @param {string} state @returns {boolean} */
export const isFinished = (state) => FINISHED.has(state);
