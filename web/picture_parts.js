// @ts-check
// The page elements of a picture view: the stage with its canvas, and the bar below with what is read
// there and a slider.

import { element, hold } from "./elements.js";
import { word } from "./words.js";

export const STAGE_PX = { least: 110, first: 210 };
export const BAR_PX = 26;

/** The stage, its canvas, and the line of text over it. A person reaches the stage with Tab. */
export function stageParts() {
  const canvas = /** @type {HTMLCanvasElement} */ (
    element("canvas", { position: "absolute", inset: "0", width: "100%", height: "100%" })
  );
  const said = element("div", {
    position: "absolute",
    top: "6px",
    left: "6px",
    padding: "2px 6px",
    borderRadius: "4px",
    background: "rgba(0, 0, 0, 0.72)",
    color: "#fff",
    pointerEvents: "none",
  });
  said.setAttribute("role", "status");
  said.hidden = true;
  const stage = element(
    "div",
    {
      position: "relative",
      flex: `1 1 ${STAGE_PX.first}px`,
      minHeight: `${STAGE_PX.least}px`,
      overflow: "hidden",
      borderRadius: "3px",
      background: "rgba(0, 0, 0, 0.35)",
    },
    canvas,
    said,
  );
  stage.className = "pixwizard-picture";
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-label", word("view.keys"));
  return { stage, canvas, said };
}

/** The bar below the stage, and what it tells of the point under the pointer. */
export function barParts() {
  const bar = element("div", {
    display: "flex",
    alignItems: "center",
    gap: "6px",
    flex: "none",
    height: `${BAR_PX}px`,
    whiteSpace: "nowrap",
    fontVariantNumeric: "tabular-nums",
  });
  const told = element("span", { flex: "1", overflow: "hidden", textOverflow: "ellipsis" });
  told.className = "pixwizard-reading";
  told.setAttribute("aria-live", "polite");
  return { bar, told };
}

/** A slider from 0 to 1. @param {string} name for those who do not see it @param {number} value
 * @param {(value: number) => void} moved */
export function slideOf(name, value, moved) {
  const slider = hold(/** @type {HTMLInputElement} */ (element("input", { flex: "1 1 60px" })));
  Object.assign(slider, { type: "range", min: "0", max: "1", step: "0.01" });
  slider.style.minWidth = "40px";
  slider.style.margin = "0";
  slider.style.accentColor = "var(--p-primary-color, #6ab0ff)";
  slider.value = String(value);
  slider.setAttribute("aria-label", name);
  slider.addEventListener("input", () => moved(Number(slider.value)));
  return slider;
}
