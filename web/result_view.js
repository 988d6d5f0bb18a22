// @ts-check
// A node's result on the node: its picture, and below it a list of what was found. Drawn from the
// node's UI output, which the host sends again for cached nodes and keeps in its history. A result
// belongs to the graph that made it: it is dimmed when that graph changes, and never drawn in another.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { AUTO, IN_BANNER, banner, settings, tookDemo } from "./demo_model.js";
import { element, faint, panel } from "./elements.js";
import { LINE_PX, boxes, drawnLines, files, legend, objects, report, scores } from "./lists.js";
import { NOTES, lines, statement } from "./notes.js";
import { alike, dependsOn } from "./origins.js";
import { offerPicture } from "./picture_menu.js";
import { PictureView } from "./picture_view.js";
import { PreviewRoom, watchPreviews } from "./previews.js";
import { PICTURES, known, last, madeBy, present, remembered, tab, undoing, watchRuns } from "./runs.js";
import { fit, nodesOf, pageWidget } from "./widgets.js";
import { word } from "./words.js";

/** @typedef {(payload: any[]) => HTMLElement[]} List */
/** What a node shows. lists: for what it may find, by the key of its output. waits: an empty picture stands there before the first run. most: px of the
 * list beyond which it scrolls. width: px of a new node.
 * @typedef {{picture?: "waits" | "later", key?: string, list?: List, lists?: Record<string, List>, most?: number, width?: number}} Shows */

/** @type {Record<string, List>} */
const ANSWERS = {
  pixwizard_legend: legend,
  pixwizard_objects: objects,
  pixwizard_boxes: boxes,
  pixwizard_lines: drawnLines,
};
/** @type {Record<string, Shows>} */
const VIEWS = {
  PixWizard_DecodeDepth: { picture: "waits" },
  PixWizard_DepthToMetres: { picture: "waits" },
  PixWizard_DecodeSegmentation: { picture: "waits", key: "pixwizard_legend", list: legend },
  PixWizard_DecodeMask: { picture: "waits", key: "pixwizard_objects", list: objects },
  PixWizard_DecodeHighlight: { picture: "waits", key: "pixwizard_objects", list: objects },
  PixWizard_DecodeBoxes: { picture: "waits", key: "pixwizard_boxes", list: boxes },
  PixWizard_DecodeNormals: { picture: "waits" },
  PixWizard_DecodeEdges: { picture: "waits", key: "pixwizard_lines", list: drawnLines },
  PixWizard_MergeDepths: { picture: "waits" },
  PixWizard_DecodeAnswer: { picture: "waits", lists: ANSWERS },
  PixWizard_PixWizard: { picture: "waits", lists: ANSWERS },
  PixWizard_CutOut: { picture: "waits" },
  PixWizard_TiledAnswer: { picture: "waits" },
  PixWizard_SharpenAnswer: { picture: "waits", width: 300 },
  PixWizard_PickBest: { picture: "waits", width: 300 },
  PixWizard_Composite: { picture: "waits" },
  PixWizard_RestoreFromCanvas: { picture: "later" },
  PixWizard_Compare: { picture: "later", key: "pixwizard_scores", list: scores },
  PixWizard_SaveDepth: { key: "pixwizard_files", list: files },
  PixWizard_SaveLabels: { key: "pixwizard_files", list: files },
  PixWizard_Check: { key: "pixwizard_report", list: report, most: 420, width: 600 },
};
const SHORT = "PixWizard_PixWizard";
const SAMPLES = "PixWizard_Sample";
const EMPTY_PX = 30;
const LIST_PX = 130; // longer lists scroll
const FRAME_PX = 12;
const SAID_PX = 88; // banner and notes, on a new node: a result never makes a node grow that waits for a picture
const LISTED_PX = 40; // the picture gives the rest
const FADED = "0.35"; // an earlier result
const SETTLED_MS = 150; // after a change of the graph

/** Picture and list of one node. */
class ResultView {
  /** @param {any} node @param {Shows} shows */
  constructor(node, shows) {
    this.node = node;
    this.shows = shows;
    this.content = panel("result");
    Object.assign(this.content.style, { display: "flex", flexDirection: "column", gap: "2px" });
    this.picture = shows.picture ? new PictureView(node) : null;
    // What is shown beside a picture scrolls in the room that the node has.
    this.room = element("div", { position: "relative", width: "100%", height: "100%" }, this.content);
    if (this.picture) Object.assign(this.content.style, { position: "absolute", inset: "0" });
    if (this.picture) offerPicture(node, this.picture);
    this.most = shows.most ?? LIST_PX;
    this.list = element("div", { flex: "none", overflow: "auto", maxHeight: `${this.most}px` });
    this.lines = 0;
    this.banner = element("div", { flex: "none" });
    this.state = element("div", { flex: "none" });
    this.state.setAttribute("role", "status");
    this.notes = element("div", { flex: "none" });
    this.said_px = { banner: 0, state: 0, notes: 0 };
    /** @type {import("./runs.js").Run | null} */
    this.run = null;
    this.name = String(node.id); // that the host knows it by
    this.as = this.name; // its name in the run
    this.failed = false;
    this.least = EMPTY_PX;
    this.content.append(this.banner, this.state, this.notes, this.list);
    if (this.picture && shows.picture === "waits") this.hang();
    else if (shows.list) this.list.append(faint(word("view.run")));
    const grows = Boolean(shows.picture);
    this.widget = pageWidget(node, "result", this.room, () => this.least, grows);
    if (shows.width) node.setSize([Math.max(shows.width, node.size[0]), node.size[1]]);
    const listed = shows.list || shows.lists ? LISTED_PX : 0;
    this.measure(this.picture?.heights.first, SAID_PX + listed);
  }

  /** Put the picture above the list. */
  hang() {
    if (!this.picture || this.picture.stage.isConnected || this.hung) return;
    this.hung = true;
    this.state.after(this.picture.stage, this.picture.bar);
  }

  /** Show what a run gave. @param {import("./runs.js").Run} run @param {string} as its name in it */
  show(run, as = this.name) {
    Object.assign(this, { run, as, failed: false });
    this.demo = tookDemo(run.outputs[as]);
    this.draw(run.outputs[as]);
    this.compare(present());
  }

  /** Whether it shows what the graph holds now. @param {any} now the graph */
  shows_now(now) {
    return Boolean(this.run) && (!this.run?.workflow || alike(this.run.workflow, now, this.name, this.as));
  }

  /** Say whether the result is still that of the graph, and what model it is, or will be, from.
   * @param {any} now the graph */
  compare(now) {
    const then = this.run?.workflow;
    const says = this.run && !this.shows_now(now) ? "older" : this.failed ? "failed" : "";
    const name = then ? this.as : this.name;
    if (this.picture) this.put("banner", banner(then ?? now, name, this.run?.outputs[this.as]));
    if (says !== (this.content.dataset.state ?? "")) {
      const said = statement(`↻ ${word(`view.${says}`)}`, "plain");
      this.content.dataset.state = says;
      if (this.picture) this.picture.say(says && said.row);
      else this.put("state", says ? [said] : []);
      this.list.style.opacity = says ? FADED : "";
    }
    this.measure();
  }

  /** Lines above the list or the picture. @param {"banner" | "state" | "notes"} where
   * @param {{row: HTMLElement, height: number}[]} said */
  put(where, said) {
    this[where].replaceChildren(...said.map(({ row }) => row));
    this.said_px[where] = said.reduce((sum, { height }) => sum + height, 0);
  }

  /** @param {any} output of the node's run */
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
      const notes = Array.isArray(output[NOTES]) ? output[NOTES] : [];
      this.put("notes", [...lines(notes.filter(({ say }) => !IN_BANNER.includes(say))), ...settings(output)]);
    }
    if (output) this.measure(first && this.hung ? this.picture?.heights.first : undefined);
  }

  /** Take the room that the content needs. @param {number} [picture_px] the picture's wish
   * @param {number} [beside_px] what to keep free beside it; without it, what is there now */
  measure(picture_px, beside_px) {
    const said = Object.values(this.said_px).reduce((sum, px) => sum + px, 0);
    const list = said + Math.min(this.most, this.lines * LINE_PX);
    const shown = this.hung && this.picture;
    const least = Math.max(EMPTY_PX, FRAME_PX + (shown ? shown.heights.least : list));
    const before = this.least;
    this.least = shown && picture_px ? FRAME_PX + picture_px + (beside_px ?? list) : least;
    this.room.style.minHeight = `${least}px`;
    if (this.least > before || picture_px) fit(this.node, false);
    this.least = least;
    if (!this.picture) this.content.style.maxHeight = `${this.least}px`;
    this.node.setDirtyCanvas?.(true, true);
  }
}

/** The view of a node, made when there is something to say. @param {any} node @param {any} output
 * @returns {ResultView | undefined} */
function viewFor(node, output) {
  if (node.subgraph && output?.[PICTURES]) node.pixwizardView ??= new ResultView(node, VIEWS[SHORT] ?? {});
  if (output?.[NOTES]?.length || output?.[AUTO]?.length) node.pixwizardView ??= new ResultView(node, {});
  return node.pixwizardView;
}

/** Our nodes on the page, with the names that the host knows them by. A blueprint shows the answer
 * of the last PixWizard node in it, and has that one's name. @returns {[string, any][]} */
const ours = () =>
  nodesOf(app.rootGraph ?? app.graph).flatMap(([name, node]) => {
    if (node.comfyClass?.startsWith("PixWizard_")) return [[name, node]];
    const last = answering(node);
    return last ? [[`${name}:${last.id}`, node]] : [];
  });

/** The PixWizard node whose answer a blueprint shows, if it holds one. @param {any} node */
function answering(node) {
  const inside = (node.subgraph?.nodes ?? []).filter((/** @type {any} */ one) => one.comfyClass === SHORT);
  return inside.sort((/** @type {any} */ a, /** @type {any} */ b) => a.order - b.order).at(-1);
}

/** Where a preview of a node is painted: on the views that wait for what it makes, and on itself.
 * @param {string} name of the node @returns {import("./previews.js").Place[] | null} null where the page shows it as it does */
function placesOf(name) {
  const all = ours();
  const running = all.filter(([other]) => other === name);
  if (!running.length) return null;
  const now = present();
  const waiting = all.filter(([other, node]) => node.pixwizardView?.hung && dependsOn(now, other, name));
  const rooms = running.flatMap(([, node]) => node.pixwizardPreview ?? []);
  if (!waiting.length && rooms.some((room) => room.refused)) return null;
  return [...waiting.map(([, node]) => node.pixwizardView.picture), ...rooms];
}

/** Every view says whether its result is still that of the graph. */
function compare() {
  const shown = ours().filter(([, node]) => node.pixwizardView);
  if (!shown.length) return;
  const now = present();
  for (const [name, { pixwizardView: view }] of shown) {
    view.name = name;
    view.compare(now);
  }
}

/** Draw again what was made from the graph as it is now. A node whose result the host still had
 * gives nothing in a run, so this is done after runs too.
 * @param {Set<string>} [asked] the nodes of a run; without it, all */
async function restore(asked) {
  const now = present();
  const again = undoing();
  const found = ours()
    .filter(([name, node]) => (!asked || asked.has(name)) && !node.pixwizardView?.shows_now(now))
    .map(([name, node]) => ({ name, node, made: known(name, now) ?? (again ? last(name) : undefined) }));
  const lacks = found.some(({ node, made }) => !made && node.pixwizardView);
  const before = lacks ? await remembered().catch(() => []) : [];
  for (const { name, node, made: kept } of found) {
    const made = kept ?? madeBy(before, name, now);
    const view = made && node.graph && viewFor(node, made.run.outputs[made.as]);
    if (!view || view.shows_now(now)) continue; // gone, or a run gave something meanwhile
    view.name = name;
    view.show(made.run, made.as);
  }
  compare();
}

app.registerExtension({
  name: "pixwizard.resultView",
  setup() {
    watchRuns({
      drawn(name, run) {
        // A workflow may get another name while it runs.
        if (run.tab !== tab() && !(run.workflow && alike(run.workflow, present(), name))) return;
        for (const [, node] of ours().filter(([other]) => other === name)) {
          const view = viewFor(node, run.outputs[name]);
          if (!view) continue;
          view.name = name;
          view.show(run);
        }
      },
      ended(run) {
        if (run.tab !== tab()) return;
        for (const [name, { pixwizardView: view }] of ours()) {
          if (view?.run && run.asked.has(name) && !run.done.has(name)) view.failed = true;
        }
        compare();
      },
      succeeded: (run) => void (run.tab === tab() && restore(run.asked)),
      told: compare,
    });
    watchPreviews(placesOf);
    let waits = 0;
    api.addEventListener("graphChanged", () => {
      clearTimeout(waits);
      waits = setTimeout(compare, SETTLED_MS);
    });
  },
  /** @param {any} node */
  nodeCreated(node) {
    const shows = VIEWS[answering(node) ? SHORT : node.comfyClass];
    if (shows) node.pixwizardView = new ResultView(node, shows);
    if (node.comfyClass === SAMPLES) node.pixwizardPreview = new PreviewRoom(node);
  },
  afterConfigureGraph: () => restore(),
});
