// @ts-check
// How much room the nodes of the shipped workflows need on a page, for tests/support/layout.py:
// prints {workflow: {node id: {type, least, extra}}}, heights in px of the graph, without titles.
// least: what the classic canvas gives at least, after a run where the bundled model can run it,
// since results take room; extra: how much more Vue nodes take at that size.
//
// PIXWIZARD_URL   a running host with the extension
// PIXWIZARD_ONLY  names of workflows between |             (default: all)

import { kindOf, launch, load, open, run } from "./page.js";

const URL_BASE = process.env.PIXWIZARD_URL ?? "";

/** @param {string} path */
const get = async (path) => (await fetch(URL_BASE + path)).json();

const TITLE = 30; // which the place of a node does not count

/** Make every node as low as the canvas allows. @param {import("playwright-core").Page} page
 * @returns {Promise<[number, string, number][]>} id, type and height */
const pressed = (page) =>
  page.evaluate(() =>
    globalThis.app.graph.nodes.map((/** @type {any} */ node) => {
      const [, least] = node.computeSize();
      node.setSize([node.size[0], least]);
      return [node.id, node.type, least];
    }),
  );

/** Height of a node as page element, with its title. @param {import("playwright-core").Page} page
 * @param {number} id @returns {Promise<number>} */
const drawn = (page, id) =>
  page.evaluate(
    (number) =>
      /** @type {HTMLElement | null} */ (document.querySelector(`[data-node-id="${number}"]`))
        ?.offsetHeight ?? 0,
    id,
  );

/** Whether the page moved nodes to make room for its own way to draw them. @param {import("playwright-core").Page} page
 * @param {any} workflow @returns {Promise<boolean>} */
const spread = (page, workflow) =>
  page.evaluate(
    (nodes) =>
      nodes.some((/** @type {any} */ saved) => {
        const [x, y] = globalThis.app.graph.getNodeById(saved.id).pos;
        return Math.abs(x - saved.pos[0]) + Math.abs(y - saved.pos[1]) > 2;
      }),
    workflow.nodes,
  );

const browser = await launch();
const only = process.env.PIXWIZARD_ONLY?.split("|");
/** @type {string[]} */
const listed = (await get("/api/workflow_templates")).PixWizard;
const names = listed.filter((name) => !only || only.includes(name));
/** @type {Record<string, Record<number, any>>} */
const found = {};
for (const vue of [false, true]) {
  const { page } = await open(browser, URL_BASE, { vue });
  if (!(await kindOf(page, vue)).elements) continue; // half of each node is not there to be measured
  for (const name of names) {
    console.error(vue ? "vue" : "canvas", name);
    const workflow = await get(`/api/workflow_templates/PixWizard/${name}.json`);
    await load(page, workflow);
    const files = /PixWizard_LoadPixWizard|PixWizard_LoadModel|CheckpointLoaderSimple|LoadVideo/;
    const ours = !workflow.nodes.some((/** @type {any} */ n) => files.test(n.type));
    if (ours && !vue) {
      const told = await run(page);
      if (told !== "success") throw new Error(`${name}: ${told}`);
    }
    const known = (found[name] ??= {});
    if (vue && (await spread(page, workflow))) continue; // it needs no more room in the file
    const heights = await pressed(page);
    if (vue) await page.waitForTimeout(500);
    for (const [id, type, least] of heights) {
      if (!vue) known[id] = { type, least, extra: 0 };
      else known[id].extra = Math.max(0, (await drawn(page, id)) - TITLE - least);
    }
  }
  await page.close();
}
await browser.close();
console.log(JSON.stringify(found));
