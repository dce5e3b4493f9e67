/** Shows a file in the page: pictures, sound, film, PDF and text. What is stored never runs: an SVG is only an image. */

import { BY_SCRIPT, refusal } from "../common/api.js";
import { element } from "../common/dom.js";
import { bytes } from "../common/format.js";

const MAX_TEXT_BYTES = 256 * 1024;

/**
 * Fill a box with a preview of the file, or leave it empty.
 *
 * @param {HTMLElement} box
 * @param {import("./entries.js").Entry} file
 * @param {AbortSignal} signal when the box is closed
 */
export async function preview(box, file, signal) {
  const address = `/files/${encodeURIComponent(file.id)}/preview`;
  const sorry = () => box.replaceChildren(element("p", {}, "No preview: the browser cannot show this file."));
  const media = { src: address, onerror: sorry };
  if (file.size === 0 || file.kind === "folder") return;
  if (file.kind === "image") box.append(element("img", { ...media, alt: `Preview of ${file.name}` }));
  else if (file.kind === "audio" || file.kind === "video") {
    const label = `Preview of ${file.name}`;
    const player = element(file.kind, { ...media, controls: true, preload: "metadata", "aria-label": label });
    // Else the browser goes on loading a film that nobody sees any more.
    signal.addEventListener("abort", () => (player.removeEventListener("error", sorry), (player.src = "")));
    box.append(player);
  } else if (file.kind === "pdf") box.append(element("iframe", { src: `${address}#navpanes=0&view=FitH`, title: `Preview of ${file.name}` }));
  else if (file.kind === "text") await showText(box, file, signal);
}

async function showText(box, file, signal) {
  const headers = { ...BY_SCRIPT, Range: `bytes=0-${MAX_TEXT_BYTES - 1}` };
  const answer = await fetch(`/files/${encodeURIComponent(file.id)}/download`, { headers, signal });
  if (!answer.ok) throw await refusal(answer);
  // A letter of several bytes may be cut at the end: while more is to come, the decoder keeps it back.
  const isCut = file.size > MAX_TEXT_BYTES;
  const text = new TextDecoder().decode(await answer.arrayBuffer(), { stream: isCut });
  const label = `Beginning of ${file.name}`;
  box.append(element("pre", { tabindex: "0", role: "region", "aria-label": label }, text));
  if (isCut) box.append(element("p", {}, `The first ${bytes(MAX_TEXT_BYTES)} of ${bytes(file.size)}.`));
}
