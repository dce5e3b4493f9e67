/** Where unfinished uploads stopped, kept by the browser over reloads. Holds addresses, never bytes of files. */

const KEY = "dfs-upload\n";

/**
 * What tells a file that is chosen again from another one.
 * @param {string} path where it was to go @param {File} file
 * @returns {string}
 */
export function fingerprint(path, { name, size, lastModified }) {
  return [path, name, size, lastModified].join("\n");
}

/**
 * @typedef {{url: string|null, path: string, wanted: string, name: string, size: number, lastModified: number,
 *   sent: number, expires: number}} Unfinished url: null where it had not begun; path: the name it got;
 *   wanted: the one it was to have; expires: in ms
 */

export class Memory {
  #storage;
  #now;

  /** Several tabs share one storage; each entry is written by the tab that sends the file. */
  constructor(storage = localStorage, now = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** @param {string} print @returns {Unfinished|null} null for what is not known, or too old */
  find(print) {
    const entry = JSON.parse(this.#storage.getItem(KEY + print));
    if (entry && entry.expires > this.#now()) return entry;
    this.drop(print);
    return null;
  }

  /** @param {string} print @param {Unfinished} entry */
  keep(print, entry) {
    try {
      this.#storage.setItem(KEY + print, JSON.stringify(entry));
    } catch {
      // A full storage costs going on after a reload, not the upload.
    }
  }

  /** @param {string} print */
  drop(print) {
    this.#storage.removeItem(KEY + print);
  }

  /** @returns {Map<string, Unfinished>} by fingerprint; what is too old is dropped on the way */
  all() {
    const keys = Object.keys(this.#storage).filter((key) => key.startsWith(KEY));
    const found = keys.map((key) => key.slice(KEY.length)).map((print) => [print, this.find(print)]);
    return new Map(found.filter(([, entry]) => entry));
  }
}
