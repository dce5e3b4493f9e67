/** Says changes to screen readers, by the live regions of base.html. */

let timer = 0;

/**
 * Say something when the reader is done with what it is saying now.
 *
 * @param {string} text
 */
export function announce(text) {
  const region = document.getElementById("live");
  if (region === null) return;
  // The same text twice would be said once: a region speaks when it changes.
  region.textContent = "";
  clearTimeout(timer);
  timer = setTimeout(() => {
    region.textContent = text;
  }, 60);
}
