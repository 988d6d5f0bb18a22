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

/** A button in the colours of the page. @param {string} text @param {() => void} press */
export function button(text, press) {
  const made = hold(element("button", { padding: "1px 8px", cursor: "pointer" }, text));
  Object.assign(made.style, {
    font: "inherit",
    color: "inherit",
    background: "var(--comfy-menu-bg, #333)",
    border: "1px solid var(--border-color, #555)",
    borderRadius: "3px",
  });
  made.setAttribute("type", "button");
  made.addEventListener("click", press);
  return made;
}

/** A small button that is only a sign. @param {string} text @param {string} name
 * @param {() => void} press */
export function sign(text, name, press) {
  const made = button(text, press);
  Object.assign(made.style, { padding: "0 6px", background: "none", border: "none" });
  made.title = name;
  made.setAttribute("aria-label", name);
  return made;
}

/** A button that looks like a link, inside a text. @param {string} text @param {() => void} press */
export function link(text, press) {
  const made = button(text, press);
  Object.assign(made.style, {
    display: "inline",
    padding: "0",
    border: "none",
    background: "none",
    color: "var(--p-primary-color, #6ab0ff)",
    textDecoration: "underline",
  });
  return made;
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

/** Let an element be pressed, by keys as well. @template {HTMLElement} T @param {T} made
 * @param {() => void} press */
export function pressable(made, press) {
  made.setAttribute("role", "button");
  made.tabIndex = 0;
  made.addEventListener("click", press);
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation(); // the page has keys of its own
    press();
  });
  return made;
}

/** A line that copies text when it is pressed, and says so under the pointer.
 * @param {string} text @param {HTMLElement} line @param {string} [says] */
export function copyOnClick(text, line, says = word("copy", { text })) {
  line.style.cursor = "copy";
  line.title = says;
  return pressable(line, async () => {
    const done = await copy(text);
    line.style.outline = `1px solid ${done ? "#4a4" : "#a44"}`;
    setTimeout(() => (line.style.outline = ""), 600);
  });
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
