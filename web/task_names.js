// @ts-check
// What a list calls the tasks, and which of them the connected model was not taught. The list keeps
// their ids: workflows store them.

import { DEMO } from "./real_model.js";
import { linked, widgetOf } from "./widgets.js";
import { named, word } from "./words.js";

export const ENCODERS = ["PixWizard_Encode", "PixWizard_Region"]; // they take an Instruction
const MOST_STEPS = 32; // from a node back to the loader of its model
export const RELEASED = "released"; // the model that is meant where no link says which

/** Let a list name its tasks. Pages before 1.30 show the ids in the classic canvas.
 * @param {any} widget @param {(task: string) => boolean} taught whether the model knows a task */
export function nameTasks(widget, taught) {
  if (!widget) return;
  widget.options ??= {};
  widget.options.getOptionLabel = (/** @type {any} */ id) => {
    if (typeof id !== "string" || named("tasks", id) === id) return String(id ?? "");
    const name = `${named("tasks", id)} (${id})`;
    return taught(id) ? name : `${name} ✗ ${word("instruction.other")}`;
  };
}

/** The same on the short node, whose model may be linked. @param {any} node */
export function nameShortTasks(node) {
  const { models } = node.constructor.nodeData?.input?.required?.task?.[1]?.pixwizard ?? {};
  if (!models) return;
  const kind = () => {
    const slot = node.inputs?.findIndex((/** @type {any} */ one) => one.name === "pixwizard") ?? -1;
    if (linked(node, "pixwizard")) return source(node.getInputNode?.(slot), "PIXWIZARD", models) ?? RELEASED;
    return node.pixwizardView?.demo ? DEMO : RELEASED; // what the last run took
  };
  nameTasks(widgetOf(node, "task"), (task) => !models[kind()]?.not_taught.includes(task));
}

/** The kind of loader whose model a node's output goes to, by its model input or by the Encode or
 * Region behind it; undefined where the links do not say. @param {any} node
 * @param {Record<string, any>} models those that are known before a run */
export function loaderOf(node, models) {
  const slot = node.inputs?.findIndex((/** @type {any} */ i) => i.name === "model") ?? -1;
  if (linked(node, "model")) return source(node.getInputNode?.(slot), "MODEL", models);
  const behind = node.getOutputNodes?.(0) ?? [];
  const encode = behind.find((/** @type {any} */ one) => ENCODERS.includes(one.comfyClass));
  const clip = encode?.inputs?.findIndex((/** @type {any} */ i) => i.type === "CLIP") ?? -1;
  return clip < 0 ? undefined : source(encode.getInputNode?.(clip), "CLIP", models);
}

/** Follow inputs of one type back to a loader. @param {any} node @param {string} type
 * @param {Record<string, any>} models @returns {string | undefined} */
function source(node, type, models) {
  for (let left = MOST_STEPS; node && left > 0; left -= 1) {
    if (models[node.comfyClass]) return node.comfyClass;
    const slot = node.inputs?.findIndex((/** @type {any} */ i) => i.type === type) ?? -1;
    node = slot < 0 ? null : node.getInputNode?.(slot);
  }
  return undefined;
}
