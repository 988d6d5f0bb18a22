// @ts-check
// What the released model is made of: each part with its size, its page, its folder, and whether the
// host has it. The table comes with the schema of its loader: nodes/loaders/load_pixwizard.py.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { button, element, faint } from "./elements.js";
import { openWindow } from "./overlay.js";
import { nodesOf } from "./widgets.js";
import { title, word } from "./words.js";

/** found: whether the host has a file that is the part, by its content.
 * @typedef {{title: string, page: string, size: string, terms: string, place: string, files: string[], found: boolean}} Part */

export const LOADER = "PixWizard_LoadPixWizard";
export const DEMO = "PixWizard_LoadTiny";

/** The parts, in the order of the inputs that take them.
 * @param {any} definition of the loader, as the host gives it @returns {Part[]} */
export function partsOf(definition) {
  return Object.values(definition?.input?.required ?? {})
    .filter((socket) => /** @type {any} */ (socket)?.[1]?.pixwizard?.part)
    .map((socket) => /** @type {any} */ (socket)[1].pixwizard.part);
}

/** One part as a line: a sign, its name as a link, its size, and where its files go.
 * @param {Part} part */
export function partLine(part) {
  const there = part.found;
  const sign = element("span", { flex: "none", width: "1.2em", color: there ? "" : "var(--error-text, #f66)" }, there ? "✓" : "✗");
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", word(`parts.${there ? "there" : "lacking"}`));
  const link = element("a", { color: "var(--p-primary-color, #6ab0ff)" }, part.title);
  Object.assign(link, { href: part.page, target: "_blank", rel: "noopener" });
  link.title = part.page;
  const terms = part.terms ? ` · ${word("parts.terms")}` : "";
  const told = element("div", { flex: "1", minWidth: "0", overflowWrap: "anywhere" }, link, ` ${part.size}${terms}`);
  if (!there) told.append(element("br"), faint(word("parts.place", { files: part.files.join(", "), place: part.place })));
  const line = element("div", { display: "flex", gap: "4px" }, sign, told);
  line.className = "pixwizard-part";
  return line;
}

/** Put a loader in the place of another: its outputs have the same types. @param {any} node
 * @param {string} kind of the new one */
export function exchange(node, kind) {
  const graph = node.graph;
  const made = /** @type {any} */ (globalThis).LiteGraph.createNode(kind);
  if (!graph || !made) return;
  made.pos = [...node.pos];
  graph.add(made);
  for (const output of node.outputs) {
    for (const id of [...(output.links ?? [])]) {
      const link = graph.getLink?.(id) ?? graph.links[id];
      const target = link && graph.getNodeById(link.target_id);
      const into = made.outputs.findIndex((/** @type {any} */ one) => one.type === output.type);
      if (target && into >= 0) made.connect(into, target, link.target_slot);
    }
  }
  graph.remove(node);
  app.canvas?.selectNode?.(made);
  graph.setDirtyCanvas?.(true, true);
}

/** Tell what the released model needs, and offer to take it in this graph. */
export async function showParts() {
  const answer = await api.fetchApi(`/object_info/${LOADER}`).catch(() => null);
  const definition = answer?.ok ? (await answer.json())[LOADER] : null;
  const parts = partsOf(definition);
  const complete = parts.length > 0 && parts.every(({ found }) => found);
  const demos = nodesOf(app.rootGraph ?? app.graph).filter(([, node]) => node.comfyClass === DEMO);
  const take = button(word("parts.take", { node: title(LOADER) }), () => {
    for (const [, node] of demos) exchange(node, LOADER);
    shown.close();
  });
  const shown = openWindow(
    "parts",
    word("parts.title"),
    element("div", {}, word("parts.what")),
    ...parts.map(partLine),
    element("div", {}, word(`parts.${complete ? "complete" : "command"}`)),
    ...(demos.length ? [take] : []),
  );
}
