// @ts-check
// Results belong to the run and the graph that made them, say when a demo model made them, and can be
// used by keyboard, screen reader and the page's own menu. As page.test.js, of which it takes the
// environment.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { drawn, kindOf, launch, load, nodeView, open, ours, run } from "./page.js";

const URL_BASE = process.env.PIXWIZARD_URL ?? "";
const SHOTS = process.env.PIXWIZARD_SHOTS;
const RENDERERS = (process.env.PIXWIZARD_RENDERERS ?? "canvas,vue").split(",");
const [RESULTS, PHOTO] = ["results.json", "photo.json"].map((name) =>
  JSON.parse(readFileSync(new URL(name, import.meta.url), "utf-8")),
);
const AXE = new URL("node_modules/axe-core/axe.min.js", import.meta.url).pathname;
const SETTLED_MS = 500; // after a change of the graph

/** The state of each view: "" fresh, "older", "failed", or null without a result.
 * @param {import("playwright-core").Page} page @returns {Promise<Record<string, string | null>>} */
const states = (page) =>
  page.evaluate(() =>
    Object.fromEntries(
      globalThis.app.graph.nodes
        .filter((/** @type {any} */ node) => node.pixwizardView)
        .map((/** @type {any} */ node) => {
          const { run, content } = node.pixwizardView;
          return [node.type.replace("PixWizard_", ""), run ? (content.dataset.state ?? "") : null];
        }),
    ),
  );

/** @param {import("playwright-core").Page} page @param {string} type @param {string} name
 * @param {unknown} value */
async function set(page, type, name, value) {
  await page.evaluate(
    ([kind, field, given]) => {
      const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === kind);
      const widget = node.widgets.find((/** @type {any} */ one) => one.name === field);
      widget.value = given;
      widget.callback?.(given);
    },
    /** @type {[string, string, unknown]} */ ([type, name, value]),
  );
  await page.mouse.click(750, 990); // the page looks for changes after a press
  await page.waitForTimeout(SETTLED_MS);
}

/** Wait until a view is in a state. @param {import("playwright-core").Page} page
 * @param {string} type @param {string} state */
const reach = (page, type, state) =>
  page.waitForFunction(
    ([kind, wanted]) => {
      const found = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === `PixWizard_${kind}`);
      return (found?.pixwizardView?.content.dataset.state ?? "") === wanted;
    },
    [type, state],
    { timeout: 20_000 },
  );

/** RESULTS with another scene. @returns {any} */
function otherScene() {
  const made = structuredClone(RESULTS);
  for (const node of made.nodes) if (node.type === "PixWizard_DemoScene") node.widgets_values[0] += 5;
  return made;
}

for (const renderer of RENDERERS) {
  describe(`results, ${renderer}`, () => {
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
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      ({ elements, trial } = await kindOf(page, renderer === "vue"));
    });
    after(() => browser?.close());

    const shoot = async (/** @type {string} */ name) => {
      if (SHOTS) await page.screenshot({ path: join(SHOTS, `${renderer}-${name}.png`) });
    };

    test("a change upstream dims a result, and taking it back does not", async (context) => {
      await load(page, RESULTS);
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await drawn(page);
      const fresh = await states(page);
      assert.ok(Object.keys(fresh).length > 7, JSON.stringify(fresh));
      assert.ok(Object.values(fresh).every((state) => state === ""), JSON.stringify(fresh));
      const seed = RESULTS.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_DemoScene").widgets_values[0];
      await set(page, "PixWizard_DemoScene", "seed", seed + 1);
      await reach(page, "DecodeSegmentation", "older");
      const said = page.locator(".pixwizard-result", { hasText: "Earlier result" });
      assert.ok((await said.count()) >= 5);
      await shoot("older");
      await set(page, "PixWizard_DemoScene", "seed", seed);
      await reach(page, "DecodeSegmentation", "");
      assert.deepEqual(await states(page), fresh);
    });

    test("only what depends on a change is dimmed", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await set(page, "PixWizard_DecodeMask", "threshold", 0.4);
      await reach(page, "DecodeMask", "older");
      const { DecodeMask, DecodeSegmentation, DepthToMetres } = await states(page);
      assert.deepEqual([DecodeMask, DecodeSegmentation, DepthToMetres], ["older", "", ""]);
    });

    test("a graph that is opened shows its own results, never those of another", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await load(page, otherScene());
      await page.waitForTimeout(SETTLED_MS);
      const other = await states(page);
      assert.equal(other.DecodeSegmentation, null, JSON.stringify(other));
      assert.equal(other.Composite, null);
      await load(page, RESULTS);
      await page.locator(".pixwizard-result", { hasText: "wall" }).waitFor();
      assert.equal((await states(page)).DecodeSegmentation, "");
    });

    test("a demo model's answer says so, a photograph's that it is a guess", async (context) => {
      await load(page, PHOTO);
      if (elements) {
        const early = page.locator(".pixwizard-demo", { hasText: "For this picture its answer is a guess" });
        await early.first().waitFor();
      }
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await drawn(page);
      await shoot("photograph");
      const depth = await nodeView(page, "PixWizard_DecodeDepth");
      assert.doesNotMatch(await depth.told(), /\bm\b/, "metres without a range");
      await page.locator(".pixwizard-demo button").first().click();
      const parts = page.locator("dialog.pixwizard-parts");
      const told = await parts.innerText();
      for (const word of ["PixWizard transformer", "8.05 GB", "Gemma", "models/vae", "pixwizard get"]) {
        assert.ok(told.includes(word), `${word} is missing in ${told}`);
      }
      const links = await parts.locator("a").evaluateAll((all) => all.map((/** @type {any} */ one) => one.href));
      assert.equal(links.length, 4);
      assert.ok(links.every((one) => one.startsWith("https://huggingface.co/")), `${links}`);
      await shoot("parts");
      await page.keyboard.press("Escape");
      await parts.waitFor({ state: "detached" });
    });

    test("a seed that is drawn anew leaves its result alone", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await page.waitForTimeout(SETTLED_MS);
      const seed = await page.evaluate(() => {
        const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_Sample");
        return node.widgets.find((/** @type {any} */ one) => one.name === "seed").value;
      });
      assert.notEqual(seed, 1, "the page drew another seed");
      assert.equal((await states(page)).DecodeDepth, "");
    });

    test("a run that was cancelled leaves the earlier result dimmed", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await page.evaluate(() => {
        const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_Sample");
        const slow = node.widgets.find((/** @type {any} */ one) => one.name === "steps");
        slow.value = 200;
      });
      const end = await page.evaluate(async () => {
        const { api } = globalThis.app;
        const ended = new Promise((resolve) => {
          for (const kind of ["execution_interrupted", "execution_success", "execution_error"]) {
            api.addEventListener(kind, () => resolve(kind), { once: true });
          }
        });
        api.addEventListener("progress", () => api.interrupt(), { once: true });
        await globalThis.app.queuePrompt(0, 1);
        return ended;
      });
      assert.equal(end, "execution_interrupted");
      await set(page, "PixWizard_Sample", "steps", 2); // the graph of the result that is shown
      await reach(page, "DecodeDepth", "failed");
      const said = await page.locator(".pixwizard-result").first().innerText();
      assert.match(said, /the last run did not get here/);
      assert.equal(await run(page), "success");
      assert.equal((await states(page)).DecodeDepth, "");
    });

    test("a result opens large and is read by keyboard", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const stage = page.locator(".pixwizard-picture").first();
      await stage.focus();
      await page.keyboard.press("ArrowUp");
      const depth = await nodeView(page, "PixWizard_DecodeDepth");
      const [first] = [await depth.told()];
      assert.match(first, /^\d+, \d+: 0\.\d{3}/);
      for (let i = 0; i < 4; i += 1) await page.keyboard.press("ArrowDown");
      assert.notEqual(await depth.told(), first);
      const small = await stage.boundingBox();
      await page.keyboard.press("Enter");
      const large = page.locator("dialog.pixwizard-large .pixwizard-picture");
      await large.waitFor();
      const box = await large.boundingBox();
      assert.ok(box && small && box.height > 2 * small.height && box.height > 600, `${box?.height} px`);
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      const told = page.locator("dialog.pixwizard-large .pixwizard-reading");
      await page.waitForTimeout(SETTLED_MS);
      assert.match(await told.innerText(), /^\d+, \d+: 0\.\d{3}/);
      await shoot("large");
      const count = await page.evaluate(() => globalThis.app.graph.nodes.length);
      await page.keyboard.press("Delete"); // a key of the page
      await page.keyboard.press("Escape");
      await large.waitFor({ state: "detached" });
      assert.equal(await page.evaluate(() => globalThis.app.graph.nodes.length), count);
      await stage.dblclick();
      await large.waitFor();
      await page.keyboard.press("Escape");
      await large.waitFor({ state: "detached" });
    });

    test("the page's menu offers the picture: open, copy, save", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const offered = await page.evaluate(() => {
        const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_DecodeDepth");
        /** @type {any[]} */
        const entries = [];
        node.getExtraMenuOptions(globalThis.app.canvas, entries);
        return [entries.map((one) => one?.content), node.imgs?.length ?? 0];
      });
      for (const name of ["Open Image", "Copy Image", "Save Image"]) {
        assert.ok(offered[0].includes(name), `${name} is missing in ${offered[0]}`);
      }
      assert.ok(!offered[0].some((/** @type {string} */ one) => /Mask/.test(one ?? "")), `${offered[0]}`);
      assert.equal(offered[1], 0, "the page would draw the picture again");
      if (trial) return context.skip("these Vue nodes have a menu of their own");
      await page.locator(".pixwizard-picture").first().click({ button: "right" });
      await page.getByText("Save Image", { exact: true }).first().waitFor();
      await shoot("menu");
      await page.keyboard.press("Escape");
      await page.mouse.click(750, 990);
    });

    test("lists and colours are reached and used by keyboard", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await load(page, RESULTS);
      const row = page.locator(".pixwizard-line[role=button]", { hasText: "wall" });
      await row.focus();
      await page.keyboard.press("Enter");
      await page.waitForTimeout(SETTLED_MS);
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "wall");
      await page.keyboard.press("Tab");
      const next = await page.evaluate(() => document.activeElement?.textContent);
      assert.match(next ?? "", /floor/);
    });

    test("axe finds nothing serious in our elements", async (context) => {
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await page.evaluate(() => {
        const { app, LiteGraph } = /** @type {any} */ (globalThis);
        for (const [i, kind] of ["Instruction", "LoadPixWizard", "LoadTextEncoder"].entries()) {
          const node = LiteGraph.createNode(`PixWizard_${kind}`);
          node.pos = [i * 400, 900];
          app.graph.add(node);
          const task = node.widgets.find((/** @type {any} */ one) => one.name === "task");
          if (task) task.callback?.((task.value = "box"));
        }
        app.canvas.ds.scale = 0.7;
        app.canvas.ds.offset = [100, 100];
        app.canvas.setDirty(true, true);
      });
      await page.waitForTimeout(1500);
      await page.addScriptTag({ path: AXE });
      const found = await page.evaluate(async () => {
        const ours = ["result", "instruction", "missing"].map((name) => [`.pixwizard-${name}`]);
        const there = ours.filter(([name]) => document.querySelector(name ?? ""));
        const { violations, passes } = await /** @type {any} */ (globalThis).axe.run({ include: there });
        const bad = violations.map((/** @type {any} */ one) => {
          return `${one.impact} ${one.id}: ${one.nodes.map((/** @type {any} */ n) => n.html.slice(0, 160)).join(" | ")}`;
        });
        return { looked: there.length, bad, passes: passes.length };
      });
      console.log(`axe: ${found.passes} rules passed, ${found.bad.length} found`, found.bad.join("\n"));
      assert.equal(found.looked, 3);
      assert.ok(found.passes > 5);
      assert.deepEqual(found.bad.filter((text) => /^(serious|critical)/.test(text)), []);
    });

    /** A source and the short node, as a person adds them: nothing is set but what is given.
     * @param {string} source @param {Record<string, string>} values */
    const short = (source, values) =>
      page.evaluate(
        async ([from, given]) => {
          const { app, LiteGraph } = /** @type {any} */ (globalThis);
          app.graph.clear();
          // The new nodes get the ids of the old ones: let the page take those away first.
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const [picture, node] = [from, "PixWizard_PixWizard"].map((kind) => LiteGraph.createNode(kind));
          node.pos = [500, 120];
          picture.pos = [100, 120];
          app.graph.add(picture);
          app.graph.add(node);
          picture.connect(0, node, "image");
          for (const [name, value] of Object.entries(given)) {
            const widget = node.widgets.find((/** @type {any} */ one) => one.name === name);
            widget.value = value;
            widget.callback?.(value);
          }
          app.canvas.ds.scale = 1;
          app.canvas.ds.offset = [0, 60];
          return app.graph.nodes.length;
        },
        /** @type {[string, Record<string, string>]} */ ([source, values]),
      );

    test("Load Image and PixWizard give depth without a setting, and no wrong claim", async (context) => {
      assert.equal(await short("LoadImage", {}), 2);
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      await drawn(page);
      const view = page.locator(".pixwizard-result");
      const told = await view.innerText();
      assert.match(told, /knows rendered rooms only\. For this picture its answer is a guess/);
      assert.match(told, /Relative depth/);
      assert.match(told, /PixWizard Tiny · steps: \d+ · euler/);
      const depth = await nodeView(page, "PixWizard_PixWizard");
      assert.match(await depth.told(), /^0\.\d{3} to \d\.\d{3}$/, "no metres");
      assert.equal((await states(page)).PixWizard, "");
      await shoot("short-depth");
    });

    test("a scene, PixWizard and two words give a mask", async (context) => {
      assert.equal(await short("PixWizard_DemoScene", { task: "mask", words: "the floor" }), 2);
      assert.equal(await run(page), "success");
      if (!elements) return context.skip("this frontend's Vue nodes draw no page elements");
      const result = page.locator(".pixwizard-result").filter({ hasText: /\d object|Nothing was found/ });
      await result.waitFor({ timeout: 20_000 });
      assert.match(await result.innerText(), /knows rendered rooms only\. Get the real model/);
      const names = await page.evaluate(() => {
        const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === "PixWizard_PixWizard");
        const { options } = node.widgets.find((/** @type {any} */ one) => one.name === "task");
        return ["mask", "face"].map((id) => options.getOptionLabel(id));
      });
      assert.deepEqual(names, ["Black and white mask (mask)", "Restore a face (face) ✗ not taught"]);
      await shoot("short-mask");
    });

    test("nothing of ours went wrong in the console", () => {
      assert.deepEqual(ours(errors), []);
    });
  });
}
