// @ts-check
// A window of ours over the page: Escape, its button or a press beside it closes it.

import { button, element } from "./elements.js";
import { word } from "./words.js";

/** @param {string} name of its class, behind pixwizard- @param {string} title
 * @param {(Node | string)[]} content @returns {HTMLDialogElement} open */
export function openWindow(name, title, ...content) {
  const shut = button("✕", () => made.close());
  shut.setAttribute("aria-label", word("window.close"));
  const head = element("div", { display: "flex", justifyContent: "space-between", gap: "12px" });
  const heading = element("h2", { font: "600 15px/1.4 sans-serif", margin: "0" }, title);
  head.append(heading, shut);
  const made = /** @type {HTMLDialogElement} */ (
    element("dialog", {
      padding: "12px 14px",
      maxWidth: "min(94vw, 1400px)",
      maxHeight: "94vh",
      boxSizing: "border-box",
      flexDirection: "column",
      gap: "8px",
      border: "1px solid var(--border-color, #555)",
      borderRadius: "8px",
      background: "var(--comfy-menu-bg, #222)",
      color: "var(--input-text, #ddd)",
      font: "13px/1.5 sans-serif",
    })
  );
  made.classList.add("pixwizard-window", `pixwizard-${name}`);
  made.setAttribute("aria-label", title);
  made.append(head, ...content);
  // The page has keys of its own, such as Delete for the chosen nodes.
  for (const kind of ["keydown", "keyup", "wheel", "pointerdown", "contextmenu", "paste", "copy"]) {
    made.addEventListener(kind, (event) => event.stopPropagation());
  }
  made.addEventListener("click", (event) => {
    if (event.target !== made) return;
    const { left, right, top, bottom } = made.getBoundingClientRect();
    const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
    if (!inside) made.close();
  });
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  made.style.display = "flex";
  return made;
}
