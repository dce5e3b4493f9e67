/** What a file is for people, as api_gateway/routes/shown.py says it too: by the end of its name, then by media type. */

const ENDINGS = {
  image: "avif bmp gif ico jpeg jpg png svg webp",
  audio: "aac flac m4a mp3 oga ogg opus wav",
  video: "avi m4v mkv mov mp4 ogv webm",
  text: "bat c cfg conf cpp css csv go h html ini java js json log md py rs sh sql toml ts tsv txt xml yaml yml",
  pdf: "pdf",
  archive: "7z bz2 gz iso rar tar tgz xz zip zst",
};
const KIND_OF_ENDING = new Map(
  Object.entries(ENDINGS).flatMap(([kind, endings]) => endings.split(" ").map((ending) => [ending, kind])),
);

/**
 * @param {string} name
 * @param {string} contentType
 * @returns {string} image, audio, video, text, pdf, archive or file
 */
export function kindOf(name, contentType) {
  const dot = name.lastIndexOf(".");
  const known = dot >= 0 ? KIND_OF_ENDING.get(name.slice(dot + 1).toLowerCase()) : undefined;
  const family = contentType.split("/")[0].toLowerCase();
  return known ?? (["image", "audio", "video", "text"].includes(family) ? family : "file");
}

/**
 * @param {string} kind
 * @returns {string} for the column Type
 */
export function wordOf(kind) {
  return kind === "pdf" ? "PDF" : kind.charAt(0).toUpperCase() + kind.slice(1);
}
