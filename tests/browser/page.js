// @ts-check
// Drives the host's page: opens it, loads a template the way the template browser does, runs it.

import { appendFileSync, existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
// What a bare page says of itself: no user style, no network, no saved user data.
const NOISE = /ERR_NAME_NOT_RESOLVED|ERR_INTERNET|ERR_CONNECTION|ERR_TUNNEL|status of 40[04]/;

const READY_MS = 300_000; // where much else runs; half a minute where nothing does

export const browserPath = () => PLACES.find((place) => place && existsSync(place));

export async function launch() {
  return chromium.launch({
    executablePath: browserPath(),
    headless: true,
    args: ["--no-sandbox", "--disable-gpu"], // painting in software is quicker than a GPU in software
  });
}

/**
 * A page of the host that is ready for graphs.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {{vue: boolean}} options vue: draw nodes as page elements, else on the canvas
 */
export async function open(browser, url, { vue }) {
  const page = await browser.newPage({ viewport: { width: 1500, height: 1000 } });
  /** @type {string[]} */
  const errors = [];
  page.on("console", (message) => {
    const text = `${message.text()} ${message.location().url}`;
    if (message.type() === "error" && !NOISE.test(text)) errors.push(text);
  });
  page.on("pageerror", (error) => errors.push(`${error.stack ?? error}`));
  page.setDefaultTimeout(120_000);
  await page.goto(url, { waitUntil: "domcontentloaded" });
  await ready(page);
  const changed = await page.evaluate(async (on) => {
    const { setting } = globalThis.app.extensionManager;
    const differs = Boolean(setting.get("Comfy.VueNodes.Enabled")) !== on;
    if (differs) await setting.set("Comfy.VueNodes.Enabled", on);
    return differs;
  }, vue);
  // Frontend 1.27 keeps drawing the first graph when it is switched over while running.
  if (changed) await reload(page);
  return { page, errors };
}

const VUE_WITH_PAGE_ELEMENTS = [1, 30]; // older Vue nodes show no widget that an extension made
const VUE = [1, 49]; // older Vue nodes are a trial of the page's authors

/**
 * The page's version, whether it draws widgets made of page elements, and whether its Vue nodes are
 * those of 1.35, which it calls experimental: it spreads each graph for them to 1.2 times its size, gives
 * no widget the room that is left, and takes nothing of a node into its menu.
 * @param {import("playwright-core").Page} page @param {boolean} vue
 */
export async function kindOf(page, vue) {
  /** @type {string} */
  const version = await page.evaluate(() => globalThis.__COMFYUI_FRONTEND_VERSION__);
  const trial = vue && !atLeast(version, VUE);
  return { version, elements: !vue || atLeast(version, VUE_WITH_PAGE_ELEMENTS), trial };
}

/** Whether a version of the page is this one, or newer. @param {string} version
 * @param {number[]} first major and minor number */
export function atLeast(version, first) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [m = 0, n = 0] = first;
  return major > m || (major === m && minor >= n);
}

/** @param {import("playwright-core").Page} page */
export async function reload(page) {
  await page.reload({ waitUntil: "domcontentloaded" });
  await ready(page);
}

/** @param {import("playwright-core").Page} page */
async function ready(page) {
  await page.waitForFunction(
    () =>
      globalThis.app?.extensionManager &&
      globalThis.app.canvas &&
      globalThis.app.extensionManager.workflow?.activeWorkflow &&
      globalThis.LiteGraph?.registered_node_types["PixWizard_Sample"],
    null,
    { timeout: READY_MS },
  );
}

/** Errors that our own files took part in. @param {string[]} errors */
export const ours = (errors) => errors.filter((text) => /pixwizard/i.test(text));

/** @param {import("playwright-core").Page} page @param {object} workflow */
export async function load(page, workflow) {
  await page.evaluate(async (graph) => {
    await globalThis.app.loadGraphData(graph);
    const { canvas, graph: loaded } = globalThis.app;
    const boxes = loaded.nodes.map((/** @type {any} */ node) => [...node.pos, ...node.size]);
    const least = [0, 1].map((axis) => Math.min(...boxes.map((box) => box[axis])));
    const most = [0, 1].map((axis) => Math.max(...boxes.map((box) => box[axis] + box[axis + 2])));
    const room = [innerWidth - 160, innerHeight - 220];
    const scale = Math.min(1, ...[0, 1].map((axis) => room[axis] / (most[axis] - least[axis])));
    canvas.ds.scale = scale;
    canvas.ds.offset = [90 / scale - least[0], 160 / scale - least[1]];
    canvas.setDirty(true, true);
  }, workflow);
  await page.waitForTimeout(600);
}

/**
 * The picture on the first node of a kind, once it has come, to be used as a person does; null when it
 * has none.
 * @param {import("playwright-core").Page} page @param {string} kind
 * @returns {Promise<any>}
 */
export async function nodeView(page, kind) {
  const found = await page.evaluateHandle((type) => {
    const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === type);
    const widget = node?.widgets?.find((/** @type {any} */ one) => one.name === "result");
    return widget?.element ?? null;
  }, kind);
  const view = found.asElement();
  if (!view) return null;
  await page.waitForFunction((one) => !(/** @type {any} */ (one).querySelector(".pixwizard-picture[aria-busy]")), view);
  const stage = await view.$(".pixwizard-picture");
  const told = async () => (await view.$eval(".pixwizard-reading", (/** @type {any} */ e) => e.textContent)) ?? "";
  return {
    told,
    /** What is told with the pointer there, in shares of the stage. */
    async read(/** @type {number} */ across, /** @type {number} */ down) {
      const box = await stage.boundingBox();
      await page.mouse.move(box.x + across * box.width, box.y + down * box.height);
      return told();
    },
    async slide(/** @type {string} */ name, /** @type {number} */ to) {
      await page.mouse.move(5, 5);
      const slider = await view.$(`input[aria-label=${name}]`);
      await slider.evaluate((/** @type {any} */ input, /** @type {number} */ value) => {
        input.value = String(value);
        input.dispatchEvent(new Event("input", { bubbles: true }));
      }, to);
    },
    /** Mean of what is painted: how much red there is beyond green and blue, 0..255. */
    ink: () =>
      stage.$eval("canvas", (/** @type {any} */ canvas) => {
        const { width, height } = canvas;
        const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
        let red = 0;
        for (let i = 0; i < data.length; i += 4) red += data[i] - (data[i + 1] + data[i + 2]) / 2;
        return { red: red / (data.length / 4) };
      }),
  };
}

/** Wait until every view has its picture; each is drawn when its own has come.
 * @param {import("playwright-core").Page} page */
export const drawn = (page) =>
  page.waitForFunction(
    () =>
      !document.querySelector(".pixwizard-picture[aria-busy]") &&
      ![...document.querySelectorAll(".pixwizard-result")].some((one) =>
        /Run/.test(/** @type {HTMLElement} */ (one).innerText),
      ),
  );

/** A node's place as drawn, with its title, in px of the graph. x is NaN where it is not drawn.
 * least: height without title that the classic canvas gives at least; wish: what a new node of ours
 * has beyond that.
 * @typedef {{id: number, type: string, least: number, wish: number, x: number, y: number, width: number, height: number}} Box */

/** Where each node is drawn. @param {import("playwright-core").Page} page
 * @param {boolean} vue whether nodes are page elements @returns {Promise<Box[]>} */
export const boxes = (page, vue) =>
  page.evaluate((elements) => {
    const TITLE = 30; // of the classic canvas, above a node's place
    const wishes = new Map();
    const wish = (/** @type {string} */ type) => {
      if (!type.startsWith("PixWizard_")) return 0;
      if (!wishes.has(type)) {
        const made = globalThis.LiteGraph.createNode(type);
        wishes.set(type, Math.max(0, made.size[1] - made.computeSize()[1]));
      }
      return wishes.get(type);
    };
    return globalThis.app.graph.nodes.map((/** @type {any} */ node) => {
      const { id, type } = node;
      const [x, y] = [node.pos[0], node.pos[1] - TITLE];
      const known = { id, type, least: node.computeSize()[1], wish: wish(type) };
      if (!elements) return { ...known, x, y, width: node.size[0], height: node.size[1] + TITLE };
      // Its size before the page zooms: what a slow page draws lags behind the zoom.
      const shown = /** @type {HTMLElement | null} */ (document.querySelector(`[data-node-id="${id}"]`));
      if (!shown) return { ...known, x: NaN, y, width: 0, height: 0 };
      return { ...known, x, y, width: shown.offsetWidth, height: shown.offsetHeight };
    });
  }, vue);

/** Add a line to the file PIXWIZARD_BOXES, where that is set: places as drawn, and as saved.
 * @param {{name: string, version: string, renderer: string, places: Box[]}} told of a template
 * @param {any} workflow as saved */
export function keepBoxes(told, workflow) {
  const file = process.env.PIXWIZARD_BOXES;
  const saved = workflow.nodes.map((/** @type {any} */ one) => [one.id, { pos: one.pos, size: one.size }]);
  if (file) appendFileSync(file, `${JSON.stringify({ ...told, saved: Object.fromEntries(saved) })}\n`);
}

/** Frames of the groups. @param {import("playwright-core").Page} page
 * @returns {Promise<{title: string, x: number, y: number, width: number, height: number}[]>} */
const frames = (page) =>
  page.evaluate(() =>
    globalThis.app.graph.groups.map((/** @type {any} */ group) => {
      const [x, y, width, height] = group._bounding ?? group.boundingRect;
      return { title: group.title, x, y, width, height };
    }),
  );

/** What lies on something else, or hangs out of its group, as drawn, and by how many px.
 * @param {import("playwright-core").Page} page @param {Box[]} places what boxes() gave
 * @returns {Promise<string[]>} */
export async function crowded(page, places) {
  const name = (/** @type {Box} */ box) => `${box.type} ${box.id}`;
  const ends = (/** @type {{x: number, y: number, width: number, height: number}} */ one) => ({
    right: one.x + one.width,
    bottom: one.y + one.height,
  });
  const unseen = places.filter((box) => Number.isNaN(box.x) || !box.height).map((box) => `${name(box)} is not drawn`);
  const pairs = places.flatMap((a, i) =>
    places.slice(i + 1).flatMap((b) => {
      const [across, down] = [
        Math.min(ends(a).right, ends(b).right) - Math.max(a.x, b.x),
        Math.min(ends(a).bottom, ends(b).bottom) - Math.max(a.y, b.y),
      ];
      if (!(across > 0 && down > 0)) return [];
      return [`${name(a)} and ${name(b)} share ${Math.round(across)} x ${Math.round(down)} px`];
    }),
  );
  const outside = (await frames(page)).flatMap((group) => {
    const { right, bottom } = ends(group);
    return places
      .filter((box) => box.x >= group.x && box.x < right && box.y >= group.y && box.y < bottom)
      .filter((box) => ends(box).right > right || ends(box).bottom > bottom)
      .map((box) => `${name(box)} hangs out of ${group.title} by ${Math.round(ends(box).bottom - bottom)} px`);
  });
  return [...unseen, ...pairs, ...outside];
}

/** Queue what is on the page and wait for the end. @param {import("playwright-core").Page} page
 * @returns {Promise<string>} "success", or the error's text */
export async function run(page) {
  const told = await page.evaluate(async (timeout_ms) => {
    const { app } = globalThis;
    const end = new Promise((resolve) => {
      const once = { once: true };
      app.api.addEventListener("execution_success", () => resolve("success"), once);
      app.api.addEventListener(
        "execution_error",
        (/** @type {any} */ event) => resolve(event.detail.exception_message),
        once,
      );
      setTimeout(() => resolve(`no end after ${timeout_ms} ms`), timeout_ms);
    });
    await app.queuePrompt(0, 1);
    const refused = app.lastNodeErrors ?? {};
    return Object.keys(refused).length ? JSON.stringify(refused) : end;
  }, 100_000);
  await page.waitForTimeout(500);
  return /** @type {string} */ (told);
}
