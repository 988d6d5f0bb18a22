// @ts-check
// Small pieces of page that the widgets are made of. Colours are the host's, so themes apply.

import { word } from "./words.js";

/**
 * @param {string} tag @param {Partial<CSSStyleDeclaration>} style
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function element(tag, style = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made.style, style);
  made.append(...children);
  return made;
}

/** A frame for a widget's content. Scrolls inside instead of moving the canvas. */
export function panel(/** @type {string} */ name) {
  const made = element("div", {
    boxSizing: "border-box",
    width: "100%",
    height: "100%",
    overflow: "auto",
    padding: "4px 6px",
    borderRadius: "4px",
    background: "var(--comfy-input-bg, #222)",
    color: "var(--input-text, #ddd)",
    font: "12px/1.4 sans-serif",
    userSelect: "text",
  });
  made.className = `pixwizard-${name}`;
  const keep = (/** @type {Event} */ event) => {
    if (made.scrollHeight > made.clientHeight) event.stopPropagation();
  };
  made.addEventListener("wheel", keep, { passive: true });
  return made;
}

/** Keep presses on a control from moving the node. @template {HTMLElement} T @param {T} control */
export function hold(control) {
  for (const kind of ["pointerdown", "mousedown", "dblclick", "keydown"]) {
    control.addEventListener(kind, (event) => event.stopPropagation());
  }
  return control;
}

/** A square of a colour. @param {readonly number[]} rgb 0..255 */
export function swatch(rgb) {
  return element("span", {
    display: "inline-block",
    width: "12px",
    height: "12px",
    flex: "none",
    borderRadius: "2px",
    border: "1px solid var(--border-color, #555)",
    background: `rgb(${rgb.join(",")})`,
  });
}

/** Quiet text. @param {string} text */
export function faint(text) {
  return element("span", { color: "var(--descrip-text, #999)" }, text);
}

/** A line that copies text when it is clicked, and says so under the pointer.
 * @param {string} text @param {HTMLElement} line @param {string} [says] */
export function copyOnClick(text, line, says = word("copy", { text })) {
  line.style.cursor = "copy";
  line.title = says;
  line.addEventListener("click", async () => {
    const done = await copy(text);
    line.style.outline = `1px solid ${done ? "#4a4" : "#a44"}`;
    setTimeout(() => (line.style.outline = ""), 600);
  });
  return line;
}

/** @param {string} text @returns {Promise<boolean>} whether it worked */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyThroughSelection(text);
  }
}

/** For pages served without TLS, where there is no clipboard object. @param {string} text */
function copyThroughSelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
