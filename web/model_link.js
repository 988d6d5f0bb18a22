// @ts-check
// A canvas node whose auto has no model to ask says so before the run where it would be wrong, and
// connects the model when its button is pressed.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { button, element, panel } from "./elements.js";
import { DEMO } from "./real_model.js";
import { statement } from "./notes.js";
import { chain, fit, linked, nodesOf, pageWidget, show, widgetOf } from "./widgets.js";
import { title, word } from "./words.js";

const CHOICE = "centre_by"; // input of the nodes that have trained sizes to choose from
const AUTO = "auto";
const BUTTON_PX = 26;
const PADDING_PX = 18;

/** The demo model of a node's graph, if that is the only model of ours there. @param {any} node */
function demoBeside(node) {
  const loaders = (node.graph?.nodes ?? []).filter(
    (/** @type {any} */ one) => /^PixWizard_Load(Tiny|PixWizard|Model)$/.test(one.comfyClass ?? ""),
  );
  return loaders.length === 1 && loaders[0].comfyClass === DEMO ? loaders[0] : null;
}

/** @param {any} node */
function attach(node) {
  const content = panel("canvas");
  let height = BUTTON_PX + PADDING_PX;
  /** @type {any} */
  let beside = null; // the loader that the button connects
  const widget = pageWidget(node, "sizes", content, () => height, false);
  const update = () => {
    const asks = widgetOf(node, CHOICE)?.value === AUTO && !linked(node, "model") && !linked(node, CHOICE);
    const demo = asks ? demoBeside(node) : null;
    if (demo && demo !== beside) {
      const said = statement(word("canvas.sizes"), "warns");
      const connect = button(word("canvas.connect", { node: title(DEMO) }), () => {
        const slot = node.inputs.findIndex((/** @type {any} */ one) => one.name === "model");
        demo.connect(demo.outputs.findIndex((/** @type {any} */ one) => one.type === "MODEL"), node, slot);
        update();
      });
      content.replaceChildren(said.row, element("div", {}, connect));
      height = said.height + BUTTON_PX + PADDING_PX;
      content.style.minHeight = content.style.maxHeight = `${height}px`;
    }
    beside = demo;
    content.style.display = demo ? "" : "none";
    if (show(widget, Boolean(demo))) fit(node, !demo);
  };
  chain(widgetOf(node, CHOICE), "callback", update);
  chain(node, "onConnectionsChange", update);
  node.pixwizardSizes = update;
  show(widget, false);
}

/** Look again at every node, since what stands beside them may be another model now. */
const updateAll = () => {
  for (const [, node] of nodesOf(app.rootGraph ?? app.graph)) node.pixwizardSizes?.();
};

app.registerExtension({
  name: "pixwizard.modelLink",
  setup() {
    api.addEventListener("graphChanged", updateAll);
  },
  /** @param {any} node */
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("PixWizard_") || !widgetOf(node, CHOICE)) return;
    if (node.inputs?.some((/** @type {any} */ one) => one.name === "model")) attach(node);
  },
  afterConfigureGraph: updateAll,
});
