/** What whoever looks at the page may do, as the gateway wrote it there. What counts is the gateway's own check. */

/**
 * @param {"read"|"write"|"delete"|"admin"} right
 * @returns {boolean}
 */
export function may(right) {
  return (document.body.dataset.rights ?? "").split(" ").includes(right);
}
