/** One HTTP request with the progress of its body, which fetch() does not tell. Knows nothing of uploads. */

// A connection that moves no byte for so long is taken for lost: a machine that slept is never told.
const SILENCE_WHILE_SENDING_MS = 60_000;
// The end of a large file may have to be read back before it is answered.
const SILENCE_AFTER_SENDING_MS = 900_000;
const SILENCE_WITHOUT_BODY_MS = 300_000;

/** No answer came. Whether the request was carried out is not known. */
export class ConnectionLost extends Error {}

/**
 * @typedef {{status: number, header: (name: string) => string|null, problem: {title?: string, detail?: string,
 *   code?: string}}} Reply
 */

/**
 * @param {string} method @param {string} url
 * @param {{headers?: Object<string, string>, body?: Blob|null, onProgress?: (bytes: number) => void,
 *   signal?: AbortSignal}} options
 * @returns {Promise<Reply>} whatever its status is; rejects with ConnectionLost, or the signal's reason.
 */
export function send(method, url, { headers = {}, body = null, onProgress = null, signal } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const watch = silenceWatch(stop);
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (body !== null) {
      request.upload.onprogress = (event) => {
        watch.extend(SILENCE_WHILE_SENDING_MS);
        onProgress?.(event.loaded);
      };
      request.upload.onload = () => watch.extend(SILENCE_AFTER_SENDING_MS);
    }
    request.onload = () => resolve(reply(request));
    request.onerror = () => reject(new ConnectionLost());
    request.onabort = () => reject(signal?.aborted ? signal.reason : new ConnectionLost());
    request.onloadend = () => {
      watch.end();
      signal?.removeEventListener("abort", stop);
    };
    signal?.addEventListener("abort", stop);
    watch.extend(body === null ? SILENCE_WITHOUT_BODY_MS : SILENCE_WHILE_SENDING_MS);
    request.send(body);
  });
}

function silenceWatch(onSilence) {
  let timer;
  return {
    extend(milliseconds) {
      clearTimeout(timer);
      timer = setTimeout(onSilence, milliseconds);
    },
    end: () => clearTimeout(timer),
  };
}

function reply(request) {
  return {
    status: request.status,
    header: (name) => request.getResponseHeader(name),
    problem: problemOf(request),
  };
}

function problemOf(request) {
  if (!request.getResponseHeader("Content-Type")?.includes("json")) return {};
  try {
    return JSON.parse(request.responseText) ?? {};
  } catch {
    return {};
  }
}
