// @ts-check
// A blueprint beside Load Image, as a person has it: its fields are on it, and after a run so is the
// answer of the PixWizard node inside.
//
// PIXWIZARD_URL        a running host with the extension  (required)
// PIXWIZARD_RENDERERS  canvas, vue, or canvas,vue         (default: both)

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { kindOf, launch, load, open, ours, run } from "./page.js";

const URL_BASE = process.env.PIXWIZARD_URL ?? "";
const RENDERERS = (process.env.PIXWIZARD_RENDERERS ?? "canvas,vue").split(",");
const NAME = "Select by Text (PixWizard)";
const FIELDS = ["find", "seed"];
const FIRST_PAGE = [1, 35]; // older ones have no blueprints

/** @param {string} path */
const get = async (path) => (await fetch(URL_BASE + path)).json();

/** The blueprint with a picture at its first input; null from a host without blueprints. */
async function withPicture() {
  const answer = await fetch(`${URL_BASE}/global_subgraphs`);
  if (!answer.ok) return null;
  const entries = /** @type {[string, any][]} */ (Object.entries(await answer.json()));
  const [id] = entries.find(([, entry]) => entry.name === NAME) ?? [];
  const graph = JSON.parse((await get(`/global_subgraphs/${id}`)).data);
  graph.nodes[0].inputs[0].link = 1;
  graph.nodes[0].pos = [400, 0];
  graph.nodes.push({
    id: 90, type: "LoadImage", pos: [0, 0], size: [310, 330], flags: {}, order: 0, mode: 0, inputs: [],
    outputs: [{ name: "IMAGE", type: "IMAGE", links: [1] }, { name: "MASK", type: "MASK", links: [] }],
    properties: {}, widgets_values: ["example.png", "image"],
  });
  return { ...graph, links: [[1, 90, 0, 1, 0, "IMAGE"]], last_node_id: 90, last_link_id: 1 };
}

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const renderer of RENDERERS) {
  test(`a blueprint shows its fields and its answer: ${renderer}`, async (context) => {
    const { page, errors } = await open(browser, URL_BASE, { vue: renderer === "vue" });
    const { version } = await kindOf(page, renderer === "vue");
    const [major = 0, minor = 0] = version.split(".").map(Number);
    const [m = 0, n = 0] = FIRST_PAGE;
    const graph = await withPicture();
    if (!graph || major < m || (major === m && minor < n)) return context.skip("no blueprints here");
    await load(page, graph);
    const shown = await page.evaluate((seed) => {
      const node = globalThis.app.graph.getNodeById(1);
      const names = node.widgets.map((/** @type {any} */ one) => one.name);
      node.widgets.find((/** @type {any} */ one) => one.name === "seed").value = seed; // not cached
      node.setSize([360, node.size[1]]);
      return names.filter((/** @type {string} */ name) => name !== "result");
    }, Math.floor(Math.random() * 1e9));
    assert.deepEqual(shown, FIELDS);
    assert.equal(await run(page), "success");
    const view = () =>
      page.evaluate(() => globalThis.app.graph.getNodeById(1).pixwizardView?.content.innerText ?? "");
    await page.waitForFunction(
      () => /768|object/.test(globalThis.app.graph.getNodeById(1).pixwizardView?.content.innerText ?? ""),
    );
    assert.match(await view(), /Demo model/);
    assert.doesNotMatch(await view(), /Earlier result|Run to see/);
    assert.deepEqual(ours(errors), []);
    await page.close();
  });
}
