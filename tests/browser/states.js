// @ts-check
// Photographs the page in the states of docs/page.md, as tests/support/page_states.py asks.
//
// PIXWIZARD_URL     a running host with the extension
// PIXWIZARD_FOLDER  where PNGs go
// PIXWIZARD_PARTS   a folder of models that holds small stand-ins for the released parts
// PIXWIZARD_MODELS  the host's folder of models

import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { drawn, launch, load, open, run } from "./page.js";

const { PIXWIZARD_URL: URL_BASE = "", PIXWIZARD_FOLDER: FOLDER = ".", PIXWIZARD_PARTS: PARTS = "", PIXWIZARD_MODELS: MODELS = "" } = process.env;
const SCREEN = { width: 1366, height: 768 };
const SETTLED_MS = 1000;
const HALF = ["diffusion_models", "text_encoders/clip"]; // parts that are there, of four

const browser = await launch();
const { page } = await open(browser, URL_BASE, { vue: true });
await page.setViewportSize(SCREEN);

const shoot = async (/** @type {string} */ name) => {
  await page.waitForTimeout(SETTLED_MS);
  await page.screenshot({ path: join(FOLDER, `page-${name}.png`) });
};

/** @param {string} name of a template */
const template = async (name) =>
  (await fetch(`${URL_BASE}/api/workflow_templates/PixWizard/${encodeURIComponent(name)}.json`)).json();

/** Nodes in a row, at full size. @param {[string, Record<string, unknown>, Record<string, [number, number]>][]} kinds
 * type, values, and the number and output of the node that an input comes from */
const make = async (kinds) => {
  await page.evaluate(async (given) => {
    const { app, LiteGraph } = /** @type {any} */ (globalThis);
    app.graph.clear();
    // Fresh ids: the page may give a new node the values of an older one with its id.
    const ids = (/** @type {any} */ (globalThis).pixwizardIds ?? 1000) + 100;
    Object.assign(globalThis, { pixwizardIds: ids });
    if (app.graph.state) app.graph.state.lastNodeId = ids;
    /** @type {any[]} */
    const made = [];
    let x = 0;
    for (const [type, values, from] of given) {
      const node = LiteGraph.createNode(type);
      node.pos = [x, 0];
      app.graph.add(node);
      node.setSize([Math.max(300, node.size[0]), node.size[1]]);
      x += node.size[0] + 40;
      for (const [name, value] of Object.entries(values)) {
        const widget = node.widgets.find((/** @type {any} */ one) => one.name === name);
        widget.value = value;
        widget.callback?.(value);
      }
      for (const [name, [number, output]] of Object.entries(from)) {
        made[number].connect(output, node, node.inputs.findIndex((/** @type {any} */ one) => one.name === name));
      }
      made.push(node);
    }
    const scale = Math.min(1, 1220 / x);
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [90 / scale, 130 / scale];
    app.canvas.setDirty(true, true);
  }, kinds);
  await page.waitForTimeout(SETTLED_MS);
};

const finished = async () => {
  const told = await run(page);
  if (told !== "success") throw new Error(told);
  await drawn(page);
  await page.mouse.move(1300, 700); // no tooltip
};

/** The templates as they open on this screen. @param {string} name */
const opened = async (name) => {
  await load(page, await template(name));
  await page.keyboard.press("Escape"); // the host's list of missing models
};

await opened("PixWizard 1 Depth from a photo");
await finished();
await shoot("first");

await opened("PixWizard 3 Try it on a rendered room");
await finished();
await page.locator(".pixwizard-picture").first().dblclick();
await page.mouse.move(700, 420);
await shoot("large");
await page.keyboard.press("Escape");
await page.evaluate(() => {
  const scene = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_DemoScene");
  scene.widgets[0].value += 1;
  scene.widgets[0].callback?.(scene.widgets[0].value);
});
await page.mouse.click(1200, 740); // the page looks for changes after a press
await shoot("older");

await make([
  ["PixWizard_LoadPixWizard", {}, {}],
  ["PixWizard_DemoScene", {}, {}],
  ["PixWizard_FitToCanvas", {}, { image: [1, 0] }],
]);
try {
  for (const place of HALF) cpSync(join(PARTS, place), join(MODELS, place), { recursive: true });
  await page.evaluate(() => globalThis.app.refreshComboInNodes());
  await shoot("files");
} finally {
  for (const place of HALF) {
    for (const name of readdirSync(join(PARTS, place))) rmSync(join(MODELS, place, name), { force: true });
  }
}

await make([
  ["PixWizard_DemoScene", { width: 160, height: 128 }, {}],
  ["PixWizard_Instruction", { task: "mask", target: "the red ball" }, {}],
  ["PixWizard_DecodeDepth", {}, { image: [0, 3], about: [1, 1] }],
  ["SolidMask", { value: 0, width: 160, height: 128 }, {}],
  ["PixWizard_Composite", {}, { source: [0, 0], result: [0, 0], mask: [3, 0] }],
]);
await finished();
await shoot("notes");

await make([
  ["PixWizard_DemoScene", { width: 160, height: 128 }, {}],
  ["PixWizard_DecodeNormals", {}, { image: [0, 5] }],
  ["PixWizard_DecodeEdges", {}, { image: [0, 0] }],
  ["PixWizard_MergeDepths", {}, { depths: [0, 3] }],
]);
await finished();
await page.locator(".pixwizard-picture").first().hover();
await shoot("views");

await page.evaluate(() => globalThis.app.extensionManager.setting.set("Comfy.Execution.PreviewMethod", "latent2rgb"));
await make([
  ["PixWizard_DemoScene", {}, {}],
  ["PixWizard_PixWizard", { speed: "as set", steps: 400, seed: 7 }, { image: [0, 0] }],
  ["PreviewImage", {}, { images: [1, 0] }],
]);
const previewed = page.waitForFunction(() =>
  globalThis.app.graph.nodes.some((/** @type {any} */ one) => one.pixwizardView?.picture?.sketched),
);
await page.evaluate(() => globalThis.app.queuePrompt(0, 1));
await previewed;
await shoot("preview");
await page.evaluate(() => globalThis.app.api.interrupt());

await page.evaluate(() => globalThis.app.extensionManager.command.execute("Workspace.SearchBox.Toggle"));
await page.waitForTimeout(SETTLED_MS);
await page.keyboard.type("erase");
await shoot("search");
await page.keyboard.press("Escape");

await browser.close();
