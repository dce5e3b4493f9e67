/** Requests to the gateway: JSON in, JSON out, and every failure one kind of error with a sentence for people. */

/** What went wrong. status 0: there was no answer. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code stable, as in the gateway's problem+json
   * @param {string} detail a sentence
   * @param {number} [retryAfter] seconds
   */
  constructor(status, code, detail, retryAfter = 0) {
    super(detail);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/** So that a session that has ended is told to the script, and the browser does not ask for a password by itself. */
export const BY_SCRIPT = { "X-Requested-With": "XMLHttpRequest" };

/**
 * Ask the gateway. A session that has ended leads to the sign-in page and back.
 *
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, signal?: AbortSignal, headers?: Object<string, string>}} [options]
 *   body: text and Blobs are sent as they are, every other value as JSON
 * @returns {Promise<any>} the JSON of the answer, null where it has none
 * @throws {ApiError} AbortError when the signal says so
 */
export async function request(method, path, { body, signal, headers = {} } = {}) {
  const isRaw = typeof body === "string" || body instanceof Blob || body instanceof FormData;
  const isJson = body !== undefined && !isRaw;
  const sent = { Accept: "application/json", ...BY_SCRIPT, ...(isJson ? { "Content-Type": "application/json" } : {}), ...headers };
  let answer;
  try {
    // The browser itself adds Origin to every change, which the gateway wants of its own page.
    answer = await fetch(path, { method, headers: sent, body: isJson ? JSON.stringify(body) : body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "offline", "The gateway does not answer. Check the connection, then try again.");
  }
  if (!answer.ok) throw await refusal(answer);
  return isJsonAnswer(answer) ? answer.json() : null;
}

/**
 * A sentence about any error, for people.
 *
 * @param {any} error
 * @returns {string}
 */
export function explain(error) {
  if (error instanceof ApiError && error.code === "right_missing") return `You are not allowed to: ${error.detail}.`;
  const text = error instanceof ApiError ? error.detail : "Something in this page went wrong. Reload it and try again.";
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

/**
 * The path of a URL for a stored file, each segment escaped.
 *
 * @param {string} path
 * @returns {string}
 */
export function fsPath(path) {
  return `/fs/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Go to the sign-in page, and afterwards back to where this one is. */
function signIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * The error that an answer of fetch stands for.
 *
 * @param {Response} answer
 * @returns {Promise<ApiError>}
 */
export async function refusal(answer) {
  const problem = isJsonAnswer(answer) ? await answer.json().catch(() => ({})) : {};
  if (answer.status === 401 && problem.sign_in) signIn();
  const detail = problem.detail || problem.title || `The gateway answered ${answer.status}`;
  return new ApiError(answer.status, problem.code || "error", detail, Number(answer.headers.get("Retry-After")) || 0);
}

function isJsonAnswer(answer) {
  return /^application\/(problem\+)?json\b/.test(answer.headers.get("Content-Type") || "");
}
