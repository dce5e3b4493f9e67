/** Downloads: a file by its link, several as one ZIP that the gateway makes while it is sent. */

import { element } from "../common/dom.js";
import { toast } from "../common/toast.js";

const MAX_PATHS = 10000;

/**
 * @param {import("./entries.js").Entry[]|null} entries null: all of a folder, too many to be named
 * @param {(signal?: AbortSignal) => AsyncIterable<import("./entries.js").Entry>} list the same
 */
export async function download(entries, list) {
  if (entries?.length === 1 && entries[0].id) {
    element("a", { href: `/files/${entries[0].id}/download`, download: "" }).click();
    return;
  }
  const paths = [];
  for await (const entry of entries ?? list()) {
    paths.push(entry.path);
    if (paths.length > MAX_PATHS) {
      const limit = MAX_PATHS.toLocaleString("en");
      toast(`At most ${limit} entries fit into one ZIP. Go one folder up and download the folder as a whole.`, {
        kind: "error",
      });
      return;
    }
  }
  sendForm(paths);
  toast("The ZIP file is being made; the browser shows how far it is.");
}

/** A form into a frame of its own: an error must not take this page, and what it is doing, away. */
function sendForm(paths) {
  const frame = element("iframe", { name: "archive", hidden: true, title: "Download" });
  frame.addEventListener("load", () => {
    // An answer that is saved never loads; an empty frame does, and so does an error, into which nobody may look.
    if (isEmpty(frame)) return;
    toast("The ZIP file could not be made. Some of the files may be gone: reload the list.", { kind: "error" });
    frame.remove();
  });
  document.getElementsByName("archive").forEach((old) => old.remove());
  const inputs = paths.map((path) => element("input", { type: "hidden", name: "path", value: path }));
  const form = element("form", { method: "post", action: "/archive", target: "archive", hidden: true }, ...inputs);
  document.body.append(frame, form);
  form.submit();
  form.remove();
}

function isEmpty(frame) {
  try {
    return frame.contentWindow.location.href === "about:blank";
  } catch {
    return false;
  }
}
