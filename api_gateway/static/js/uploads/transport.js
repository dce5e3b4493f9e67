/** One HTTP request with the progress of its body, which fetch() does not tell. Knows nothing of uploads. */

import { BY_SCRIPT } from "../common/api.js";

// A connection that moves no byte for so long is taken for lost: a machine that slept is never told.
const SILENCE_MS = 60_000;
// The end of a large file may have to be read back before it is answered.
const SILENCE_AT_THE_END_MS = 900_000;

/** No answer came; whether the request was carried out is not known. */
export class ConnectionLost extends Error {}

/**
 * @typedef {{status: number, header: (name: string) => string|null, problem: {title?: string, detail?: string}}} Reply
 */

/**
 * @param {string} method @param {string} url
 * @param {{headers?: Object<string, string>, body?: Blob|null, onProgress?: (bytes: number) => void,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<Reply>} whatever its status is; rejects with ConnectionLost, or the signal's reason
 */
export function send(method, url, { headers = {}, body = null, onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    let timer;
    const stop = () => request.abort();
    const watch = (milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(stop, milliseconds);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries({ ...BY_SCRIPT, ...headers })) request.setRequestHeader(name, value);
    if (body !== null) {
      request.upload.onprogress = ({ loaded }) => (watch(SILENCE_MS), onProgress(loaded));
      request.upload.onload = () => watch(SILENCE_AT_THE_END_MS);
    }
    request.onload = () => resolve(replyOf(request));
    request.onerror = () => reject(new ConnectionLost());
    request.onabort = () => reject(signal?.aborted ? signal.reason : new ConnectionLost());
    request.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    signal?.addEventListener("abort", stop);
    watch(body === null ? SILENCE_AT_THE_END_MS : SILENCE_MS);
    request.send(body);
  });
}

function replyOf(request) {
  let problem = {};
  try {
    problem = JSON.parse(request.responseText) ?? {};
  } catch {
    // A proxy's page, or no body at all.
  }
  return { status: request.status, header: (name) => request.getResponseHeader(name), problem };
}
