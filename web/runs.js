// @ts-check
// The runs that this page knows: the graph that was queued, and what its nodes gave. A result is
// shown with the graph that made it, never by the number of a node alone.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { alike } from "./origins.js";

/** tab: the workflow that was open when it was queued. workflow: its graph; null until the host has
 * taken it. asked: the nodes that were sent. outputs: by the node that shows them. done: those that
 * ran, or were still valid. whole: it came to its end.
 * @typedef {{id: string, tab: string | undefined, workflow: any, asked: Set<string>,
 *   outputs: Record<string, any>, done: Set<string>, whole?: boolean}} Run */

/** A run, and the name that a node had in it. @typedef {{run: Run, as: string}} Made */

export const PICTURES = "pixwizard_view"; // the output that holds what a node shows
const MOST_RUNS = 24;
/** @type {Map<string, Run>} The newest last. */
const runs = new Map();

/** What the page calls the workflow that is open. @returns {string | undefined} */
export function tab() {
  const open = app.extensionManager?.workflow?.activeWorkflow;
  return open?.key ?? open?.path;
}

/** Whether the page is undoing or redoing a change. */
export const undoing = () =>
  app.extensionManager?.workflow?.activeWorkflow?.changeTracker?._restoringState === true;

/** The graph as it is now. */
export const present = () => (app.rootGraph ?? app.graph).serialize();

/** @param {string} id @returns {Run} */
function runOf(id) {
  const known = runs.get(id);
  if (known) return known;
  const made = { id, tab: tab(), workflow: null, asked: new Set(), outputs: {}, done: new Set() };
  runs.set(id, made);
  for (const old of [...runs.keys()].slice(0, -MOST_RUNS)) runs.delete(old);
  return made;
}

/** One output more of a node, as the host sends it. Several nodes of an expanded one show on it.
 * @param {any} before @param {any} output @param {boolean} merge */
function joined(before, output, merge) {
  if (!merge || !before) return { ...before, ...output };
  const all = Object.entries(output ?? {}).map(([key, value]) => {
    const both = Array.isArray(before[key]) && Array.isArray(value);
    return [key, both ? [...before[key], ...value] : value];
  });
  return { ...before, ...Object.fromEntries(all) };
}

/** @param {{drawn: (name: string, run: Run) => void, ended: (run: Run) => void,
 *   succeeded: (run: Run) => void, told: () => void}} tells drawn: a node gave something. ended: a run failed
 *   or was cancelled. succeeded: one came to its end. told: more is known of a run. */
export function watchRuns({ drawn, ended, succeeded, told }) {
  const queue = api.queuePrompt;
  api.queuePrompt = async function (/** @type {any[]} */ ...args) {
    const open = tab();
    const answer = await queue.apply(this, args);
    const { output, workflow } = args[1] ?? {};
    if (answer?.prompt_id && workflow) {
      const run = runOf(answer.prompt_id);
      const asked = new Set(Object.keys(output ?? {}));
      Object.assign(run, { tab: open, workflow: JSON.parse(JSON.stringify(workflow)), asked });
      told();
      if (run.whole) succeeded(run);
    }
    return answer;
  };
  api.addEventListener("executed", (/** @type {any} */ { detail }) => {
    const name = String(detail.display_node ?? detail.node);
    const run = runOf(detail.prompt_id);
    if (!Object.keys(detail.output ?? {}).length) {
      run.done.add(name); // the host still had its result and shows nothing of it
      return;
    }
    const inside = String(detail.node) !== name; // a node that another one expanded into
    const before = detail.merge || inside ? run.outputs[name] : undefined;
    run.outputs[name] = joined(before, detail.output, Boolean(detail.merge));
    if (inside && !(PICTURES in run.outputs[name])) return; // the first of several messages
    run.done.add(name);
    drawn(name, run);
  });
  api.addEventListener("execution_cached", (/** @type {any} */ { detail }) => {
    for (const name of detail.nodes ?? []) runOf(detail.prompt_id).done.add(String(name));
  });
  api.addEventListener("execution_success", (/** @type {any} */ { detail }) => {
    const run = runOf(detail.prompt_id);
    run.whole = true;
    if (run.workflow) succeeded(run); // else the page does not know yet what it has queued
  });
  for (const kind of ["execution_error", "execution_interrupted"]) {
    api.addEventListener(kind, (/** @type {any} */ { detail }) => {
      const run = runs.get(detail.prompt_id);
      if (run) ended(run);
    });
  }
}

/** The newest of our runs that made this node's result from what the graph holds now.
 * @param {string} name @param {any} now */
export const known = (name, now) => madeBy([...runs.values()], name, now);

/** The newest run of this tab that gave the node anything. @param {string} name
 * @returns {Made | undefined} */
export function last(name) {
  const run = [...runs.values()].reverse().find((one) => one.workflow && shows(one, name) && one.tab === tab());
  return run && { run, as: name };
}

/** Whether a run gave a node something whole. @param {Run} run @param {string} name */
const shows = (run, name) => run.outputs[name] && run.done.has(name);

/** The newest of some runs that made a node's result, from what the graph holds now. The host keeps
 * results by what they depend on, so a node may have had another name when its own was made.
 * @param {Run[]} among the newest last @param {string} name @param {any} now @returns {Made | undefined} */
export function madeBy(among, name, now) {
  for (const run of [...among].reverse()) {
    if (!run.workflow) continue;
    const names = [name, ...Object.keys(run.outputs).filter((other) => other !== name)];
    const as = names.find((other) => shows(run, other) && alike(run.workflow, now, name, other));
    if (as !== undefined) return { run, as };
  }
  return undefined;
}

/** The runs that the host remembers, the newest last. @returns {Promise<Run[]>} */
export async function remembered() {
  const answer = await api.fetchApi("/history?max_items=16");
  if (!answer.ok) return [];
  const all = /** @type {any[]} */ (Object.values(await answer.json()));
  all.sort((a, b) => a.prompt[0] - b.prompt[0]);
  return all.map(({ prompt, outputs, meta }) => {
    /** @type {Record<string, any>} */
    const shown = {};
    /** @type {Set<string>} */
    const done = new Set();
    for (const [id, output] of Object.entries(outputs ?? {})) {
      const name = String(meta?.[id]?.display_node ?? id);
      shown[name] = joined(shown[name], output, false);
      if (name === id || PICTURES in shown[name]) done.add(name);
    }
    const asked = new Set(Object.keys(prompt[2] ?? {}));
    const workflow = prompt[3]?.extra_pnginfo?.workflow ?? null;
    return { id: prompt[1], tab: undefined, workflow, asked, outputs: shown, done };
  });
}
