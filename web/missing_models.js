// @ts-check
// A loader whose file is not there says what to get and where to put it, in the words of its
// schema.

import { app } from "/scripts/app.js";
import { element, panel } from "./elements.js";
import { chain, fit, linked, pageWidget, show } from "./widgets.js";
import { description, title, word } from "./words.js";

const NODES = ["PixWizard_LoadModel", "PixWizard_LoadTextEncoder"];
const BUNDLED = "PixWizard_LoadTiny";
const HEIGHT_PX = 172;

/** Names of the inputs whose value is no file that the host has. @param {any} node */
function lacking(node) {
  return node.widgets
    .filter((/** @type {any} */ widget) => {
      const values = widget.options?.values;
      const known = Array.isArray(values) && !linked(node, widget.name);
      return known && !values.includes(widget.value);
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

/** @param {any} node */
function attach(node) {
  const content = panel("missing");
  const widget = pageWidget(node, "missing", content, () => HEIGHT_PX, false);
  content.style.maxHeight = `${HEIGHT_PX}px`;
  const update = () => {
    const names = lacking(node);
    if (names.length) {
      content.replaceChildren(
        element(
          "div",
          { color: "var(--error-text, #f66)" },
          word("missing.files", { names: names.join(", ") }),
        ),
        element("div", {}, ...withLinks(description(node))),
        element("div", {}, word("missing.instead", { node: title(BUNDLED) })),
      );
    }
    if (show(widget, names.length > 0)) fit(node, false);
    node.setDirtyCanvas?.(true, true);
  };
  for (const one of node.widgets) if (one !== widget) chain(one, "callback", update);
  chain(node, "onConfigure", update);
  node.pixwizardMissing = update;
  update();
}

app.registerExtension({
  name: "pixwizard.missingModels",
  /** @param {any} node */
  nodeCreated(node) {
    if (NODES.includes(node.comfyClass)) attach(node);
  },
  refreshComboInNodes() {
    for (const node of app.graph.nodes) node.pixwizardMissing?.();
  },
});
