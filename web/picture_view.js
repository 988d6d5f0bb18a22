// @ts-check
// The picture on a node that shows a result: depth or a class under the pointer, a mask or boxes
// with their opacity, before and after with a divider. Drawn on a canvas of its own inside the page,
// which the classic canvas and Vue nodes place alike.

import { amount, mark, paint, pixelAt, place, reading } from "./drawing.js";
import { faint, sign } from "./elements.js";
import { openWindow } from "./overlay.js";
import { loadedFor } from "./picture_files.js";
import { BAR_PX, STAGE_PX, barParts, slideOf, stageParts } from "./picture_parts.js";
import { title, word } from "./words.js";

/** @typedef {import("./drawing.js").Entry} Entry */

const KEY_STEPS = 40; // from one edge of the picture to the other
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FADED = "0.35"; // an earlier result
const SHARPNESS = 2; // canvas px for each CSS px: graphs are zoomed into
/** @type {Record<string, number>} */
const FIRST_SHARE = { overlay: 0.6, boxes: 1, pair: 0.5 };
/** What the slider does, for the kinds that have one. @type {Record<string, string>} */
const SLIDERS = { overlay: "opacity", boxes: "opacity", pair: "divider" };

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
    /** A preview of the run that goes on. @type {ImageBitmap | null} */
    this.sketched = null;
    this.comes = false; // whether the pictures of a result are on their way
    /** @type {[number, number] | null} */
    this.pointer = null;
    this.large = false; // whether it is the one in a window
    const [{ stage, canvas, said }, { bar, told }] = [stageParts(), barParts()];
    this.stage = stage;
    this.canvas = canvas;
    this.said = said;
    this.bar = bar;
    this.told = told;
    this.stage.addEventListener("keydown", (event) => this.press(event));
    this.stage.addEventListener("dblclick", (event) => {
      event.stopPropagation();
      this.enlarge();
    });
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

  /** No preview any more: the result is there, or will not come. */
  settle() {
    this.comes = false;
    this.stage.removeAttribute("aria-busy");
    this.sketched = null;
    this.dim();
  }

  empty(text = word("view.run")) {
    this.settle();
    this.loaded = null;
    this.told.textContent = text;
    this.bar.replaceChildren(this.told);
    this.draw();
  }

  /** Dim the picture under a line of text, or show it plainly. @param {HTMLElement | ""} text */
  say(text) {
    this.said.replaceChildren(...(text ? [text] : []));
    this.dim();
  }

  dim() {
    const dims = this.said.childElementCount > 0 && !this.sketched;
    this.canvas.style.opacity = dims ? FADED : "";
    this.said.hidden = !dims;
  }

  /** Show a preview in the place of the result, or the result again. @param {ImageBitmap | null} picture */
  sketch(picture) {
    if (!picture && (!this.sketched || this.comes)) return; // what comes replaces it
    this.sketched = picture;
    this.dim();
    if (picture) this.told.textContent = word("view.preview");
    else if (this.loaded) this.tell();
    else this.told.textContent = word("view.run");
    this.draw();
  }

  /** @param {Entry[]} entries one for each picture */
  async show(entries) {
    this.entries = entries;
    this.comes = true;
    this.stage.setAttribute("aria-busy", "true"); // until its picture is there
    if (!this.loaded) this.told.textContent = "";
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
    this.settle();
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
      const slider = slideOf(word(`view.${what}`), this.share, (value) => {
        this.share = value;
        this.draw();
      });
      this.slider = slider;
      parts.push(faint(word(`view.${what}`)), slider);
      this.told.style.flex = "0 1 auto";
    }
    parts.push(this.told);
    if (this.entries.length > 1) parts.push(...this.leaves());
    if (!this.large) parts.push(sign("⤢", word("view.large"), () => this.enlarge()));
    this.bar.replaceChildren(...parts);
    this.tell();
  }

  /** Buttons to leaf through a batch. */
  leaves() {
    const count = this.entries.length;
    const number = faint(`${this.shown + 1} / ${count}`);
    const by = (/** @type {number} */ steps) => void this.turn((this.shown + steps + count) % count);
    return [
      sign("‹", word("view.previous"), () => by(-1)),
      number,
      sign("›", word("view.next"), () => by(1)),
    ];
  }

  /** The same in a window, as large as the page allows. */
  enlarge() {
    const { entry } = this;
    if (!this.loaded || !entry || this.large) return;
    const view = new PictureView(this.node);
    view.large = true;
    view.shown = this.shown;
    const wide = `min(90vw, ${Math.round((80 * entry.width) / entry.height)}vh)`;
    Object.assign(view.stage.style, { flex: "none", width: wide, aspectRatio: `${entry.width} / ${entry.height}` });
    const shown = openWindow("large", this.node.title ?? title(this.node.comfyClass), view.stage, view.bar);
    shown.addEventListener("close", () => {
      if (this.entry === entry) this.fill(); // the slider may have been moved
      this.draw();
      this.stage.focus({ preventScroll: true });
    });
    void view.show(this.entries);
  }

  /** What keys do: arrows read points, Enter opens the window. @param {KeyboardEvent} event */
  press(event) {
    const steps = ARROWS[event.key];
    if ((!steps && event.key !== "Enter") || event.target !== this.stage || !this.entry) return;
    event.preventDefault();
    event.stopPropagation(); // the page has keys of its own
    if (!steps) return this.enlarge();
    const rect = place(this.stage.clientWidth, this.stage.clientHeight, this.entry);
    const [x, y] = this.pointer ?? [rect.x + rect.width / 2, rect.y + rect.height / 2];
    const [across = 0, down = 0] = steps;
    const kept = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ size) =>
      Math.min(from + size - 1, Math.max(from + 1, at));
    this.pointer = [
      kept(x + (across * rect.width) / KEY_STEPS, rect.x, rect.width),
      kept(y + (down * rect.height) / KEY_STEPS, rect.y, rect.height),
    ];
    this.draw();
    this.tell();
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
    if (!this.pointer || !this.loaded || !this.entry || this.sketched) return null;
    const rect = place(this.stage.clientWidth, this.stage.clientHeight, this.entry);
    const pixel = pixelAt(rect, this.entry, ...this.pointer);
    return pixel && { pixel, text: reading(this.entry, this.loaded.values, pixel) };
  }

  tell() {
    const entry = this.entry;
    if (!entry || !this.loaded || this.sketched) return;
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
      directions: word("view.directions"),
    };
    this.told.textContent = resting[entry.kind] ?? size;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const pen = this.canvas.getContext("2d");
    if (!pen || !width || !height) return;
    Object.assign(this.canvas, { width: width * SHARPNESS, height: height * SHARPNESS });
    pen.scale(SHARPNESS, SHARPNESS);
    if (this.sketched) {
      const at = place(width, height, this.sketched);
      pen.drawImage(this.sketched, at.x, at.y, at.width, at.height);
      return;
    }
    if (!this.entry || !this.loaded) return;
    const rect = place(width, height, this.entry);
    paint(pen, rect, this.entry, this.loaded, this.share);
    const found = this.loaded.values && this.read();
    if (found && this.pointer) mark(pen, rect, found.text, ...this.pointer);
  }
}
