// @ts-check
// Fields that only some choice of another field gives a meaning are shown with that choice alone.
// The schema says which: nodes/shared/page_data.py, used_when.

import { app } from "/scripts/app.js";
import { chain, fit, linked, show, widgetOf } from "./widgets.js";

/** For each field, the values of other fields with which it is used.
 * @typedef {Record<string, Record<string, unknown[]>>} Conditions */

/** @param {any} node @returns {Conditions} */
function conditionsOf(node) {
  const { required = {}, optional = {} } = node.constructor.nodeData?.input ?? {};
  const all = Object.entries({ ...required, ...optional });
  return Object.fromEntries(
    all
      .map(([name, socket]) => [name, /** @type {any} */ (socket)?.[1]?.pixwizard?.used_when])
      .filter(([, when]) => when),
  );
}

/** Whether a field has a meaning now; so it has when a link gives it, or what it depends on.
 * @param {any} node @param {string} name @param {Record<string, unknown[]>} when */
function used(node, name, when) {
  return (
    linked(node, name) ||
    Object.entries(when).every(
      ([other, values]) => linked(node, other) || values.includes(widgetOf(node, other)?.value),
    )
  );
}

app.registerExtension({
  name: "pixwizard.usedFields",
  /** @param {any} node */
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("PixWizard_")) return;
    const conditions = Object.entries(conditionsOf(node));
    if (!conditions.length) return;
    const update = (/** @type {boolean} */ shrink) => {
      const changed = conditions.map(([name, when]) =>
        show(widgetOf(node, name), used(node, name, when)),
      );
      if (changed.some(Boolean)) fit(node, shrink);
      node.setDirtyCanvas?.(true, true);
    };
    for (const other of new Set(conditions.flatMap(([, when]) => Object.keys(when)))) {
      chain(widgetOf(node, other), "callback", () => update(true));
    }
    chain(node, "onConfigure", () => update(false));
    // A workflow that is loaded connects its nodes too; they keep the height they were saved with.
    chain(node, "onConnectionsChange", () => update(!app.configuringGraph));
    update(true);
  },
});
