// @ts-check
// What nodes say on themselves: the checklist of files, notes of a run, what auto meant, and the views
// that results.json does not have. Each graph is made as a person makes it.
//
// PIXWIZARD_URL        a running host with the extension  (required)
// PIXWIZARD_PARTS      a folder of models that holds small stand-ins for the released parts
// PIXWIZARD_MODELS     the host's folder of models
// PIXWIZARD_SHOTS      folder for screenshots             (default: none are kept)
// PIXWIZARD_RENDERERS  canvas, vue, or canvas,vue         (default: both)

import assert from "node:assert/strict";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { kindOf, launch, load, nodeView, open, ours, run } from "./page.js";

const { PIXWIZARD_URL: URL_BASE = "", PIXWIZARD_PARTS: PARTS, PIXWIZARD_MODELS: MODELS, PIXWIZARD_SHOTS: SHOTS } = process.env;
const RENDERERS = (process.env.PIXWIZARD_RENDERERS ?? "canvas,vue").split(",");
const SETTLED_MS = 400;

/** A node: its type, values of its fields, and the nodes and outputs that its inputs come from.
 * @typedef {{type: string, values?: Record<string, unknown>, from?: Record<string, [string, string]>}} Wanted */

/** DemoScene 2 → DepthToMetres 3, inside subgraph node 1. */
const NESTED = {
  nodes: [{ id: 1, type: "6f0c2b9e-1111-4222-8333-444455556666", pos: [60, 60], size: [260, 80], flags: {}, order: 0, mode: 0, inputs: [], outputs: [], properties: {}, widgets_values: [] }],
  links: [],
  definitions: {
    subgraphs: [
      {
        id: "6f0c2b9e-1111-4222-8333-444455556666", version: 1, revision: 0, config: {}, name: "inside",
        state: { lastGroupId: 0, lastNodeId: 3, lastLinkId: 1, lastRerouteId: 0 },
        inputNode: { id: -10, bounding: [0, 0, 60, 40] }, outputNode: { id: -20, bounding: [900, 0, 60, 40] },
        inputs: [], outputs: [], widgets: [], groups: [], extra: {},
        nodes: [
          { id: 2, type: "PixWizard_DemoScene", pos: [100, 60], size: [320, 260], flags: {}, order: 0, mode: 0, inputs: [], outputs: [{ name: "image", type: "IMAGE", links: [] }, { name: "caption", type: "STRING", links: [] }, { name: "target", type: "STRING", links: [] }, { name: "depth", type: "IMAGE", links: [1] }], properties: {}, widgets_values: [5, "fixed", 4, 160, 128] },
          { id: 3, type: "PixWizard_DepthToMetres", pos: [480, 60], size: [320, 360], flags: {}, order: 1, mode: 0, inputs: [{ name: "depth", type: "IMAGE", link: 1 }], outputs: [{ name: "metres", type: "IMAGE", links: [] }], properties: {}, widgets_values: [2, 8, "white"] },
        ],
        links: [{ id: 1, origin_id: 2, origin_slot: 3, target_id: 3, target_slot: 0, type: "IMAGE" }],
      },
    ],
  },
  last_node_id: 1, last_link_id: 0, version: 0.4,
};

for (const renderer of RENDERERS) {
  describe(`said, ${renderer}`, () => {
    /** @type {import("playwright-core").Browser} */
    let browser;
    /** @type {import("playwright-core").Page} */
    let page;
    /** @type {string[]} */
    let errors;
    let elements = true;

    before(async () => {
      browser = await launch();
      ({ page, errors } = await open(browser, URL_BASE, { vue: renderer === "vue" }));
      ({ elements } = await kindOf(page, renderer === "vue"));
    });
    after(() => browser?.close());

    const shoot = async (/** @type {string} */ name) => {
      if (SHOTS) await page.screenshot({ path: join(SHOTS, `${renderer}-said-${name}.png`) });
    };

    /** Make a graph by hand. @param {Record<string, Wanted>} wanted by a name of ours */
    const make = async (wanted) => {
      await page.evaluate(async (given) => {
        const { app, LiteGraph } = /** @type {any} */ (globalThis);
        app.graph.clear();
        // Fresh ids: the page may give a new node the values of an older one with its id.
        const ids = (/** @type {any} */ (globalThis).pixwizardIds ?? 1000) + 100;
        Object.assign(globalThis, { pixwizardIds: ids });
        if (app.graph.state) app.graph.state.lastNodeId = ids;
        /** @type {Record<string, any>} */
        const made = {};
        for (const [i, [name, { type, values = {}, from = {} }]] of Object.entries(given).entries()) {
          const node = LiteGraph.createNode(type);
          node.pos = [40 + 340 * (i % 4), 100 + 460 * Math.floor(i / 4)];
          app.graph.add(node);
          made[name] = node;
          for (const [field, value] of Object.entries(values)) {
            const widget = node.widgets.find((/** @type {any} */ one) => one.name === field);
            widget.value = value;
            widget.callback?.(value);
          }
          for (const [input, [other, output]] of Object.entries(from)) {
            const source = made[other];
            const slot = source.outputs.findIndex((/** @type {any} */ one) => one.name === output);
            const into = node.inputs.findIndex((/** @type {any} */ one) => one.name === input);
            source.connect(slot, node, into);
          }
        }
        app.canvas.ds.scale = 0.75;
        app.canvas.ds.offset = [40, 40];
        app.canvas.setDirty(true, true);
      }, wanted);
      await page.waitForTimeout(SETTLED_MS);
    };

    /** What a node's view says. @param {string} type @returns {Promise<string>} */
    const view = (type) =>
      page.evaluate(
        (kind) =>
          globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === kind)?.pixwizardView?.content.innerText ?? "",
        type,
      );

    test("the loader ticks off each part whose file is there", async (context) => {
      if (!PARTS || !MODELS) return context.skip("no stand-ins for the parts");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await make({ loader: { type: "PixWizard_LoadPixWizard" } });
      const signs = async () =>
        await page.evaluate(async () => {
          await globalThis.app.refreshComboInNodes(); // what the key R does
          await new Promise((done) => setTimeout(done, 300));
          const shown = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".pixwizard-missing .pixwizard-part")]);
          return shown.filter((one) => one.checkVisibility()).map((one) => one.innerText.slice(0, 1));
        });
      try {
        assert.deepEqual(await signs(), ["✗", "✗", "✗", "✗"]);
        for (const place of ["diffusion_models", "text_encoders/clip"]) cpSync(join(PARTS, place), join(MODELS, place), { recursive: true });
        assert.deepEqual(await signs(), ["✓", "✗", "✓", "✗"]);
        const told = await page.locator(".pixwizard-missing").innerText();
        assert.match(told, /Not found: gemma, vae[ _]name\./);
        await shoot("parts");
        for (const place of ["text_encoders/gemma", "vae"]) cpSync(join(PARTS, place), join(MODELS, place), { recursive: true });
        assert.deepEqual(await signs(), [], "nothing is missing");
      } finally {
        // The folders stay: a host that has listed one fails when it is gone.
        for (const place of ["diffusion_models", "text_encoders/clip", "text_encoders/gemma", "vae"]) {
          for (const name of readdirSync(join(PARTS, place))) rmSync(join(MODELS, place, name), { force: true });
        }
        await page.evaluate(() => globalThis.app.refreshComboInNodes());
      }
    });

    test("nothing found, an empty mask, an untaught task and what auto meant are on the nodes", async (context) => {
      await make({
        black: { type: "EmptyImage", values: { width: 64, height: 64, color: 0 } },
        found: { type: "PixWizard_DecodeMask", from: { image: ["black", "IMAGE"] } },
        boxes: { type: "PixWizard_DecodeBoxes", from: { image: ["black", "IMAGE"] } },
        scene: { type: "PixWizard_DemoScene" },
        nowhere: { type: "SolidMask", values: { value: 0, width: 256, height: 256 } },
        laid: { type: "PixWizard_Composite", from: { source: ["scene", "image"], result: ["scene", "image"], mask: ["nowhere", "MASK"] } },
        face: { type: "PixWizard_PixWizard", values: { task: "face" }, from: { image: ["scene", "image"] } },
        fitted: { type: "PixWizard_FitToCanvas", from: { image: ["scene", "image"] } },
        shown: { type: "PreviewImage", from: { images: ["fitted", "image"] } },
      });
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      assert.match(await view("PixWizard_DecodeMask"), /Nothing was found\./);
      assert.match(await view("PixWizard_DecodeMask"), /Task unknown: connect about/);
      assert.match(await view("PixWizard_DecodeBoxes"), /Nothing was found\.[^]*auto: colour red/);
      assert.match(await view("PixWizard_Composite"), /⚠ The mask is empty: nothing will change\./);
      const told = await view("PixWizard_PixWizard");
      assert.match(told, /Demo model: knows rendered rooms only\./);
      assert.match(told, /⚠ The model was not taught face: its answer is a guess\./);
      assert.match(await view("PixWizard_FitToCanvas"), /No model connected: auto takes the sizes of the released model \(512, 768, 1024 px\)/);
      assert.match(await view("PixWizard_FitToCanvas"), /auto: centre 512/);
      await shoot("notes");
    });

    test("a canvas without a model says so beside the demo model, and connects it", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await make({
        tiny: { type: "PixWizard_LoadTiny" },
        scene: { type: "PixWizard_DemoScene" },
        fitted: { type: "PixWizard_FitToCanvas", from: { image: ["scene", "image"] } },
        shown: { type: "PreviewImage", from: { images: ["fitted", "image"] } },
      });
      const line = page.locator(".pixwizard-canvas");
      await line.filter({ hasText: "the demo model works at 128 px" }).waitFor();
      await shoot("sizes");
      await line.getByRole("button").click();
      await line.waitFor({ state: "hidden" });
      assert.equal(await run(page), "success");
      assert.match(await view("PixWizard_FitToCanvas"), /auto: centre 128/);
      assert.doesNotMatch(await view("PixWizard_FitToCanvas"), /No model connected/);
      const count = await page.evaluate(() => {
        const { graph } = globalThis.app;
        const tiny = graph.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_LoadTiny");
        return tiny.outputs[0].links.length;
      });
      assert.equal(count, 1);
    });

    test("normals, lines and merged depths are read under the pointer", async (context) => {
      await make({
        scene: { type: "PixWizard_DemoScene", values: { width: 160, height: 128 } },
        normals: { type: "PixWizard_DecodeNormals", from: { image: ["scene", "normals"] } },
        lines: { type: "PixWizard_DecodeEdges", from: { image: ["scene", "image"] } },
        merged: { type: "PixWizard_MergeDepths", from: { depths: ["scene", "depth"] } },
      });
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const [normals, lines, merged] = await Promise.all(
        ["DecodeNormals", "DecodeEdges", "MergeDepths"].map((kind) => nodeView(page, `PixWizard_${kind}`)),
      );
      await page.waitForTimeout(SETTLED_MS);
      assert.match(await normals.read(0.5, 0.5), /^\d+, \d+: [→←] \d+° [↑↓] \d+° ∠ \d+°$/);
      assert.match(await merged.read(0.5, 0.5), /^\d+, \d+: \d\.\d{3} ± \d\.\d{3}/);
      assert.match(await view("PixWizard_DecodeEdges"), /lines\s+[\d.]+ %/);
      const before = await lines.ink();
      await lines.slide("opacity", 0);
      assert.ok((await lines.ink()).red < before.red, "the lines lie on the picture");
      await shoot("views");
    });

    test("layers, tiles and sharpened answers are shown on their nodes", async (context) => {
      await make({
        tiny: { type: "PixWizard_LoadTiny" },
        scene: { type: "PixWizard_DemoScene", values: { width: 160, height: 128 } },
        cut: { type: "PixWizard_CutOut", values: { names: "the floor", seed: 1 }, from: { source: ["scene", "image"] } },
        lines: { type: "PixWizard_Instruction", values: { task: "canny" } },
        tiled: { type: "PixWizard_TiledAnswer", values: { tile: 96 }, from: { pixwizard: ["tiny", "pixwizard"], image: ["scene", "image"], instruction: ["lines", "instruction"], about: ["lines", "about"] } },
        depth: { type: "PixWizard_Instruction", values: { task: "depth" } },
        fitted: { type: "PixWizard_FitToCanvas", from: { image: ["scene", "image"], model: ["tiny", "model"] } },
        sharp: { type: "PixWizard_SharpenAnswer", from: { image: ["fitted", "image"], source: ["scene", "image"], canvas: ["fitted", "canvas"], about: ["depth", "about"] } },
      });
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      for (const kind of ["CutOut", "TiledAnswer", "SharpenAnswer"]) {
        const shown = await nodeView(page, `PixWizard_${kind}`);
        assert.match(await shown.read(0.5, 0.5), /^\d+, \d+$/, kind);
        await shown.slide("divider", 1);
        const before = await shown.ink();
        await shown.slide("divider", 0);
        assert.notDeepEqual(await shown.ink(), before, `${kind}: both sides of the divider`);
      }
      assert.match(await view("PixWizard_CutOut"), /Demo model: knows rendered rooms only/);
      assert.match(await view("PixWizard_TiledAnswer"), /Answered by \d+ tiles/);
      await shoot("layers");
    });

    test("a banner comes from the model that was asked, also where the graph does not show it", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const told = await page.evaluate(async () => {
        const { banner } = await import(/** @type {any} */ ("/extensions/PixWizard/demo_model.js"));
        const graph = { nodes: [{ id: 1, type: "PixWizard_DecodeDepth", mode: 0, inputs: [], outputs: [] }], links: [] };
        /** @param {any} output */
        const says = (output) => banner(graph, "1", output).map((/** @type {any} */ one) => one.row.textContent).join();
        const model = { name: "PixWizard Tiny", demo: true, photographs: false };
        return [{}, { pixwizard_model: [model] }, { pixwizard_model: [{ ...model, demo: false }] }, { pixwizard_model: [{ ...model, photographs: true }] }].map(says);
      });
      assert.equal(told[0], "");
      assert.match(told[1] ?? "", /knows rendered rooms only/);
      assert.equal(told[2], "");
      assert.match(told[3] ?? "", /trained for this task on few photographs/);
    });

    test("a result inside a subgraph is shown when the subgraph is opened", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const nests = await page.evaluate(() => Boolean(globalThis.app.canvas.openSubgraph));
      if (!nests) return context.skip("no subgraphs here");
      await load(page, NESTED);
      assert.equal(await run(page), "success");
      await page.evaluate(() => {
        const { app } = globalThis;
        const outer = app.graph.getNodeById(1);
        app.canvas.openSubgraph(outer.subgraph, outer);
        app.canvas.ds.scale = 1;
        app.canvas.ds.offset = [0, 0];
        app.canvas.setDirty(true, true);
      });
      const reading = page.locator(".pixwizard-reading", { hasText: / m to / });
      await reading.waitFor();
      assert.match(await reading.innerText(), /^[\d.]+ m to [\d.]+ m$/);
      await shoot("inside");
    });

    test("nothing of ours went wrong in the console", () => {
      assert.deepEqual(ours(errors), []);
    });
  });
}
