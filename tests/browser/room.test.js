// @ts-check
// Room on the nodes: neither a preview nor a result changes the size of a node, so that nothing on
// the canvas jumps while a graph runs.
//
// PIXWIZARD_URL        a running host with the extension  (required)
// PIXWIZARD_RENDERERS  canvas, vue, or canvas,vue         (default: both)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { kindOf, launch, load, open, ours, run } from "./page.js";

const URL_BASE = process.env.PIXWIZARD_URL ?? "";
const RENDERERS = (process.env.PIXWIZARD_RENDERERS ?? "canvas,vue").split(",");
const PHOTO = JSON.parse(readFileSync(new URL("photo.json", import.meta.url), "utf-8"));
const METHOD = "Comfy.Execution.PreviewMethod"; // a setting of newer pages
const SETTLED_MS = 400;

/** Size of every node as the canvas has it and as the page draws it. @param {import("playwright-core").Page} page
 * @returns {Promise<Record<string, number[]>>} */
const sizes = (page) =>
  page.evaluate(() =>
    Object.fromEntries(
      globalThis.app.graph.nodes.map((/** @type {any} */ node) => {
        const shown = /** @type {HTMLElement | null} */ (document.querySelector(`[data-node-id="${node.id}"]`));
        const size = [...node.size, shown?.offsetWidth ?? 0, shown?.offsetHeight ?? 0];
        return [`${node.type} ${node.id}`, size.map(Math.round)];
      }),
    ),
  );

/** Note sizes and previews from now on. @param {import("playwright-core").Page} page */
const watch = (page) =>
  page.evaluate(() => {
    const { app } = globalThis;
    const seen = { previews: 0, grown: /** @type {string[]} */ ([]), on: /** @type {string[]} */ ([]) };
    const all = () =>
      app.graph.nodes.map((/** @type {any} */ node) => {
        const shown = /** @type {HTMLElement | null} */ (document.querySelector(`[data-node-id="${node.id}"]`));
        return [node, node.size[1], shown?.offsetHeight ?? 0];
      });
    const first = all();
    app.api.addEventListener("b_preview_with_metadata", () => (seen.previews += 1));
    const look = () => {
      for (const [i, [node, ...now]] of all().entries()) {
        const [, ...then] = first[i] ?? [];
        if (now.some((/** @type {number} */ px, /** @type {number} */ n) => px > then[n] + 1)) seen.grown.push(`${node.type} ${then} > ${now}`);
        if (node.pixwizardView?.picture?.sketched) seen.on.push(node.type);
        if (node.type.startsWith("PixWizard_") && (node.imgs?.length || app.nodePreviewImages?.[node.id])) seen.grown.push(`${node.type} has the page's own preview`);
      }
      Object.assign(globalThis, { pixwizardSeen: { ...seen, grown: [...new Set(seen.grown)], on: [...new Set(seen.on)] } });
      if (!(/** @type {any} */ (globalThis).pixwizardStop)) requestAnimationFrame(look);
    };
    Object.assign(globalThis, { pixwizardStop: false });
    look();
  });

/** @param {import("playwright-core").Page} page @returns {Promise<{previews: number, grown: string[], on: string[]}>} */
const watched = (page) =>
  page.evaluate(async () => {
    await new Promise((done) => setTimeout(done, 300));
    Object.assign(globalThis, { pixwizardStop: true });
    return /** @type {any} */ (globalThis).pixwizardSeen;
  });

for (const renderer of RENDERERS) {
  describe(`room, ${renderer}`, () => {
    /** @type {import("playwright-core").Browser} */
    let browser;
    /** @type {import("playwright-core").Page} */
    let page;
    /** @type {string[]} */
    let errors;
    let elements = true;
    let trial = false;

    before(async () => {
      browser = await launch();
      ({ page, errors } = await open(browser, URL_BASE, { vue: renderer === "vue" }));
      ({ elements, trial } = await kindOf(page, renderer === "vue"));
      await page.evaluate((name) => globalThis.app.extensionManager.setting.set(name, "latent2rgb"), METHOD).catch(() => {});
    });
    after(() => browser?.close());

    /** Nodes that a person adds, each linked to the next by its first output.
     * @param {[string, string, Record<string, unknown>][]} kinds type, name of the input, values */
    const add = async (kinds) => {
      await page.evaluate(async (given) => {
        const { app, LiteGraph } = /** @type {any} */ (globalThis);
        app.graph.clear();
        // Fresh ids: the page may give a new node the values of an older one with its id.
        const ids = (/** @type {any} */ (globalThis).pixwizardIds ?? 1000) + 100;
        Object.assign(globalThis, { pixwizardIds: ids });
        if (app.graph.state) app.graph.state.lastNodeId = ids;
        let before = null;
        for (const [i, [kind, input, values]] of given.entries()) {
          const node = LiteGraph.createNode(kind);
          node.pos = [60 + 420 * i, 120];
          app.graph.add(node);
          for (const [name, value] of Object.entries(values)) {
            const widget = node.widgets.find((/** @type {any} */ one) => one.name === name);
            widget.value = value;
            widget.callback?.(value);
          }
          before?.connect(0, node, input);
          before = node;
        }
        app.canvas.ds.scale = 1;
        app.canvas.ds.offset = [0, 60];
      }, kinds);
      await page.waitForTimeout(SETTLED_MS);
    };

    test("previews are painted where the result comes, and no node grows", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const graph = structuredClone(PHOTO);
      await load(page, graph);
      await page.evaluate(() => {
        const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_Sample");
        /** @type {Record<string, unknown>} */
        const values = { speed: "as set", steps: 60, seed: Math.floor(Math.random() * 1e9) };
        for (const [name, value] of Object.entries(values)) {
          const widget = node.widgets.find((/** @type {any} */ one) => one.name === name);
          widget.value = value;
          widget.callback?.(value);
        }
      });
      await page.waitForTimeout(SETTLED_MS);
      await watch(page);
      assert.equal(await run(page), "success");
      const { previews, grown, on } = await watched(page);
      if (!previews) return context.skip("this host sends no previews");
      assert.ok(on.includes("PixWizard_DecodeDepth"), `${previews} previews on: ${on}`);
      assert.deepEqual(grown, []);
      // The result's picture comes after the end of the run.
      await page.waitForFunction(() => {
        const told = /** @type {HTMLElement | null} */ (document.querySelector(".pixwizard-reading"));
        return told && !told.innerText.includes("Preview");
      });
    });

    for (const [task, words] of [["depth", ""], ["segmentation", ""], ["mask", "the floor"]]) {
      test(`the short node is as large after ${task} as before`, async (context) => {
        if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
        const asked = { task, words, seed: Math.floor(Math.random() * 1e9), speed: "as set", steps: 30 };
        await add([["PixWizard_DemoScene", "", {}], ["PixWizard_PixWizard", "image", asked]]);
        const first = await sizes(page);
        await watch(page);
        assert.equal(await run(page), "success");
        const { previews, grown, on } = await watched(page);
        assert.deepEqual(grown, []);
        assert.deepEqual(await sizes(page), first);
        if (previews) assert.deepEqual(on, ["PixWizard_PixWizard"]);
      });
    }

    test("a new Sample has room for its preview, a saved one keeps its size", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await add([["PixWizard_Sample", "", {}]]);
      const room = () =>
        page.evaluate(() => {
          const { stage, refused } = globalThis.app.graph.nodes[0].pixwizardPreview;
          return { px: stage.clientHeight, refused };
        });
      const { px, refused } = await room();
      if (trial) assert.ok(refused, `${px} px`); // the page's own preview comes there
      else assert.ok(px >= 90 && !refused, `${px} px, refused ${refused}`);
      if (trial) return; // it spreads what is loaded
      await load(page, PHOTO);
      const saved = PHOTO.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_Sample");
      const [, height] = (await sizes(page))[`PixWizard_Sample ${saved.id}`] ?? [];
      assert.ok(height && height <= Math.round(saved.size[1]) + 1, `${height} px, saved with ${saved.size[1]}`);
    });

    test("nothing of ours went wrong in the console", () => {
      assert.deepEqual(ours(errors), []);
    });
  });
}
