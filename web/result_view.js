// @ts-check
// A node's result on the node: its picture, and below it a list of what was found. Drawn from the
// node's UI output, which the host sends again for cached nodes and keeps in its history.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { element, faint, panel } from "./elements.js";
import { LINE_PX, boxes, files, legend, objects, report, scores } from "./lists.js";
import { NOTES, lines } from "./notes.js";
import { PictureView } from "./picture_view.js";
import { fit, nodesOf, pageWidget } from "./widgets.js";
import { word } from "./words.js";

/** @typedef {(payload: any[]) => HTMLElement[]} List */
/** What a node shows. lists: for what it may find, by the key of its output. waits: an empty picture stands there before the first run. most: px of the
 * list beyond which it scrolls. width: px of a new node.
 * @typedef {{picture?: "waits" | "later", key?: string, list?: List, lists?: Record<string, List>, most?: number, width?: number}} Shows */

/** @type {Record<string, Shows>} */
const VIEWS = {
  PixWizard_DecodeDepth: { picture: "waits" },
  PixWizard_DepthToMetres: { picture: "waits" },
  PixWizard_DecodeSegmentation: { picture: "waits", key: "pixwizard_legend", list: legend },
  PixWizard_DecodeMask: { picture: "waits", key: "pixwizard_objects", list: objects },
  PixWizard_DecodeHighlight: { picture: "waits", key: "pixwizard_objects", list: objects },
  PixWizard_DecodeBoxes: { picture: "waits", key: "pixwizard_boxes", list: boxes },
  PixWizard_DecodeAnswer: {
    picture: "waits",
    lists: { pixwizard_legend: legend, pixwizard_objects: objects, pixwizard_boxes: boxes },
  },
  PixWizard_Composite: { picture: "waits" },
  PixWizard_RestoreFromCanvas: { picture: "later" },
  PixWizard_Compare: { picture: "later", key: "pixwizard_scores", list: scores },
  PixWizard_SaveDepth: { key: "pixwizard_files", list: files },
  PixWizard_SaveLabels: { key: "pixwizard_files", list: files },
  PixWizard_Check: { key: "pixwizard_report", list: report, most: 420, width: 600 },
};
const PICTURES = "pixwizard_view";
const EMPTY_PX = 30;
const LIST_PX = 130; // longer lists scroll
const FRAME_PX = 12;

/** Picture and list of one node. */
class ResultView {
  /** @param {any} node @param {Shows} shows */
  constructor(node, shows) {
    this.node = node;
    this.shows = shows;
    this.content = panel("result");
    Object.assign(this.content.style, { display: "flex", flexDirection: "column", gap: "2px" });
    this.picture = shows.picture ? new PictureView(node) : null;
    this.most = shows.most ?? LIST_PX;
    this.list = element("div", { flex: "none", overflow: "auto", maxHeight: `${this.most}px` });
    this.lines = 0;
    this.notes = element("div", { flex: "none" });
    this.notes_px = 0;
    this.least = EMPTY_PX;
    if (this.picture && shows.picture === "waits") this.hang();
    else if (shows.list) this.list.append(faint(word("view.run")));
    this.content.append(this.notes, this.list);
    const grows = Boolean(shows.picture);
    this.widget = pageWidget(node, "result", this.content, () => this.least, grows);
    if (shows.width) node.setSize([Math.max(shows.width, node.size[0]), node.size[1]]);
    this.measure(this.picture?.heights.first);
  }

  /** Put the picture above the list. */
  hang() {
    if (!this.picture || this.picture.stage.isConnected || this.hung) return;
    this.hung = true;
    this.content.prepend(this.picture.stage, this.picture.bar);
  }

  /** @param {any} output of the node's last run */
  draw(output) {
    const entries = output?.[PICTURES];
    const { key, list, lists = key && list ? { [key]: list } : {} } = this.shows;
    const found = Object.keys(lists).find((name) => Array.isArray(output?.[name]));
    const first = !this.hung;
    if (this.picture && Array.isArray(entries) && entries.length) {
      this.hang();
      void this.picture.show(entries);
    }
    const rows = found && lists[found]?.(output[found]);
    if (rows || (output && this.shows.lists)) {
      this.list.replaceChildren(...(rows || []));
      this.lines = rows ? rows.length : 0;
    }
    if (output) {
      const said = lines(Array.isArray(output[NOTES]) ? output[NOTES] : []);
      this.notes.replaceChildren(...said.rows);
      this.notes_px = said.height;
    }
    if (output) this.measure(first && this.hung ? this.picture?.heights.first : undefined);
  }

  /** Take the room that the content needs. @param {number} [picture_px] the picture's wish */
  measure(picture_px) {
    const list = this.notes_px + Math.min(this.most, this.lines * LINE_PX);
    const least = this.hung && this.picture ? this.picture.heights.least : 0;
    const wished = this.hung && picture_px ? picture_px : least;
    const before = this.least;
    this.least = Math.max(EMPTY_PX, wished + list + FRAME_PX);
    this.content.style.minHeight = `${Math.max(EMPTY_PX, least + list + FRAME_PX)}px`;
    if (this.least > before || picture_px) fit(this.node, false);
    this.least = Math.max(EMPTY_PX, least + list + FRAME_PX);
    if (!this.picture) this.content.style.maxHeight = `${this.least}px`;
    this.node.setDirtyCanvas?.(true, true);
  }
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
    const shows = VIEWS[node.comfyClass];
    if (!shows && !node.comfyClass?.startsWith("PixWizard_")) return;
    /** @type {ResultView | undefined} */
    let view = shows && new ResultView(node, shows);
    node.pixwizardDraw = (/** @type {any} */ output) => {
      if (output?.[NOTES]?.length) view ??= new ResultView(node, {});
      view?.draw(output);
    };
    const before = node.onExecuted;
    node.onExecuted = function (/** @type {any} */ output) {
      const result = before?.call(this, output);
      node.pixwizardDraw(output);
      return result;
    };
  },
  async afterConfigureGraph() {
    const ours = nodesOf(app.graph).filter(([, node]) => node.pixwizardDraw);
    if (!ours.length) return;
    const here = app.nodeOutputs ?? {};
    const known = ours.every(([name, node]) => here[name] || !VIEWS[node.comfyClass]);
    const before = known ? {} : await remembered(app.graph.id).catch(() => ({}));
    for (const [name, node] of ours) node.pixwizardDraw(here[name] ?? before[name]);
  },
});
