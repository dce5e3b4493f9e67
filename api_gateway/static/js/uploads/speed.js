/** How fast something goes: an average that forgets within seconds, and keeps no samples. */

const MEMORY_MS = 5000;
const SHORTEST_STEP_MS = 200;

export class SpeedMeter {
  #bytes = 0;
  #time = null;
  #speed = null;

  /** Go on from here: these bytes were not sent just now. @param {number} bytes @param {number} now in ms */
  restart(bytes, now = performance.now()) {
    this.#bytes = bytes;
    this.#time = now;
    this.#speed = null;
  }

  /** So many bytes are sent in all by now. @param {number} bytes @param {number} now in ms */
  note(bytes, now = performance.now()) {
    if (this.#time === null || bytes < this.#bytes) return this.restart(bytes, now);
    const elapsed = now - this.#time;
    if (elapsed < SHORTEST_STEP_MS) return;
    const rate = ((bytes - this.#bytes) * 1000) / elapsed;
    const weight = 1 - Math.exp(-elapsed / MEMORY_MS);
    this.#speed = this.#speed === null ? rate : this.#speed + weight * (rate - this.#speed);
    this.#bytes = bytes;
    this.#time = now;
  }

  /** @returns {number} 0 while nothing is known. */
  get bytesPerSecond() {
    return this.#speed ?? 0;
  }

  /** @param {number} bytesLeft @returns {number|null} null while that cannot be told. */
  secondsLeft(bytesLeft) {
    return this.bytesPerSecond > 1 ? bytesLeft / this.bytesPerSecond : null;
  }
}
