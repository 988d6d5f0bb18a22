// @ts-check
// Drives the host's page: opens it, loads a template the way the template browser does, runs it.

import { existsSync } from "node:fs";
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

export const browserPath = () => PLACES.find((place) => place && existsSync(place));

export async function launch() {
  return chromium.launch({
    executablePath: browserPath(),
    headless: true,
    args: [
      "--no-sandbox",
      "--use-gl=angle",
      "--use-angle=swiftshader",
      "--enable-unsafe-swiftshader",
      "--ignore-gpu-blocklist",
    ],
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
  if (changed) {
    // Frontend 1.27 keeps drawing the first graph when it is switched over while running.
    await page.reload({ waitUntil: "domcontentloaded" });
    await ready(page);
  }
  return { page, errors };
}

/** @param {import("playwright-core").Page} page */
async function ready(page) {
  await page.waitForFunction(
    () =>
      globalThis.app?.extensionManager &&
      globalThis.app.canvas &&
      globalThis.app.extensionManager.workflow?.activeWorkflow &&
      globalThis.LiteGraph?.registered_node_types["PixWizard_Sample"],
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
