// @ts-check
// The picture on a node that shows a result: depth or a class under the pointer, a mask or boxes
// with their opacity, before and after with a divider. Drawn on a canvas of its own inside the page,
// which the classic canvas and Vue nodes place alike.

import { api } from "/scripts/api.js";
import { amount, mark, paint, pixelAt, place, reading } from "./drawing.js";
import { element, faint, hold } from "./elements.js";
import { word } from "./words.js";

/** @typedef {import("./drawing.js").Entry} Entry */
/** @typedef {import("./drawing.js").StoredFile} StoredFile */

const STAGE_PX = { least: 110, first: 210 };
const BAR_PX = 26;
const SHARPNESS = 2; // canvas px for each CSS px: graphs are zoomed into
/** @type {Record<string, number>} */
const FIRST_SHARE = { overlay: 0.6, boxes: 1, pair: 0.5 };
/** What the slider does, for the kinds that have one. @type {Record<string, string>} */
const SLIDERS = { overlay: "opacity", boxes: "opacity", pair: "divider" };

/** @param {StoredFile} file @returns {Promise<ImageBitmap>} */
async function fetched(file) {
  const answer = await fetch(api.apiURL(`/view?${new URLSearchParams(file)}`));
  if (!answer.ok) throw new Error(`the host answered ${answer.status}`);
  // Numbers must not pass through a colour profile.
  return createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
}

/** @param {ImageBitmap} bitmap */
function pixelsOf(bitmap) {
  const paper = new OffscreenCanvas(bitmap.width, bitmap.height);
  const pen = paper.getContext("2d", { willReadFrequently: true });
  if (!pen) throw new Error("this browser gives no canvas to read from");
  pen.drawImage(bitmap, 0, 0);
  return pen.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** @param {Entry} entry @returns {Promise<import("./drawing.js").Loaded>} */
async function loadedFor(entry) {
  const [picture, cover, values] = await Promise.all([
    fetched(entry.picture),
    entry.cover && fetched(entry.cover),
    entry.values && fetched(entry.values).then(pixelsOf),
  ]);
  return { picture, cover, values };
}

/** One instance for a node. */
export class PictureView {
  /** @param {any} node whose properties keep the slider */
  constructor(node) {
    this.node = node;
    /** @type {Entry[]} */
    this.entries = [];
    this.shown = 0;
    /** @type {import("./drawing.js").Loaded | null} */
    this.loaded = null;
    /** @type {[number, number] | null} */
    this.pointer = null;
    this.canvas = /** @type {HTMLCanvasElement} */ (
      element("canvas", { position: "absolute", inset: "0", width: "100%", height: "100%" })
    );
    this.stage = element(
      "div",
      {
        position: "relative",
        flex: `1 1 ${STAGE_PX.first}px`,
        minHeight: `${STAGE_PX.least}px`,
        overflow: "hidden",
        borderRadius: "3px",
        background: "rgba(0, 0, 0, 0.35)",
      },
      this.canvas,
    );
    this.stage.className = "pixwizard-picture";
    this.bar = element("div", {
      display: "flex",
      alignItems: "center",
      gap: "6px",
      flex: "none",
      height: `${BAR_PX}px`,
      whiteSpace: "nowrap",
      fontVariantNumeric: "tabular-nums",
    });
    this.told = element("span", { flex: "1", overflow: "hidden", textOverflow: "ellipsis" });
    this.told.className = "pixwizard-reading";
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.draw()).observe(this.stage);
    this.empty();
  }

  get entry() {
    return this.entries[this.shown];
  }

  /** The least and the first height of stage and bar together. */
  get heights() {
    return { least: STAGE_PX.least + BAR_PX, first: STAGE_PX.first + BAR_PX };
  }

  empty(text = word("view.run")) {
    this.loaded = null;
    this.told.textContent = text;
    this.bar.replaceChildren(this.told);
    this.draw();
  }

  /** @param {Entry[]} entries one for each picture */
  async show(entries) {
    this.entries = entries;
    await this.turn(Math.min(this.shown, Math.max(0, entries.length - 1)));
  }

  /** Show another picture of the batch. @param {number} number */
  async turn(number) {
    this.shown = number;
    const entry = this.entry;
    if (!entry) return this.empty(word("view.unkept"));
    try {
      const loaded = await loadedFor(entry);
      if (entry !== this.entry) return; // a newer result came meanwhile
      this.loaded = loaded;
    } catch {
      return this.empty(word("view.gone"));
    }
    this.fill();
    this.draw();
  }

  get share() {
    const kept = Number(this.node.properties?.[this.property]);
    return kept >= 0 && kept <= 1 ? kept : (FIRST_SHARE[this.entry?.kind ?? ""] ?? 1);
  }

  set share(value) {
    this.node.properties[this.property] = Math.min(1, Math.max(0, Math.round(value * 1000) / 1000));
  }

  get property() {
    return `pixwizard_${SLIDERS[this.entry?.kind ?? ""] ?? "view"}`;
  }

  /** The bar below the picture. */
  fill() {
    const what = SLIDERS[this.entry?.kind ?? ""];
    const parts = [];
    if (what) {
      const slider = hold(/** @type {HTMLInputElement} */ (element("input", { flex: "1 1 60px" })));
      Object.assign(slider, { type: "range", min: "0", max: "1", step: "0.01" });
      slider.style.minWidth = "40px";
      slider.style.margin = "0";
      slider.style.accentColor = "var(--p-primary-color, #6ab0ff)";
      slider.value = String(this.share);
      slider.setAttribute("aria-label", word(`view.${what}`));
      slider.addEventListener("input", () => {
        this.share = Number(slider.value);
        this.draw();
      });
      this.slider = slider;
      parts.push(faint(word(`view.${what}`)), slider);
      this.told.style.flex = "0 1 auto";
    }
    parts.push(this.told);
    if (this.entries.length > 1) parts.push(...this.leaves());
    this.bar.replaceChildren(...parts);
    this.tell();
  }

  /** Buttons to leaf through a batch. */
  leaves() {
    const count = this.entries.length;
    const button = (/** @type {string} */ sign, /** @type {string} */ name, /** @type {number} */ by) => {
      const made = hold(element("button", { padding: "0 6px", cursor: "pointer" }, sign));
      Object.assign(made.style, { background: "none", border: "none", color: "inherit" });
      made.setAttribute("aria-label", name);
      made.addEventListener("click", () => void this.turn((this.shown + by + count) % count));
      return made;
    };
    const number = faint(`${this.shown + 1} / ${count}`);
    return [button("‹", word("view.previous"), -1), number, button("›", word("view.next"), 1)];
  }

  /** @param {PointerEvent} event */
  point(event) {
    this.pointer = [event.offsetX, event.offsetY];
    if (this.entry?.kind === "pair" && this.loaded) {
      const rect = place(this.stage.clientWidth, this.stage.clientHeight, this.entry);
      this.share = (event.offsetX - rect.x) / rect.width;
      if (this.slider) this.slider.value = String(this.share);
    }
    this.draw();
    this.tell();
  }

  leave() {
    this.pointer = null;
    this.draw();
    this.tell();
  }

  /** The pixel under the pointer and what it says. */
  read() {
    if (!this.pointer || !this.loaded || !this.entry) return null;
    const rect = place(this.stage.clientWidth, this.stage.clientHeight, this.entry);
    const pixel = pixelAt(rect, this.entry, ...this.pointer);
    return pixel && { pixel, text: reading(this.entry, this.loaded.values, pixel) };
  }

  tell() {
    const entry = this.entry;
    if (!entry || !this.loaded) return;
    const found = this.read();
    if (found) {
      const where = `${found.pixel[0]}, ${found.pixel[1]}`;
      this.told.textContent = found.text ? `${where}: ${found.text}` : where;
      return;
    }
    const size = `${entry.width} × ${entry.height}`;
    const unit = entry.unit ?? "";
    const [low, high] = [entry.low ?? 0, entry.high ?? 1].map((value) => amount(value, unit));
    /** @type {Record<string, string>} */
    const resting = {
      values: word("view.range", { low: low ?? "", high: high ?? "" }),
      classes: `${size} px`,
    };
    this.told.textContent = resting[entry.kind] ?? size;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const pen = this.canvas.getContext("2d");
    if (!pen || !width || !height) return;
    Object.assign(this.canvas, { width: width * SHARPNESS, height: height * SHARPNESS });
    if (!this.entry || !this.loaded) return;
    pen.scale(SHARPNESS, SHARPNESS);
    const rect = place(width, height, this.entry);
    paint(pen, rect, this.entry, this.loaded, this.share);
    const found = this.loaded.values && this.read();
    if (found && this.pointer) mark(pen, rect, found.text, ...this.pointer);
  }
}
