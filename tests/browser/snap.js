// @ts-check
// Photographs nodes in their recipes for the help pages, as tests/support/help_shots.py asks.
//
// PIXWIZARD_URL   a running host with the extension
// PIXWIZARD_JOBS  {"folder": where PNGs go, "graphs": [{"graph", "run", "nodes": {type: file name}}]}

import { join } from "node:path";
import { launch, load, open, run } from "./page.js";

const { folder, graphs } = JSON.parse(process.env.PIXWIZARD_JOBS ?? "{}");
const EDGE = { across: 150, down: 40 }; // px shown around a node
const KERNEL = "(?<=Linux-)\\S+?(?=-(x86_64|aarch64))"; // of this machine, which nobody needs to see
const CORNER = { x: 220, y: 120 }; // of the page, where the node's title begins

const browser = await launch();
const { page } = await open(browser, process.env.PIXWIZARD_URL ?? "", { vue: true });
await page.setViewportSize({ width: 1500, height: 1200 });
for (const { graph, run: wanted, nodes } of graphs) {
  await load(page, graph);
  await page.keyboard.press("Escape"); // the host's list of missing models
  if (wanted) {
    const told = await run(page);
    if (told !== "success") throw new Error(told);
  }
  for (const [type, name] of Object.entries(nodes)) {
    const size = await page.evaluate(
      ([kind, x, y, kernel]) => {
        const { canvas, graph: loaded } = globalThis.app;
        const node = loaded.nodes.find((/** @type {any} */ one) => one.type === kind);
        canvas.ds.scale = 1;
        const origin = canvas.canvas.getBoundingClientRect();
        canvas.ds.offset = [x - origin.x - node.pos[0], y + 30 - origin.y - node.pos[1]];
        canvas.setDirty(true, true);
        const shown = document.querySelector(`[data-node-id="${node.id}"]`);
        for (const line of shown?.querySelectorAll(".pixwizard-result div") ?? []) {
          if (!line.childElementCount) line.textContent = (line.textContent ?? "").replace(new RegExp(kernel), "…");
        }
        return [shown?.clientWidth ?? 0, shown?.clientHeight ?? 0];
      },
      /** @type {[string, number, number, string]} */ ([type, CORNER.x, CORNER.y, KERNEL]),
    );
    await page.mouse.move(2, 2);
    await page.waitForTimeout(1000);
    await page.screenshot({
      path: join(folder, `${name}.png`),
      clip: {
        x: CORNER.x - EDGE.across,
        y: CORNER.y - EDGE.down,
        width: (size[0] ?? 0) + 2 * EDGE.across,
        height: (size[1] ?? 0) + 2 * EDGE.down,
      },
    });
  }
}
await browser.close();
