/** The panel of one file: preview, what is known of it, its versions, and which workers hold its chunks. */

import { explain, request } from "../common/api.js";
import { openDialog } from "../common/dialog.js";
import { button, element, icon } from "../common/dom.js";
import { bytes, count, dateTime } from "../common/format.js";
import { may } from "../common/rights.js";
import { toast } from "../common/toast.js";
import { copy, linkSection } from "./links.js";
import { preview } from "./preview.js";

const CHUNKS_PER_PAGE = 100;

/**
 * @param {import("./entries.js").Entry} entry a file
 * @param {{rename: Function, move: Function, remove: Function, changed: () => void}} actions
 */
export function showDetails(entry, actions) {
  const closing = new AbortController();
  const box = element("div", { class: "preview" });
  const facts = element("div", {}, element("p", { class: "quiet-text" }, "Reading ..."));
  const after = (run) => () => (dialog.close(), run());
  const tools = element(
    "div",
    { class: "toolbar" },
    element("a", { class: "button primary", href: `/files/${entry.id}/download`, download: "" }, icon("download"), "Download"),
    may("write") ? button("Rename", after(actions.rename), { icon: "rename" }) : null,
    may("write") ? button("Move", after(actions.move), { icon: "move" }) : null,
    may("delete") ? button("Delete", after(actions.remove), { icon: "trash", kind: "danger" }) : null,
  );
  const dialog = openDialog({
    title: entry.name,
    kind: "panel",
    content: [box, tools, facts],
    onclose: () => closing.abort(),
  });
  const failed = (error) => {
    if (error.name !== "AbortError") facts.replaceChildren(element("p", { class: "problem" }, explain(error)));
  };
  preview(box, entry, closing.signal).catch((error) => {
    if (error.name !== "AbortError") box.append(element("p", {}, `No preview: ${explain(error)}`));
  });
  const fill = async () => {
    const file = await request("GET", `/files/${entry.id}`, { signal: closing.signal });
    const restored = () => (actions.changed(), fill().catch(failed));
    const sections = [
      factList(file),
      linkSection(entry),
      versionSection(file, restored),
      checksumSection(file, () => fill().catch(failed), closing.signal),
      chunkSection(file),
    ];
    facts.replaceChildren(...sections.filter(Boolean));
  };
  fill().catch(failed);
}

function factList(file) {
  const rows = [
    ["Path", file.path],
    ["Size", file.size < 1000 ? bytes(file.size) : `${bytes(file.size)} (${count(file.size, "byte")})`],
    ["Type", file.content_type],
    ["Changed", dateTime(file.modified_at)],
    ["Created", dateTime(file.created_at)],
    ["Version", String(file.version)],
    ["Copies", `${file.replication_factor} of each of ${count(file.chunk_count, "chunk")}`],
  ];
  if (file.status === "deleted") rows.unshift(["State", "In the trash"]);
  return element(
    "section",
    { "aria-label": "Facts" },
    element("dl", { class: "facts" }, ...rows.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)])),
  );
}

function checksumSection(file, changed, signal) {
  if (!file.checksum) return missingChecksum(file, changed, signal);
  const { algorithm, value } = file.checksum;
  const copyChecksum = button("Copy checksum", () => copy(value, "Checksum"), { icon: "copy" });
  const command = `echo "${value}  FILE" | ${algorithm}sum --check`;
  return element(
    "section",
    { "aria-label": "Checksum" },
    element("h3", {}, `Checksum (${algorithm.toUpperCase().replace("SHA", "SHA-")})`),
    element("code", { class: "code", id: "checksum" }, value),
    element("div", { class: "toolbar" }, copyChecksum),
    element("p", { class: "quiet-text" }, "To check a copy of it on a shell:"),
    element("code", { class: "code" }, command),
  );
}

function missingChecksum(file, changed, signal) {
  const words = element("p", { class: "quiet-text", role: "status" }, "None was made when the file was stored.");
  const make = async () => {
    compute.disabled = true;
    words.textContent = "The whole file is being read ...";
    try {
      const made = await request("GET", `/files/${file.file_id}/checksum`, { signal });
      if (made.etag !== file.etag) return changed();
      const filled = checksumSection({ ...file, checksum: made.checksum });
      section.replaceWith(filled);
      filled.querySelector("button").focus();
    } catch (error) {
      if (error.name !== "AbortError") words.textContent = explain(error);
    }
    compute.disabled = false;
  };
  const compute = button("Compute", make, { id: "compute-checksum" });
  const section = element("section", { "aria-label": "Checksum" }, element("h3", {}, "Checksum"), words, compute);
  return section;
}

function versionSection(file, restored) {
  if (!file.old_versions.length) return null;
  const restore = async (version) => {
    try {
      await request("POST", `/files/${file.file_id}/restore`, { body: { version } });
      toast(`Version ${version} is current again, as a new version.`);
      restored();
    } catch (error) {
      toast(explain(error), { kind: "error" });
    }
  };
  const tools = (version) =>
    element(
      "span",
      { class: "toolbar" },
      element(
        "a",
        {
          class: "button quiet square",
          href: `/files/${file.file_id}/download?version=${version}`,
          download: "",
          "aria-label": `Download version ${version}`,
        },
        icon("download"),
      ),
      may("write")
        ? element(
            "button",
            {
              type: "button",
              class: "button quiet square",
              "aria-label": `Restore version ${version}`,
              onclick: () => restore(version),
            },
            icon("restore"),
          )
        : null,
    );
  const rows = file.old_versions.map((old) => {
    return [
      String(old.version),
      bytes(old.size),
      dateTime(old.created_at),
      old.is_restorable ? tools(old.version) : "being freed",
    ];
  });
  return element(
    "section",
    { "aria-label": "Old versions" },
    element("h3", {}, "Old versions"),
    table(["Version", "Size", "Stored", "Actions"], rows),
  );
}

function chunkSection(file) {
  if (!file.chunk_count) return null;
  const rows = element("tbody");
  const words = element("p", { class: "quiet-text", role: "status" });
  const more = button("Show where its chunks are", () => read(), { id: "show-chunks" });
  const map = table(["Chunk", "Size", "Workers"], [], rows);
  map.hidden = true;
  let start = 0;
  const read = async () => {
    more.disabled = true;
    try {
      const page = await request("GET", `/files/${file.file_id}/chunks?start=${start}&limit=${CHUNKS_PER_PAGE}`);
      rows.append(...page.chunks.map(chunkRow));
      map.hidden = false;
      words.textContent = `${rows.children.length} of ${count(page.chunk_count, "chunk")}.`;
      more.hidden = page.next_start === null;
      more.textContent = "Show more chunks";
      start = page.next_start;
    } catch (error) {
      words.textContent = explain(error);
    }
    more.disabled = false;
  };
  return element("section", { "aria-label": "Chunks" }, element("h3", {}, "Chunks"), map, words, more);
}

function chunkRow(chunk) {
  const workers = chunk.replicas.map((replica) => element("span", { class: "badge" }, replica.worker_id));
  const cell = workers.length
    ? element("td", {}, element("span", { class: "toolbar" }, ...workers))
    : element("td", {}, element("span", { class: "badge bad" }, "no worker"));
  return element("tr", {}, element("td", {}, String(chunk.index)), element("td", {}, bytes(chunk.size_bytes)), cell);
}

function table(headings, rows, body = element("tbody")) {
  body.append(...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))));
  const head = element("tr", {}, ...headings.map((text) => element("th", { scope: "col" }, text)));
  return element("table", { class: "data" }, element("thead", {}, head), body);
}
