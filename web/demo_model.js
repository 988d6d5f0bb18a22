// @ts-check
// Says where an answer came from the bundled demo model, which knows rendered rooms only, and how to
// get the real one.

import { link } from "./elements.js";
import { statement } from "./notes.js";
import { nodesBehind } from "./origins.js";
import { DEMO, showParts } from "./real_model.js";
import { named, word } from "./words.js";

const RUN = "pixwizard_run"; // output of a node that chose its model and settings itself
const MODEL = "pixwizard_model"; // output of a decoder: the model that Instruction asked
export const AUTO = "pixwizard_auto"; // output of a node with a choice that stands for numbers
export const IN_BANNER = ["took_bundled", "demo_model", "demo_photographs"]; // notes that the banner stands for
const OURS = "PixWizard_";
const GAP_PX = 3;

/** Whether a picture enters the graph at this node, which is no rendered room. @param {any} node */
function givesPhotograph(node) {
  const gives = (node.outputs ?? []).some((/** @type {any} */ one) => String(one.type).split(",").includes("IMAGE"));
  const takes = (node.inputs ?? []).some((/** @type {any} */ one) => one.link !== null && one.link !== undefined);
  return gives && !takes && !node.type.startsWith(OURS);
}

/** What to say of a result that a graph makes: nothing when no demo model takes part.
 * @param {any} graph as saved @param {string} name of the node @param {any} [output] of its run
 * @returns {{row: HTMLElement, height: number}[]} */
export function banner(graph, name, output) {
  const behind = nodesBehind(graph, name);
  const model = modelOf(output);
  const demo = model?.demo ?? behind.some((node) => node.type === DEMO);
  if (!demo) return [];
  return [demoBanner(model?.photographs ? "some" : behind.some(givesPhotograph) ? "photograph" : "model")];
}

/** What the model of a run is, where the run says it. photographs: whether some taught it the task.
 * @param {any} output @returns {{demo: boolean, photographs?: boolean} | undefined} */
const modelOf = (output) => output?.[RUN]?.[0]?.model ?? output?.[MODEL]?.[0];

/** Whether a run took the demo model; undefined when it does not say.
 * @param {any} output @returns {boolean | undefined} */
export const tookDemo = (output) => modelOf(output)?.demo;

/** What a choice such as auto meant in a run. @param {Record<string, any>} auto */
function meaning({ choice: _, value, ...values }) {
  const told = Object.entries(values).map(([name, one]) => `${name} ${one}`);
  return `${value}: ${told.join(", ")}`;
}

/** What a run was set to, where the node chose it itself. @param {any} output
 * @returns {{row: HTMLElement, height: number}[]} */
export function settings(output) {
  const run = output?.[RUN]?.[0];
  const auto = output?.[AUTO]?.[0];
  if (!run?.settings && auto) return [statement(meaning(auto), "quiet")];
  if (!run?.settings) return [];
  const { steps, solver, text_guidance, image_guidance, size, colour } = run.settings;
  const values = { model: run.model?.name ?? "", steps, solver, text: text_guidance, image: image_guidance };
  const told = [word("demo.settings", values), ...(size?.length ? [`${size.join(" × ")} px`] : [])];
  if (colour) told.push(named("colours", colour));
  return [statement(told.join(" · "), "quiet")];
}

/** @param {"photograph" | "some" | "model"} about a photograph, a task that some of them taught, or
 *   neither */
export function demoBanner(about) {
  const photograph = about === "photograph";
  const told = word(`demo.${about}`);
  const { row, height } = statement(`${told} ${word("demo.get")}`, photograph ? "warns" : "plain");
  const get = link(word("demo.get"), () => void showParts());
  row.replaceChildren(`${photograph ? "⚠ " : ""}${told} `, get);
  row.classList.add("pixwizard-demo");
  row.style.paddingBottom = `${GAP_PX}px`;
  row.setAttribute("role", "note");
  return { row, height: height + GAP_PX };
}
