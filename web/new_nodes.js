// @ts-check
// A node that a person adds may begin with other values than a saved workflow without them has:
// nodes/shared/page_data.py, for_new_nodes, says which. Loading, pasting and undoing configure a
// node, so its values go back to the schema's before the stored ones are put in.

import { app } from "/scripts/app.js";
import { widgetOf } from "./widgets.js";

let prompts = 0; // prompts of the API that are being loaded; they never configure their nodes

/** @param {any} node @returns {{name: string, now: unknown, before: unknown}[]} */
function newValues(node) {
  const { required = {}, optional = {} } = node.constructor.nodeData?.input ?? {};
  return Object.entries({ ...required, ...optional })
    .map(([name, socket]) => ({ name, settings: /** @type {any} */ (socket)?.[1] }))
    .filter(({ settings }) => settings?.pixwizard && "new" in settings.pixwizard)
    .map(({ name, settings }) => ({ name, now: settings.pixwizard.new, before: settings.default }));
}

/** @param {any} node @param {string} name @param {unknown} value */
function put(node, name, value) {
  const widget = widgetOf(node, name);
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
}

/** Count the prompts that the page is loading. */
function watchPrompts() {
  const load = app.loadApiJson;
  if (!load) return;
  app.loadApiJson = async function (/** @type {any[]} */ ...args) {
    prompts += 1;
    try {
      return await load.apply(this, args);
    } finally {
      prompts -= 1;
    }
  };
}

app.registerExtension({
  name: "pixwizard.newNodes",
  setup: watchPrompts,
  /** @param {any} node */
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("PixWizard_")) return;
    const values = newValues(node);
    if (!values.length) return;
    if (!prompts) for (const { name, now } of values) put(node, name, now);
    const configure = node.configure;
    node.configure = function (/** @type {any[]} */ ...args) {
      for (const { name, before } of values) put(node, name, before);
      return configure.apply(this, args);
    };
  },
});
