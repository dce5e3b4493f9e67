/** Numbers and times as people read them. Sizes and times look as api_gateway/routes/shown.py writes them. */

const UNITS = ["kB", "MB", "GB", "TB", "PB"];

/**
 * @param {number} count
 * @returns {string} such as "0 bytes", "1 byte", "1.5 MB", "120 GB"
 */
export function bytes(count) {
  if (count < 1000) return count === 1 ? "1 byte" : `${count} bytes`;
  let value = count;
  let unit = -1;
  do {
    value /= 1000;
    unit += 1;
  } while (value >= 999.5 && unit < UNITS.length - 1);
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${UNITS[unit]}`;
}

/**
 * @param {string} text as `bytes` writes it
 * @returns {number}
 */
export function sizeOf(text) {
  const [number, unit] = text.split(" ");
  return Math.round(number * 1000 ** (UNITS.indexOf(unit) + 1));
}

/**
 * @param {number} bytesPerSecond
 * @returns {string}
 */
export function rate(bytesPerSecond) {
  return `${bytes(Math.round(bytesPerSecond))}/s`;
}

/**
 * @param {number} seconds
 * @returns {string} such as "8 s", "3 min 20 s", "2 h 5 min", "4 days"
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} days`;
}

/**
 * @param {number} seconds
 * @returns {string} in one unit, rounded up, such as "7 days"; of more than 0, as api_gateway/routes/shown.py has it
 */
export function span(seconds) {
  const units = [
    [86400, "day", 1.5],
    [3600, "hour", 1.5],
    [60, "minute", 0],
  ];
  const [size, name] = units.find(([one, , least]) => seconds > one * least) ?? [60, "minute"];
  return count(Math.ceil(seconds / size), name);
}

/**
 * @param {string} timestamp RFC 3339
 * @returns {string} in this browser's time zone, such as "2026-03-01 14:05"
 */
export function dateTime(timestamp) {
  const time = new Date(timestamp);
  if (Number.isNaN(time.getTime())) return "";
  const two = (number) => String(number).padStart(2, "0");
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 * @returns {string} such as "1 file", "12,345 files"
 */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
