/** How fast something goes: an average that forgets within seconds, and keeps no samples. */

const MEMORY_MS = 5000;
const SHORTEST_STEP_MS = 200;
// The first megabytes only fill the buffers on the way.
const SURE_AFTER_MS = 2000;

export class SpeedMeter {
  bytesPerSecond = 0;
  #bytes = 0;
  #time = null;
  #start = 0;

  /** Go on from here: these bytes were not sent just now. @param {number} bytes @param {number} [now] in ms */
  restart(bytes, now = performance.now()) {
    this.bytesPerSecond = 0;
    this.#bytes = bytes;
    this.#time = now;
    this.#start = now;
  }

  /** So many bytes are sent in all by now. @param {number} bytes @param {number} [now] in ms */
  note(bytes, now = performance.now()) {
    if (this.#time === null || bytes < this.#bytes) return this.restart(bytes, now);
    const elapsed = now - this.#time;
    if (elapsed < SHORTEST_STEP_MS) return;
    const speed = ((bytes - this.#bytes) * 1000) / elapsed;
    const weight = this.bytesPerSecond ? 1 - Math.exp(-elapsed / MEMORY_MS) : 1;
    this.bytesPerSecond += weight * (speed - this.bytesPerSecond);
    this.#bytes = bytes;
    this.#time = now;
  }

  /** @param {number} bytesLeft @returns {number|null} null while that cannot be told */
  secondsLeft(bytesLeft) {
    const isSure = this.bytesPerSecond > 1 && this.#time - this.#start >= SURE_AFTER_MS;
    return isSure ? bytesLeft / this.bytesPerSecond : null;
  }
}
