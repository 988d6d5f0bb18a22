// @ts-check
// The extension in a real page: fields and sentence of the Instruction node, results on the nodes,
// and every shipped template, in both ways the frontend has to draw nodes.
//
// PIXWIZARD_URL   a running host with the extension        (required)
// PIXWIZARD_SHOTS folder for screenshots                   (default: none are kept)
// PIXWIZARD_FEW   look at this many templates only         (default: all)
// PIXWIZARD_RENDERERS  canvas, vue, or canvas,vue          (default: both)
// PIXWIZARD_FILM  name of a video in the host's input folder, for Load Video (default: it is not run)
// PIXWIZARD_BOXES file to which a line is added for each template: the places of its nodes as drawn and
//                 as saved, for tests/support/layout.py    (default: none)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { boxes, crowded, drawn, keepBoxes, kindOf, launch, load, nodeView, open, ours, reload, run } from "./page.js";

const URL_BASE = process.env.PIXWIZARD_URL ?? "";
const SHOTS = process.env.PIXWIZARD_SHOTS;
const FILM = process.env.PIXWIZARD_FILM;
const FEW = Number(process.env.PIXWIZARD_FEW ?? Infinity);
const RENDERERS = (process.env.PIXWIZARD_RENDERERS ?? "canvas,vue").split(",");
const RESULTS = JSON.parse(readFileSync(new URL("results.json", import.meta.url), "utf-8"));

// Loaders of files that no test machine has.
const FILES = new Set([
  "PixWizard_LoadPixWizard",
  "PixWizard_LoadModel",
  "CheckpointLoaderSimple",
  "ControlNetLoader",
  ...(FILM ? [] : ["LoadVideo"]),
]);

/** @param {string} path */
const get = async (path) => (await fetch(URL_BASE + path)).json();

/** Templates that need nothing but the bundled model are run, the others only loaded.
 * @type {{name: string, workflow: any, runs: boolean}[]} */
const listed = await Promise.all(
  (await get("/api/workflow_templates"))["PixWizard"].map(async (/** @type {string} */ name) => {
    const workflow = await get(`/api/workflow_templates/PixWizard/${name}.json`);
    const kinds = workflow.nodes.map((/** @type {any} */ node) => node.type);
    return { name, workflow, runs: !kinds.some((/** @type {string} */ kind) => FILES.has(kind)) };
  }),
);
const order = (/** @type {{name: string, runs: boolean}} */ one) => (one.runs ? "0 " : "1 ") + one.name;
const compare = new Intl.Collator("en", { numeric: true }).compare; // as the page sorts by name
const templates = listed.sort((a, b) => compare(order(a), order(b))).slice(0, FEW);

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("the host serves help and translations", async () => {
  const page = await fetch(`${URL_BASE}/extensions/PixWizard/docs/PixWizard_Sample.md`);
  assert.equal(page.status, 200);
  const words = await get("/i18n");
  for (const language of ["en", "zh", "ja"]) {
    assert.ok(words[language].nodeDefs.PixWizard_Sample.inputs.steps.tooltip, language);
  }
});

for (const renderer of RENDERERS) {
  describe(renderer, () => {
    /** @type {import("playwright-core").Page} */
    let page;
    /** @type {string[]} */
    let errors;
    let elements = true; // whether widgets made of page elements are drawn
    let version = "";

    before(async () => {
      ({ page, errors } = await open(browser, URL_BASE, { vue: renderer === "vue" }));
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      ({ elements, version } = await kindOf(page, renderer === "vue"));
      const words = elements ? "" : " without page elements";
      console.log(`frontend ${version}, ${renderer}${words}`);
    });
    after(async () => {
      await page?.close();
    });

    const shoot = async (/** @type {string} */ name) => {
      if (!SHOTS) return;
      await page.screenshot({ path: join(SHOTS, `${renderer}-${name}.png`) });
    };

    /** Nothing lies on something else. @param {{name: string, workflow: any}} template */
    const spaced = async ({ name, workflow }) => {
      const places = await boxes(page, renderer === "vue");
      keepBoxes({ name, version, renderer, places }, workflow);
      assert.deepEqual(await crowded(page, places), []);
    };

    test("Instruction shows what its task uses", async () => {
      const values = ["highlight", "kept", "the red ball.", "blue", 1];
      await load(page, alone("PixWizard_Instruction", values));
      const seen = await fieldsFor(page, ["highlight", "depth", "replace", "custom", "box"]);
      assert.deepEqual(seen.highlight, ["target", "colour"]);
      assert.deepEqual(seen.depth, []);
      assert.deepEqual(seen.replace, ["caption", "target"]);
      assert.deepEqual(seen.custom, ["caption"]);
      assert.deepEqual(seen.box, ["target", "colour"]);
      if (elements) {
        const text = page.locator(".pixwizard-sentence");
        assert.equal(await text.innerText(), "Frame the red ball with a blue rectangle.");
        await page.locator(".pixwizard-swatches [aria-label=orange]").click();
        assert.equal(await text.innerText(), "Frame the red ball with an orange rectangle.");
      }
      const saved = await page.evaluate(() => globalThis.app.graph.serialize().nodes[0]);
      const colour = elements ? "orange" : "blue";
      assert.deepEqual(saved.widgets_values.slice(0, 5), ["box", "kept", "the red ball.", colour, 1]);
      await shoot("instruction");
    });

    test("the sentence follows the typing", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await fieldsFor(page, ["background"]);
      const box = page.locator("textarea:visible").first();
      await box.fill("a green hill");
      const text = await page.locator(".pixwizard-sentence").innerText();
      assert.equal(text, "Replace the background with a green hill");
    });

    test("a saved Instruction keeps its number, a new one asks as the model was trained", async () => {
      await load(page, alone("PixWizard_Instruction", ["depth", "", "", "red", 3, -1]));
      const sent = page.locator(".pixwizard-sentence");
      const list = page.locator(".pixwizard-wordings");
      const phrasing = () =>
        page.evaluate(() => {
          const node = globalThis.app.graph.nodes[0];
          return node.widgets.find((/** @type {any} */ one) => one.name === "phrasing").value;
        });
      assert.equal(await phrasing(), 3);
      if (elements) {
        assert.equal(await sent.innerText(), "Draw the depth of the scene.");
        assert.equal(await list.inputValue(), "3");
        const box = await list.boundingBox();
        assert.ok(box && box.width < 60, `the list takes no row of its own: ${box?.width} px`);
        await list.selectOption("-1");
        assert.equal(await sent.innerText(), "Depth estimation");
        assert.equal(await phrasing(), -1);
        const first = await list.locator("option").first().innerText();
        assert.equal(first, "as trained · Depth estimation");
      }
      await page.evaluate(() => {
        const { app, LiteGraph } = /** @type {any} */ (globalThis);
        app.graph.clear();
        app.graph.add(LiteGraph.createNode("PixWizard_Instruction"));
      });
      assert.equal(await phrasing(), -1);
      await shoot("wordings");
    });

    test("Instruction says how the connected model is asked, and what it was not taught", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await load(page, alone("PixWizard_Instruction", ["depth", "", "", "red", -1, -1, ""]));
      const { models } = await page.evaluate(() => {
        const { app, LiteGraph } = /** @type {any} */ (globalThis);
        const [node] = app.graph.nodes;
        const loader = LiteGraph.createNode("PixWizard_LoadTiny");
        app.graph.add(loader);
        loader.connect(0, node, "model");
        return node.constructor.nodeData.input.required.task[1].pixwizard;
      });
      const tiny = models.PixWizard_LoadTiny;
      const sent = page.locator(".pixwizard-sentence");
      assert.equal(await sent.innerText(), tiny.forms.depth);
      const view = page.locator(".pixwizard-instruction");
      const warning = "was not taught this task";
      assert.ok(!(await view.innerText()).includes(warning));
      await fieldsFor(page, ["face"]);
      assert.ok(tiny.not_taught.includes("face"));
      assert.ok((await view.innerText()).includes(warning));
      const list = page.locator(".pixwizard-wordings option");
      assert.equal(await list.first().innerText(), "not taught · Restore the face in this picture.");
      await shoot("untaught");
    });

    test("fields that a choice makes idle are hidden, and keep their values", async () => {
      const values = ["picture", 1, 20, "black", true, "PixWizard Tiny world", ""];
      await load(page, alone("PixWizard_Compare", values));
      const seen = await page.evaluate(() => {
        const node = globalThis.app.graph.nodes[0];
        const kind = node.widgets.find((/** @type {any} */ w) => w.name === "kind");
        return ["picture", "depth", "segmentation"].map((chosen) => {
          kind.value = chosen;
          kind.callback?.(chosen);
          const shown = node.widgets.filter((/** @type {any} */ w) => !w.hidden && !w.options?.hidden);
          return shown.map((/** @type {any} */ w) => w.name).filter((name) => name !== "result");
        });
      });
      assert.deepEqual(seen, [
        ["kind"],
        ["kind", "near_m", "far_m", "near", "align"],
        ["kind", "palette", "palette_text"],
      ]);
      const saved = await page.evaluate(() => globalThis.app.graph.serialize().nodes[0]);
      assert.deepEqual(saved.widgets_values.slice(0, 7), ["segmentation", ...values.slice(1)]);
    });

    test("a node that is added begins with auto, a saved one as it was", async () => {
      /** As saved before the last input was there. @type {Record<string, unknown[]>} */
      const old = {
        PixWizard_FitToCanvas: [640, "pad"],
        PixWizard_PrepareOutpaint: [8, 0, 0, 0, "", "left", "white", 640, "crop"],
        PixWizard_DualCFGGuider: [3, 1.5, "all", 0.25, 0.75],
        PixWizard_Sample: [3, 1.5, 7, "fixed", 9, 2, "all", "heun"],
      };
      const stored = async () =>
        await page.evaluate(() => globalThis.app.graph.serialize().nodes[0]?.widgets_values);
      for (const [type, values] of Object.entries(old)) {
        await load(page, alone(type, values));
        assert.deepEqual(await stored(), [...values, "as set"], type);
        await load(page, alone(type, [...values, "auto"]));
        assert.deepEqual(await stored(), [...values, "auto"], type);
        const added = await page.evaluate((kind) => {
          const { app, LiteGraph } = globalThis;
          app.graph.clear();
          const node = LiteGraph.createNode(kind);
          app.graph.add(node);
          const last = app.graph.serialize().nodes[0].widgets_values.at(-1);
          const copy = node.clone();
          return [last, copy.serialize().widgets_values.at(-1)];
        }, type);
        assert.deepEqual(added, ["auto", "auto"], type);
      }
      // Its id is new: page 1.49 keeps the values of a node of the same id that was there before.
      const inputs = { centre: 640, fit: "pad" };
      await page.evaluate(async (given) => {
        const node = { class_type: "PixWizard_FitToCanvas", inputs: given, _meta: { title: "x" } };
        await globalThis.app.loadApiJson({ 77: node }, "prompt");
      }, inputs);
      assert.deepEqual(await stored(), [640, "pad", "as set"]);
    });

    test("a loader without its file says what to get", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await load(page, alone("PixWizard_LoadModel", ["no_such.safetensors", "default"]));
      await page.keyboard.press("Escape"); // the host's own list of missing models
      const told = await page.locator(".pixwizard-missing").innerText();
      assert.match(told, /Not found: model[ _]name\./); // as the page labels inputs
      for (const word of ["GB", "https://", "diffusion_models", "Load Tiny"]) {
        assert.ok(told.includes(word), `${word} is missing in ${told}`);
      }
      await shoot("missing");
      const files = ["text_encoders/no_such/"];
      await load(page, alone("PixWizard_LoadVisionEncoder", files));
      await page.keyboard.press("Escape");
      const more = await page.locator(".pixwizard-missing").innerText();
      assert.match(more, /Not found: clip[ _]vision\./);
      for (const word of ["vision half", "models/text_encoders"]) {
        assert.ok(more.includes(word), `${word} is missing in ${more}`);
      }
    });

    test("Check tells its report on the node, to be copied whole", async (context) => {
      await load(page, alone("PixWizard_Check", [false]));
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const report = page.locator(".pixwizard-result");
      await report.filter({ hasText: "stock loaders" }).waitFor();
      const told = await report.innerText();
      for (const word of ["ComfyUI", "torch", "gemma", "clip_vision", "decoded", "picture"]) {
        assert.ok(told.includes(word), `${word} is missing in ${told}`);
      }
      assert.doesNotMatch(told, /WRONG|FAILED/);
      await page.locator(".pixwizard-line", { hasText: "Copy the report" }).click();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(copied, /^PixWizard \S+, Python /);
      assert.ok(copied.split("\n").length > 15, copied);
      await shoot("check");
    });

    test("results are listed on the nodes, and again after a reload", async () => {
      await load(page, RESULTS);
      assert.equal(await run(page), "success");
      const lists = page.locator(".pixwizard-result");
      if (elements) {
        await lists.filter({ hasText: "wall" }).waitFor();
        const told = (await lists.allInnerTexts()).join("\n");
        for (const word of ["floor", "1 object", "no box found", "RMSE in m", "labels/PixWizard"]) {
          assert.ok(told.includes(word), `${word} is missing in ${told}`);
        }
        const shares = [...told.matchAll(/([\d.]+) %/g)].map(([, share]) => Number(share));
        const sum = shares.reduce((total, share) => total + share, 0);
        assert.ok(Math.abs(sum - 100) < 0.5, `${shares}`);
        await page.locator(".pixwizard-line", { hasText: "wall" }).click();
        const copied = await page.evaluate(() => navigator.clipboard.readText());
        assert.equal(copied, "wall");
      }
      await shoot("results");
      await load(page, RESULTS);
      if (elements) await lists.filter({ hasText: "wall" }).waitFor();
    });

    test("pictures on the nodes answer to pointer and slider", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const [scene, metres, mask, laid, classes] = await Promise.all(
        ["DemoScene", "DepthToMetres", "DecodeMask", "Composite", "DecodeSegmentation"].map((kind) =>
          nodeView(page, `PixWizard_${kind}`),
        ),
      );
      assert.equal(scene, null, "a node without a view");
      assert.match(await metres.told(), /^[\d.]+ m to [\d.]+ m$/);
      const above = await metres.read(0.5, 0.1); // the far wall
      const below = await metres.read(0.5, 0.95); // the floor in front
      assert.match(above, /^\d+, \d+: \d\.\d\d m \(0\.\d{3}\)$/);
      const [far, near] = [above, below].map((text) => Number(text.match(/: ([\d.]+) m/)?.[1]));
      assert.ok(far > 4 && near < 4 && near >= 2, `${above} | ${below}`);
      await shoot("metres");
      assert.match(await classes.read(0.5, 0.1), /: (wall|floor)$/);

      const before = await mask.ink();
      await mask.slide("opacity", 1);
      const covered = await mask.ink();
      assert.ok(covered.red > before.red + 0.5, `${JSON.stringify([before, covered])}`);
      await mask.slide("opacity", 0);
      assert.ok((await mask.ink()).red < before.red - 0.5);

      await laid.read(0.4, 0.5); // left of the middle of the picture, which may leave room beside it
      await shoot("views");
      const [kept] = await page.evaluate(() =>
        globalThis.app.graph
          .serialize()
          .nodes.filter((/** @type {any} */ node) => node.type === "PixWizard_Composite")
          .map((/** @type {any} */ node) => node.properties.pixwizard_divider),
      );
      assert.ok(kept > 0.1 && kept < 0.5, `divider at ${kept}`);
    });

    test("after a reload of the page everything is drawn again", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await page.waitForTimeout(1500); // the page keeps its graph now and then, not at once
      await reload(page);
      await page.locator(".pixwizard-result").filter({ hasText: "wall" }).waitFor();
      await drawn(page);
      const metres = await nodeView(page, "PixWizard_DepthToMetres");
      assert.match(await metres.read(0.5, 0.5), / m \(0\.\d+\)$/);
      const texts = await page.locator(".pixwizard-result").allInnerTexts();
      assert.ok(texts.every((text) => !/Run/.test(text)), texts.join(" | "));
      await shoot("reloaded");
    });

    for (const [language, opacity, found] of [
      ["ja", "不透明度", "物体 1 個"],
      ["zh", "不透明度", "1 个物体"],
    ]) {
      test(`the views speak ${language}`, async (context) => {
        if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
        await speak(page, language);
        try {
          await load(page, alone("PixWizard_LoadModel", ["no_such.safetensors", "default"]));
          await page.keyboard.press("Escape");
          const told = await page.locator(".pixwizard-missing").innerText();
          const { PixWizard_LoadModel, PixWizard_LoadTiny } = (await get("/i18n"))[language].nodeDefs;
          assert.ok(told.includes(PixWizard_LoadModel.description), told);
          assert.ok(told.includes(PixWizard_LoadTiny.display_name), told);
          await load(page, RESULTS);
          assert.equal(await run(page), "success");
          const results = page.locator(".pixwizard-result");
          await results.filter({ hasText: found }).first().waitFor();
          const words = (await results.allInnerTexts()).join("\n");
          assert.ok(words.includes(opacity), words);
          assert.doesNotMatch(words, /opacity|object|divider|found| to /);
          await shoot(`language-${language}`);
        } finally {
          await speak(page, "en");
        }
      });
    }

    for (const template of templates) {
      const { name, workflow, runs } = template;
      test(`template ${name} ${runs ? "runs" : "loads"}`, async () => {
        // An app hides its graph, which is looked at here.
        await load(page, { ...workflow, extra: { ...workflow.extra, linearMode: false } });
        const kept = await page.evaluate(() =>
          globalThis.app.graph.serialize().nodes.map((/** @type {any} */ node) => [
            node.id,
            node.widgets_values ?? [],
          ]),
        );
        for (const node of workflow.nodes) {
          const now = Object.fromEntries(kept)[node.id];
          const stored = node.widgets_values ?? []; // a newer node may have more
          const held = now.slice(0, stored.length);
          // Before 1.49 a page puts the first film there is where the file names none.
          if (node.type === "LoadVideo" && !stored[0] && held[0] === FILM) held[0] = "";
          assert.deepEqual(held, stored, `${node.type} ${node.id}`);
        }
        if (!runs) {
          await page.keyboard.press("Escape"); // the host's list of missing models
          if (elements) await spaced(template);
          return shoot(`template-${name}`);
        }
        await choose(page, "LoadVideo", FILM);
        assert.equal(await run(page), "success");
        const unseen = await page.evaluate(() => {
          const app = globalThis.app;
          const shows = app.graph.nodes.filter((/** @type {any} */ n) => n.type === "PreviewImage");
          return shows
            .filter((/** @type {any} */ n) => !app.nodeOutputs[n.id]?.images?.length)
            .map((/** @type {any} */ n) => n.id);
        });
        assert.deepEqual(unseen, [], "previews without a picture");
        if (elements) {
          await drawn(page);
          await spaced(template);
        }
        await shoot(`template-${name}`);
      });
    }

    test("nothing of ours went wrong in the console", () => {
      assert.deepEqual(ours(errors), []);
    });
  });
}

/** Set the page's language, as its settings do. @param {import("playwright-core").Page} page
 * @param {string} language */
async function speak(page, language) {
  await page.evaluate(
    (name) => globalThis.app.extensionManager.setting.set("Comfy.Locale", name),
    language,
  );
  await page.waitForTimeout(500);
  await reload(page);
}

/** Choose the file of a loader where there is one, as a person does.
 * @param {import("playwright-core").Page} page @param {string} type @param {string} [file] */
const choose = (page, type, file) =>
  page.evaluate(
    ([kind, name]) => {
      for (const node of globalThis.app.graph.nodes.filter((/** @type {any} */ one) => one.type === kind)) {
        node.widgets[0].value = name;
        node.widgets[0].callback?.(name);
      }
    },
    [type, file],
  );

/** A graph of one node. @param {string} type @param {unknown[]} values */
function alone(type, values) {
  const node = {
    id: 1,
    type,
    pos: [100, 100],
    size: [340, 300],
    flags: {},
    order: 0,
    mode: 0,
    inputs: [],
    outputs: [],
    properties: {},
    widgets_values: values,
  };
  return { nodes: [node], links: [], last_node_id: 1, last_link_id: 0, version: 0.4 };
}

/** The fields that are shown for each task, chosen one after the other as a user does.
 * @param {import("playwright-core").Page} page @param {string[]} tasks */
function fieldsFor(page, tasks) {
  return page.evaluate((chosen) => {
    const node = globalThis.app.graph.nodes[0];
    const shown = (/** @type {any} */ w) => !w.hidden && !w.options?.hidden;
    /** @type {Record<string, string[]>} */
    const seen = {};
    for (const task of chosen) {
      node.widgets[0].value = task;
      node.widgets[0].callback?.(task);
      seen[task] = ["caption", "target", "colour"].filter((name) =>
        shown(node.widgets.find((/** @type {any} */ w) => w.name === name)),
      );
    }
    return seen;
  }, tasks);
}
