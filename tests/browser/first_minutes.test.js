// @ts-check
// What a newcomer meets on a small screen: templates that can be read as they open, with no node on
// another and no widget beyond its node. As page.test.js, of which it takes the environment; with
// PIXWIZARD_FEW it opens the templates of few nodes alone. PIXWIZARD_SHOTS keeps a picture of each.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { boxes, crowded, keepBoxes, kindOf, launch, open, ours } from "./page.js";

const URL_BASE = process.env.PIXWIZARD_URL ?? "";
const SHOTS = process.env.PIXWIZARD_SHOTS;
const RENDERERS = (process.env.PIXWIZARD_RENDERERS ?? "canvas,vue").split(",");
const SCREEN = { width: 1366, height: 768 };
const LONG_WAY = 20; // number of the first template with many nodes
const SETTLED_MS = 250;
const TITLE = 30; // px of a node's title
const SLACK = 2; // px
const ROOM = { width: 1240, height: 640 }; // px of that screen for a graph, as tests/support/layout.py has it
const SPARE = 0.93; // of it for sure: the layout counts what a node takes on the page that draws it tallest
const READABLE = 0.6; // zoom below which the classic canvas leaves words out
const START = 0.75; // zoom of a graph that is too large to be read whole
const LEAST_SEEN = 0.9; // share of the nodes of any other that is in sight as it opens

/** @param {string} path */
const get = async (path) => (await fetch(URL_BASE + path)).json();

/** @type {string[]} */
const listed = (await get("/api/workflow_templates")).PixWizard;
const number = (/** @type {string} */ name) => Number(name.match(/\d+/)?.[0]);
const names = listed
  .filter((name) => !process.env.PIXWIZARD_FEW || number(name) < LONG_WAY)
  .sort((a, b) => number(a) - number(b));

/** Open a template as the page's list of templates does. @param {import("playwright-core").Page} page
 * @param {string} name */
async function opened(page, name) {
  const workflow = await get(`/api/workflow_templates/PixWizard/${name}.json`);
  // An app hides its graph, which is looked at here.
  const graph = { ...workflow, extra: { ...workflow.extra, linearMode: false } };
  await page.evaluate((given) => globalThis.app.loadGraphData(given, true, true), graph);
  await page.keyboard.press("Escape"); // the host's list of missing models
  await page.waitForTimeout(SETTLED_MS);
  return workflow;
}

/** Widgets that reach beyond their node, or out of its sides; not the page's own tab below a node whose
 * model is missing, which opens the error. @param {import("playwright-core").Page} page
 * @param {boolean} vue @returns {Promise<string[]>} */
const clipped = (page, vue) =>
  page.evaluate(([elements, slack]) => {
    const name = (/** @type {any} */ node) => `${node.type} ${node.id}`;
    return globalThis.app.graph.nodes.flatMap((/** @type {any} */ node) => {
      if (!elements) {
        const [, least] = node.computeSize();
        return node.size[1] + slack < least ? [`${name(node)} lacks ${Math.round(least - node.size[1])} px`] : [];
      }
      const shown = document.querySelector(`[data-node-id="${node.id}"]`);
      if (!shown) return [`${name(node)} is not drawn`];
      const frame = shown.getBoundingClientRect();
      const widgets = "input, select, textarea, button:not(.bg-destructive-background, .bg-warning), canvas, .pixwizard-line";
      const within = [...shown.querySelectorAll(widgets)];
      return within.flatMap((one) => {
        const box = one.getBoundingClientRect();
        const inside = box.right <= frame.right + slack && box.bottom <= frame.bottom + slack && box.left >= frame.left - slack;
        return box.width && box.height && !inside ? [`${name(node)}: ${one.tagName} ${one.className}`] : [];
      });
    });
  }, /** @type {const} */ ([vue, SLACK]));

/** Nodes with a picture that are lower than they were saved. @param {import("./page.js").Box[]} places @param {any} workflow */
function shrunk(places, workflow) {
  const saved = new Map(workflow.nodes.map((/** @type {any} */ one) => [String(one.id), Object.values(one.size)[1]]));
  const lost = places.map((one) => ({ ...one, lost: saved.get(String(one.id)) + TITLE - one.height }));
  return lost.filter((one) => one.wish && one.lost > SLACK).map((one) => `${one.type} ${one.id} lost ${Math.round(one.lost)} px`);
}

/** Width and height of all nodes together. @param {import("./page.js").Box[]} places */
function extent(places) {
  const span = (/** @type {"x" | "y"} */ at, /** @type {"width" | "height"} */ size) =>
    Math.max(...places.map((one) => one[at] + one[size])) - Math.min(...places.map((one) => one[at]));
  return { width: span("x", "width"), height: span("y", "height") };
}

/** How a template opens: zoom, whether the page paints its words, the share of its nodes that is in
 * sight, and whether the first of them is whole. @param {import("playwright-core").Page} page
 * @param {import("./page.js").Box[]} places */
const sight = (page, places) =>
  page.evaluate((nodes) => {
    const { ds, low_quality: blank } = globalThis.app.canvas;
    const frame = globalThis.app.canvas.canvas.getBoundingClientRect();
    const bar = document.querySelector(".side-tool-bar-container, [data-testid=side-toolbar]")?.getBoundingClientRect();
    const view = { left: Math.max(frame.left, bar?.right ?? 0), top: frame.top, right: innerWidth, bottom: innerHeight };
    const seen = nodes.map(({ x, y, width, height }) => {
      const [left, top] = [(x + ds.offset[0]) * ds.scale + frame.left, (y + ds.offset[1]) * ds.scale + frame.top];
      const [right, bottom] = [left + width * ds.scale, top + height * ds.scale];
      const across = Math.max(0, Math.min(right, view.right) - Math.max(left, view.left));
      const down = Math.max(0, Math.min(bottom, view.bottom) - Math.max(top, view.top));
      return { all: (right - left) * (bottom - top), part: across * down };
    });
    const sum = (/** @type {"all" | "part"} */ key) => seen.reduce((total, one) => total + one[key], 0);
    const [first] = seen;
    return {
      zoom: ds.scale,
      painted: !blank,
      share: sum("part") / sum("all"),
      first: first ? first.part / first.all : 0,
    };
  }, places);

for (const renderer of RENDERERS) {
  describe(`first minutes, ${renderer}`, () => {
    const vue = renderer === "vue";
    /** @type {import("playwright-core").Browser} */
    let browser;
    /** @type {import("playwright-core").Page} */
    let page;
    /** @type {string[]} */
    let errors;
    let elements = true;
    let trial = false;
    let version = "";

    before(async () => {
      browser = await launch();
      ({ page, errors } = await open(browser, URL_BASE, { vue }));
      await page.setViewportSize(SCREEN);
      ({ elements, version, trial } = await kindOf(page, vue));
    });
    after(() => browser?.close());

    for (const name of names) {
      test(`${name} can be read as it opens`, async (context) => {
        if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
        const workflow = await opened(page, name);
        const places = await boxes(page, vue);
        keepBoxes({ name, version, renderer, places }, workflow);
        const { zoom, painted, share, first } = await sight(page, places);
        const told = `zoom ${zoom}, ${Math.round(100 * share)} % in sight`;
        console.log(name, told);
        if (SHOTS) await page.screenshot({ path: join(SHOTS, `${renderer}-small-${name}.png`) });
        assert.ok(painted, told);
        assert.ok(first > 0.99, `its note is not whole in sight: ${first}`);
        const { width, height } = extent(places);
        const whole = [width / ROOM.width, height / ROOM.height].every((share) => share * READABLE <= SPARE);
        assert.ok(zoom >= (whole || trial ? READABLE : START), told);
        if (whole && !trial) assert.ok(share >= LEAST_SEEN, told);
        assert.deepEqual(await crowded(page, places), []);
        assert.deepEqual(shrunk(places, workflow), []);
        assert.deepEqual(await clipped(page, vue), []);
      });
    }

    test("nothing of ours went wrong in the console", () => {
      assert.deepEqual(ours(errors), []);
    });
  });
}
