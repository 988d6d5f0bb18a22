// @ts-check
// What a newcomer does, with mouse and keyboard alone: the way from an empty page to a first result, and
// words in the page's search for nodes. As said.test.js, of which it takes the environment.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { atLeast, launch, open, ours, reload } from "./page.js";

const { PIXWIZARD_URL: URL_BASE = "", PIXWIZARD_PARTS: PARTS, PIXWIZARD_MODELS: MODELS, PIXWIZARD_SHOTS: SHOTS, PIXWIZARD_FEW: FEW } = process.env;
const RENDERERS = (process.env.PIXWIZARD_RENDERERS ?? "canvas,vue").split(",");
const SCREEN = { width: 1366, height: 768 };
const SHORT = "PixWizard_PixWizard";
const BROWSES = [1, 49]; // the first page whose list of templates is driven here
const DEPTH = "PixWizard 1 Depth from a photo";
const RELEASED = /The released model was found and runs/;
const MOST = 4; // clicks to a first result
const WORDS = ["estimate depth", "select by text", "remove object", "deblur", "inpaint"];
const SHOWN = 5; // of what a search finds
const SEARCHES_WORDS = [1, 40]; // the page that looks at a node's search words; 1.35 does not
const PLACES = ["diffusion_models", "text_encoders/gemma", "text_encoders/clip", "vae"];
const SETTLED_MS = 400;
const LIST_MS = 20_000; // for a list that follows what is typed
const FRESH_MS = 120_000; // for a first result
const LONG_MS = 600_000; // for one at the released model's own settings

/** @param {string} path */
const get = async (path) => (await fetch(URL_BASE + path)).json();

/** Type words into the page's search for nodes, and take what it lists, best first, by the names it
 * shows. The list follows the typing by a while, so that it is looked at until it is as wanted.
 * @param {import("playwright-core").Page} page @param {string} words
 * @param {(found: string[]) => boolean} wanted @returns {Promise<string[]>} */
async function searched(page, words, wanted) {
  await page.mouse.dblclick(SCREEN.width / 2, SCREEN.height / 2); // of an empty graph
  const rows = page.getByTestId("result-item");
  await rows.first().waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === "INPUT");
  await page.keyboard.type(words);
  assert.equal(await page.evaluate(() => /** @type {any} */ (document.activeElement).value), words);
  const names = () => rows.evaluateAll((all) => all.map((/** @type {any} */ one) => one.innerText.split("\n")[0].trim()));
  const end = performance.now() + LIST_MS;
  let found = await names();
  while (!wanted(found) && performance.now() < end) {
    await page.waitForTimeout(SETTLED_MS);
    found = await names();
  }
  await page.keyboard.press("Escape");
  await rows.first().waitFor({ state: "detached" });
  return found;
}

/** What the PixWizard node is asked for. @param {import("playwright-core").Page} page @returns {Promise<string>} */
const words = (page) =>
  page.evaluate((kind) => {
    const node = globalThis.app.graph.nodes.find((/** @type {any} */ one) => one.type === kind);
    return node.widgets.find((/** @type {any} */ one) => one.name === "words").value;
  }, SHORT);

/** The field that holds them; notes have fields of text too. @param {import("playwright-core").Page} page */
async function wordsField(page) {
  const fields = page.locator("textarea:visible");
  await fields.first().waitFor();
  const held = await fields.evaluateAll((all) => all.map((/** @type {any} */ one) => one.value));
  return fields.nth(held.indexOf(await words(page)));
}

/** A person before an empty page, and how often they click. @param {import("playwright-core").Page} page */
async function newcomer(page) {
  await page.evaluate(() => globalThis.app.graph.clear());
  await page.keyboard.press("Escape");
  const begun = performance.now();
  let clicks = 0;
  return {
    clicks: () => clicks,
    told: () => `${clicks} clicks, ${((performance.now() - begun) / 1000).toFixed(1)} s`,
    /** @param {import("playwright-core").Locator} what */
    async click(what) {
      clicks += 1;
      await what.click();
    },
    /** Find a template by words in the page's own list. @param {string} words @param {string} name */
    async open(words, name) {
      await this.click(page.locator("[aria-label*=Templates]").first());
      await this.click(page.getByRole("dialog").getByPlaceholder(/search/i).first());
      await page.keyboard.type(words);
      await this.click(page.getByTestId(`template-workflow-${name}`));
      await page.waitForFunction(
        (kind) => globalThis.app.graph.nodes.some((/** @type {any} */ node) => node.type === kind),
        SHORT,
      );
    },
  };
}

for (const renderer of RENDERERS) {
  describe(`newcomer, ${renderer}`, () => {
    /** @type {import("playwright-core").Browser} */
    let browser;
    /** @type {import("playwright-core").Page} */
    let page;
    /** @type {string[]} */
    let errors;
    let version = "";

    before(async () => {
      browser = await launch();
      ({ page, errors } = await open(browser, URL_BASE, { vue: renderer === "vue" }));
      await page.setViewportSize(SCREEN);
      version = await page.evaluate(() => globalThis.__COMFYUI_FRONTEND_VERSION__);
    });
    after(() => browser?.close());

    test("four clicks turn a photo into depth, with nothing set", async (context) => {
      if (!atLeast(version, BROWSES)) return context.skip("this page's list of templates is another");
      const person = await newcomer(page);
      await person.open("depth", DEPTH);
      await person.click(page.getByTestId("queue-button"));
      await page.locator(".pixwizard-result").filter({ hasText: "Relative depth" }).waitFor({ timeout: FRESH_MS });
      console.log(`photo to depth: ${person.told()}`);
      assert.ok(person.clicks() <= MOST, person.told());
    });

    test("one more, and the words, give a mask", async (context) => {
      if (!atLeast(version, BROWSES)) return context.skip("this page's list of templates is another");
      const person = await newcomer(page);
      await person.open("mask", "PixWizard 2 Mask from words");
      await person.click(await wordsField(page));
      await page.keyboard.press("Control+A");
      await page.keyboard.type("the sky");
      await person.click(page.getByTestId("queue-button"));
      const view = page.locator(".pixwizard-result").filter({ hasText: /\d object|Nothing was found/ });
      await view.waitFor({ timeout: FRESH_MS });
      console.log(`words to mask: ${person.told()}`);
      assert.equal(await words(page), "the sky");
      assert.ok(person.clicks() <= MOST + 1, person.told());
    });

    test("the search for nodes ranks as search.js does", async (context) => {
      if (!atLeast(version, SEARCHES_WORDS)) return context.skip("this page searches names alone");
      const nodes = Object.values(await get("/object_info")).filter((one) => !one.deprecated);
      const often = await get("/assets/sorted-custom-node-map.json").catch(() => ({}));
      const input = JSON.stringify({ nodes, words: WORDS, often });
      const { stdout } = spawnSync(process.execPath, ["search.js"], { input, encoding: "utf-8", maxBuffer: 1e8 });
      const ranked = JSON.parse(stdout);
      const label = new Map(nodes.map((one) => [one.name, one.display_name || one.name]));
      const blueprints = Object.values(await get("/global_subgraphs")).map((one) => one.name);
      await page.evaluate(() => globalThis.app.graph.clear());
      for (const words of WORDS) {
        const wanted = ranked[words].slice(0, SHOWN).map((/** @type {string} */ name) => label.get(name));
        const first = (/** @type {string[]} */ found) => found.filter((name) => !blueprints.includes(name)).slice(0, SHOWN);
        const found = await searched(page, words, (list) => isDeepStrictEqual(first(list), wanted));
        assert.deepEqual(first(found), wanted, words);
      }
    });

    test("with the released files in place, the same clicks ask the released model", async (context) => {
      if (!atLeast(version, BROWSES)) return context.skip("this page's list of templates is another");
      if (!PARTS || !MODELS) return context.skip("no stand-ins for the parts");
      if (FEW) return context.skip("takes a minute or three; PIXWIZARD_ALL=1 runs it");
      const depth = page.locator(".pixwizard-result").filter({ hasText: "Relative depth" });
      const view = depth.filter({ hasNotText: "PixWizard Tiny" }); // which answered this very graph before
      try {
        for (const place of PLACES) cpSync(join(PARTS, place), join(MODELS, place), { recursive: true });
        await reload(page);
        const person = await newcomer(page);
        await person.open("depth", DEPTH);
        await person.click(page.getByTestId("queue-button"));
        await view.waitFor({ timeout: LONG_MS });
        console.log(`photo to depth with small parts in the released layouts: ${person.told()}`);
        assert.ok(person.clicks() <= MOST, person.told());
        const said = await view.innerText();
        assert.doesNotMatch(said, /demo/i);
        assert.match(said, RELEASED);
        if (SHOTS) await page.screenshot({ path: join(SHOTS, `${renderer}-released.png`) });
      } finally {
        // The folders stay: a host that has listed one fails when it is gone.
        for (const place of PLACES) for (const name of readdirSync(join(PARTS, place))) rmSync(join(MODELS, place, name), { force: true });
      }
    });

    test("nothing of ours went wrong in the console", () => {
      assert.deepEqual(ours(errors), []);
    });
  });
}
