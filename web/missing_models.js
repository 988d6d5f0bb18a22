// @ts-check
// A loader whose file is not there says what to get and where to put it, in the words of its
// schema. A list whose only entry is the one that takes the right file has no file at all.

import { app } from "/scripts/app.js";
import { button, element, panel } from "./elements.js";
import { DEMO, LOADER, exchange, partLine, partsOf } from "./real_model.js";
import { chain, fit, linked, nodesOf, pageWidget, show } from "./widgets.js";
import { description, title, word } from "./words.js";

const NODES = [
  "PixWizard_LoadModel",
  "PixWizard_LoadTextEncoder",
  "PixWizard_LoadVisionEncoder",
  "PixWizard_LoadPixWizard",
];
const AUTO = "auto"; // the entry that takes the file by its content
const LINE_PX = 17;
const BUTTON_PX = 9; // what a row with a button takes more
const LETTER_PX = 6.2; // of Latin; others take two
const PADDING_PX = 40; // ours and the frontend's margin around a page element
const HEIGHT_PX = { least: 90, most: 320 }; // longer texts scroll

/** What the schema says of the part that an input takes. @param {any} definition @param {string} name
 * @returns {import("./real_model.js").Part | undefined} */
const partOf = (definition, name) => definition?.input?.required?.[name]?.[1]?.pixwizard?.part;

/** Names of the inputs whose value is no file that the host has. @param {any} node
 * @param {any} definition of its kind */
function lacking(node, definition) {
  return node.widgets
    .filter((/** @type {any} */ widget) => {
      const values = widget.options?.values;
      const part = partOf(definition, widget.name);
      if (part && widget.value === AUTO && !linked(node, widget.name)) return !part.found;
      const known = Array.isArray(values) && !linked(node, widget.name);
      return known && (values.length === 1 || !values.includes(widget.value));
    })
    .map((/** @type {any} */ widget) => widget.label ?? widget.name);
}

/** Text with its addresses as links. @param {string} text */
function withLinks(text) {
  return text.split(/(https:\/\/[^\s,]+)/).map((part) => {
    if (!part.startsWith("https://")) return part;
    const link = element("a", { color: "inherit" }, part);
    link.setAttribute("href", part);
    link.setAttribute("target", "_blank");
    link.setAttribute("rel", "noopener");
    return link;
  });
}

/** The texts of a line, each of which begins on a row of its own. @param {Element} line */
function textsOf(line) {
  const copy = /** @type {Element} */ (line.cloneNode(true));
  for (const end of copy.querySelectorAll("br")) end.replaceWith("\n");
  return (copy.textContent ?? "").split("\n");
}

/** The room that lines of text take. @param {Element[]} lines @param {number} width in px */
function heightOf(lines, width) {
  const rows = lines.flatMap(textsOf).map((text) => {
    const letters = [...text].map((letter) => (letter > "\u2e80" ? 2 : 1));
    return Math.ceil((letters.reduce((sum, one) => sum + one, 0) * LETTER_PX) / width);
  });
  const buttons = lines.filter((line) => line.querySelector("button")).length;
  const wanted = rows.reduce((sum, row) => sum + row, 0) * LINE_PX + buttons * BUTTON_PX + PADDING_PX / 2;
  return Math.min(HEIGHT_PX.most, Math.max(HEIGHT_PX.least, wanted));
}

/** The parts of the released model, and a way to start without them. @param {any} node
 * @param {any} definition of its kind, as the host gives it now */
function checklist(node, definition) {
  const instead = button(word("parts.demo"), () => exchange(node, DEMO));
  const command = element("div", {}, word("parts.command"));
  return [...partsOf(definition).map(partLine), command, element("div", {}, instead)];
}

/** What a loader of one part is for, in its own words, and how to start without the file. @param {any} node */
const explained = (node) => [
  element("div", {}, ...withLinks(description(node))),
  element("div", {}, word("missing.instead", { node: title(DEMO) })),
];

/** @param {any} node */
function attach(node) {
  const content = panel("missing");
  content.tabIndex = 0; // it may have to scroll, and the keyboard must reach that
  let height = HEIGHT_PX.least;
  const widget = pageWidget(node, "missing", content, () => height, false);
  let definition = node.constructor.nodeData;
  const update = () => {
    const names = lacking(node, definition);
    if (names.length) {
      content.replaceChildren(
        element(
          "div",
          { color: "var(--error-text, #f66)" },
          word("missing.files", { names: names.join(", ") }),
        ),
        ...(node.comfyClass === LOADER ? checklist(node, definition) : explained(node)),
      );
      height = heightOf([...content.children], (node.size?.[0] ?? 320) - PADDING_PX);
      content.style.maxHeight = `${height}px`;
    }
    if (show(widget, names.length > 0)) fit(node, false);
    node.setDirtyCanvas?.(true, true);
  };
  for (const one of node.widgets) if (one !== widget) chain(one, "callback", update);
  chain(node, "onConfigure", update);
  node.pixwizardMissing = (/** @type {any} */ now) => {
    definition = now ?? definition; // nodes keep the class that they were made with
    update();
  };
  update();
}

app.registerExtension({
  name: "pixwizard.missingModels",
  /** @param {any} node */
  nodeCreated(node) {
    if (NODES.includes(node.comfyClass)) attach(node);
  },
  /** @param {Record<string, any>} [definitions] of all nodes, as they are now */
  refreshComboInNodes(definitions) {
    for (const [, node] of nodesOf(app.rootGraph ?? app.graph)) {
      node.pixwizardMissing?.(definitions?.[node.comfyClass]);
    }
  },
});
