// @ts-check
// What a node found, as a list on the node: classes with their colours, objects, boxes, scores,
// files. Drawn from the node's UI output, which the host sends again for cached nodes.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { copyOnClick, element, faint, panel, swatch } from "./elements.js";
import { fit, pageWidget } from "./widgets.js";

/**
 * @typedef {{name: string, rgb: number[], area_percent: number}} LegendEntry
 * @typedef {{areas_px: number[]}} Objects
 * @typedef {{bboxes: number[][], labels: string[], scores: number[]}} Boxes
 * @typedef {{kind: string, schema_version: number} & Record<string, unknown>} Scores
 * @typedef {{filename: string, subfolder: string}} SavedFile
 */

/** Which key of a node's UI output is drawn, and how. @type {Record<string, [string, View]>} */
const VIEWS = {
  PixWizard_DecodeSegmentation: ["pixwizard_legend", legend],
  PixWizard_DecodeMask: ["pixwizard_objects", objects],
  PixWizard_DecodeHighlight: ["pixwizard_objects", objects],
  PixWizard_DecodeBoxes: ["pixwizard_boxes", boxes],
  PixWizard_Compare: ["pixwizard_scores", scores],
  PixWizard_SaveDepth: ["pixwizard_files", files],
  PixWizard_SaveLabels: ["pixwizard_files", files],
};
/** @typedef {(payload: any[]) => HTMLElement[]} View */

const EMPTY_HEIGHT_PX = 30;
const LINE_PX = 20;
const MAX_HEIGHT_PX = 150;

/** @param {(Node | string)[]} cells */
function line(...cells) {
  const made = element(
    "div",
    { display: "flex", alignItems: "center", gap: "6px", minHeight: `${LINE_PX - 2}px` },
    ...cells,
  );
  made.className = "pixwizard-line";
  return made;
}

/** @param {string} text */
const wide = (text) =>
  element("span", { flex: "1", overflow: "hidden", textOverflow: "ellipsis" }, text);

/** @param {number} value */
const percent = (value) => `${value.toFixed(value < 1 ? 2 : 1)} %`;

/** @param {LegendEntry[]} entries */
function legend(entries) {
  return entries.map(({ name, rgb, area_percent }) => {
    const row = line(swatch(rgb), wide(name), faint(percent(area_percent)));
    const share = `${Math.max(0, Math.min(100, area_percent))}%`;
    const bar = "color-mix(in srgb, currentColor 12%, transparent)";
    row.style.background = `linear-gradient(90deg, ${bar} ${share}, transparent ${share})`;
    return copyOnClick(name, row);
  });
}

/** @param {Objects[]} found */
function objects(found) {
  const areas = found.flatMap((one) => one.areas_px);
  return [
    line(wide(counted(areas.length, "object"))),
    ...areas.map((area, i) => line(faint(`${i + 1}`), wide(`${area.toLocaleString("en")} px²`))),
  ];
}

/** @param {Boxes[]} pictures */
function boxes(pictures) {
  const total = pictures.reduce((sum, one) => sum + one.bboxes.length, 0);
  const rows = pictures.flatMap(({ bboxes, labels, scores: sure }, picture) =>
    bboxes.map((box, i) => {
      const place = box.map((edge) => Math.round(edge)).join(", ");
      const where = pictures.length > 1 ? `${picture + 1}: ${labels[i]}` : `${labels[i]}`;
      return copyOnClick(place, line(wide(where), place, faint(percent(100 * (sure[i] ?? 0)))));
    }),
  );
  return [line(wide(counted(total, "box")), faint("x1, y1, x2, y2 in px")), ...rows];
}

/** @param {Scores[]} found */
function scores(found) {
  return found.flatMap(({ kind, schema_version: _, ...values }) => [
    line(faint(kind)),
    ...Object.entries(values).map(([name, value]) =>
      copyOnClick(String(value), line(wide(name), value === null ? "none" : String(value))),
    ),
  ]);
}

/** @param {SavedFile[]} saved */
function files(saved) {
  return saved.map(({ filename, subfolder }) => {
    const path = subfolder ? `${subfolder}/${filename}` : filename;
    return copyOnClick(path, line(wide(path)));
  });
}

/** @param {number} number @param {"object" | "box"} what */
function counted(number, what) {
  if (number === 0) return `no ${what} found`;
  const many = what === "box" ? "boxes" : "objects";
  return `${number} ${number === 1 ? what : many}`;
}

/** Give a node its list. @param {any} node @param {string} key @param {View} view */
function attach(node, key, view) {
  const content = panel("result");
  content.append(faint("Run to see the result here."));
  content.style.maxHeight = `${MAX_HEIGHT_PX}px`; // Vue nodes would grow with a long list
  let height = EMPTY_HEIGHT_PX;
  pageWidget(node, "result", content, () => height, true);
  const draw = (/** @type {any} */ output) => {
    const payload = output?.[key];
    if (!Array.isArray(payload)) return;
    const rows = view(payload);
    content.replaceChildren(...rows);
    height = Math.min(MAX_HEIGHT_PX, Math.max(EMPTY_HEIGHT_PX, rows.length * LINE_PX + 10));
    content.style.minHeight = `${height}px`;
    fit(node, false);
    node.setDirtyCanvas?.(true, true);
  };
  const before = node.onExecuted;
  node.onExecuted = function (/** @type {any} */ output) {
    const result = before?.call(this, output);
    draw(output);
    return result;
  };
  node.pixwizardDraw = draw;
}

/** What each node of the workflow with this id gave last, as the host still remembers. A node that
 * was cached is missing in the newest run, so older ones fill in.
 * @param {string} id @returns {Promise<Record<string, any>>} */
async function remembered(id) {
  const answer = await api.fetchApi("/history?max_items=16");
  if (!answer.ok) return {};
  const runs = /** @type {any[]} */ (Object.values(await answer.json()));
  const ours = runs.filter((run) => run.prompt?.[3]?.extra_pnginfo?.workflow?.id === id);
  ours.sort((a, b) => a.prompt[0] - b.prompt[0]);
  return Object.assign({}, ...ours.map((run) => run.outputs));
}

app.registerExtension({
  name: "pixwizard.resultView",
  /** @param {any} node */
  nodeCreated(node) {
    const view = VIEWS[node.comfyClass];
    if (view) attach(node, ...view);
  },
  async afterConfigureGraph() {
    const ours = app.graph.nodes.filter((/** @type {any} */ node) => node.pixwizardDraw);
    if (!ours.length) return;
    const here = app.nodeOutputs ?? {};
    const known = ours.every((/** @type {any} */ node) => here[node.id]);
    const before = known ? {} : await remembered(app.graph.id).catch(() => ({}));
    const outputs = { ...before, ...here };
    for (const node of ours) node.pixwizardDraw(outputs[node.id]);
  },
});
