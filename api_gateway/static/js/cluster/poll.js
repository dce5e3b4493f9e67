/** Asks the gateway again and again: one request at a time, more rarely while it fails or nobody looks. */

import { ApiError, explain, request } from "../common/api.js";

const SECONDS = 2;
const HIDDEN_SECONDS = 15;
const MOST_SECONDS = 30;
const PATIENCE_SECONDS = 10;

/**
 * @typedef {{at: number, failures: number, problem: string, nextAt: number, isPaused: boolean}} Freshness
 *   at: when the last answer came, nextAt: when the next is asked for, both as performance.now has it
 */

/**
 * @param {string} path
 * @param {(answer: any) => void} onAnswer
 * @param {(problem: string) => void} onFailure
 * @returns {{freshness: Freshness, soon: () => void, pause: (isPaused: boolean) => void}} soon: ask now
 */
export function poll(path, onAnswer, onFailure) {
  const freshness = { at: 0, failures: 0, problem: "", nextAt: 0, isPaused: false };
  let timer = 0;
  let isAsking = false;

  function wait(seconds) {
    clearTimeout(timer);
    if (freshness.isPaused) return;
    freshness.nextAt = performance.now() + seconds * 1000;
    timer = setTimeout(ask, seconds * 1000);
  }

  async function ask() {
    if (isAsking) return;
    isAsking = true;
    try {
      const answer = await request("GET", path, { signal: AbortSignal.timeout(PATIENCE_SECONDS * 1000) });
      Object.assign(freshness, { at: performance.now(), failures: 0, problem: "" });
      onAnswer(answer);
    } catch (error) {
      freshness.failures += 1;
      freshness.problem = error.name === "TimeoutError" ? "The gateway does not answer in time." : explain(error);
      // A mistake of this page is to be seen where mistakes are looked for.
      if (!(error instanceof ApiError)) console.error(error);
      onFailure(freshness.problem);
    } finally {
      isAsking = false;
    }
    wait(Math.min(MOST_SECONDS, (document.hidden ? HIDDEN_SECONDS : SECONDS) * 2 ** freshness.failures));
  }

  const soon = () => wait(0);
  document.addEventListener("visibilitychange", () => document.hidden || soon());
  window.addEventListener("online", soon);
  return {
    freshness,
    soon,
    pause: (isPaused) => {
      freshness.isPaused = isPaused;
      soon();
    },
  };
}
