// @ts-check
// How a node's picture is painted on a canvas: the picture, what lies on it, and the reading under
// the pointer. Positions are CSS px of the canvas unless a name says otherwise.

import { named } from "./words.js";

/**
 * One picture of a node's result, as nodes/shared/views.py sends it.
 * @typedef {{filename: string, subfolder: string, type: string}} StoredFile
 * @typedef {{kind: "values" | "classes" | "directions" | "overlay" | "boxes" | "pair" | "plain",
 *   width: number, height: number, picture: StoredFile,
 *   values?: StoredFile, low?: number, high?: number, unit?: string, limits?: number[],
 *   spread?: number, signs?: number[], cover?: StoredFile, names?: any,
 *   bboxes?: number[][], labels?: string[], scores?: number[], rgb?: number[]}} Entry
 * @typedef {{x: number, y: number, width: number, height: number}} Rect
 * @typedef {{picture: ImageBitmap, cover?: ImageBitmap, values?: ImageData}} Loaded
 */

const TEXT = "12px sans-serif";
const PILL = "rgba(0, 0, 0, 0.72)";
const LEVELS = 65535; // numbers come as 16 bits: high byte in red, low byte in green
const ENLARGED = 1.5; // from here on the pixels of a mask are shown as they are

/** The largest place for a picture inside a canvas, in the middle.
 * @param {number} width @param {number} height of the canvas
 * @param {{width: number, height: number}} entry @returns {Rect} */
export function place(width, height, entry) {
  const scale = Math.min(width / entry.width, height / entry.height);
  const [w, h] = [entry.width * scale, entry.height * scale];
  return { x: (width - w) / 2, y: (height - h) / 2, width: w, height: h };
}

/** The pixel of the source under a point, or null beside the picture.
 * @param {Rect} rect @param {Entry} entry @param {number} x @param {number} y
 * @returns {[number, number] | null} */
export function pixelAt(rect, entry, x, y) {
  const across = (x - rect.x) / rect.width;
  const down = (y - rect.y) / rect.height;
  if (!(across >= 0 && across < 1 && down >= 0 && down < 1)) return null;
  return [Math.floor(across * entry.width), Math.floor(down * entry.height)];
}

/** What a pixel of the source says, or "" when the picture has no numbers.
 * @param {Entry} entry @param {ImageData | undefined} values @param {[number, number]} pixel */
export function reading(entry, values, [x, y]) {
  if (!values) return "";
  const column = Math.floor(((x + 0.5) / entry.width) * values.width);
  const row = Math.floor(((y + 0.5) / entry.height) * values.height);
  const at = 4 * (row * values.width + column);
  const level = 256 * (values.data[at] ?? 0) + (values.data[at + 1] ?? 0);
  if (entry.kind === "classes") return String(entry.names?.[level] ?? "");
  if (entry.kind === "directions") return direction(entry, values.data.slice(at, at + 3));
  const { low = 0, high = 1, limits, spread } = entry;
  const value = low + ((high - low) * level) / LEVELS;
  const told = amount(value, entry.unit ?? "");
  if (spread !== undefined) return `${told} ± ${amount((spread * (values.data[at + 2] ?? 0)) / 255, "")}`;
  if (!limits) return told;
  const [near = 0, far = 1] = limits;
  return `${told} (${amount((far - value) / (far - near), "")})`;
}

/** Where a surface faces: degrees to the side, up or down, and off the viewer. @param {Entry} entry
 * @param {ArrayLike<number>} painted a colour */
function direction({ signs = [1, 1] }, painted) {
  const [red = 0, green = 0, blue = 0] = [0, 1, 2].map((i) => (2 * (painted[i] ?? 0)) / 255 - 1);
  const [x, y] = [red * (signs[0] ?? 1), green * (signs[1] ?? 1)];
  const length = Math.hypot(x, y, blue) || 1;
  const degrees = (/** @type {number} */ radians) => Math.round((180 * radians) / Math.PI);
  const [side, up, off] = [Math.atan2(x, blue), Math.asin(y / length), Math.acos(blue / length)].map(degrees);
  const told = (/** @type {number} */ angle, /** @type {string} */ signs) => `${signs[angle < 0 ? 1 : 0]} ${Math.abs(angle)}°`;
  return `${told(side ?? 0, "→←")} ${told(up ?? 0, "↑↓")} ∠ ${off}°`;
}

/** @param {number} value @param {string} unit */
export function amount(value, unit) {
  return unit ? `${value.toFixed(2)} ${unit}` : value.toFixed(3);
}

/** @param {CanvasRenderingContext2D} pen @param {Rect} rect @param {Entry} entry
 * @param {Loaded} loaded @param {number} share opacity or place of the divider, 0..1 */
export function paint(pen, rect, entry, loaded, share) {
  const { x, y, width, height } = rect;
  const enlarged = width / entry.width >= ENLARGED;
  pen.imageSmoothingQuality = "high";
  pen.imageSmoothingEnabled = !(enlarged && entry.kind === "classes");
  pen.drawImage(loaded.picture, x, y, width, height);
  if (entry.kind === "overlay" && loaded.cover) {
    pen.globalAlpha = share;
    pen.imageSmoothingEnabled = !enlarged;
    pen.drawImage(loaded.cover, x, y, width, height);
    pen.globalAlpha = 1;
  }
  if (entry.kind === "pair" && loaded.cover) divide(pen, rect, entry, loaded.cover, share);
  if (entry.kind === "boxes") outline(pen, rect, entry, share);
}

/** Left of the divider the first picture, right of it the second.
 * @param {CanvasRenderingContext2D} pen @param {Rect} rect @param {Entry} entry
 * @param {ImageBitmap} after @param {number} share */
function divide(pen, rect, entry, after, share) {
  const { x, y, width, height } = rect;
  const middle = x + share * width;
  pen.save();
  pen.beginPath();
  pen.rect(middle, y, x + width - middle, height);
  pen.clip();
  pen.drawImage(after, x, y, width, height);
  pen.restore();
  for (const [colour, thick] of /** @type {[string, number][]} */ ([[PILL, 4], ["#fff", 2]])) {
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.beginPath();
    pen.moveTo(middle, y);
    pen.lineTo(middle, y + height);
    pen.stroke();
  }
  pen.fillStyle = "#fff";
  pen.beginPath();
  pen.arc(middle, y + height / 2, 5, 0, 2 * Math.PI);
  pen.fill();
  const [before = "", later = ""] = (entry.names ?? []).map((/** @type {string} */ name) =>
    named("pictures", name),
  );
  if (share > 0.3) pill(pen, before, x + 6, y + 6, "left", rect);
  if (share < 0.7) pill(pen, later, x + width - 6, y + 6, "right", rect);
}

/** @param {CanvasRenderingContext2D} pen @param {Rect} rect @param {Entry} entry
 * @param {number} share */
function outline(pen, rect, entry, share) {
  const [across, down] = [rect.width / entry.width, rect.height / entry.height];
  pen.globalAlpha = share;
  pen.lineWidth = 2;
  pen.strokeStyle = `rgb(${(entry.rgb ?? [255, 0, 0]).join(",")})`;
  for (const [i, [left = 0, top = 0, right = 0, bottom = 0]] of (entry.bboxes ?? []).entries()) {
    const [x, y] = [rect.x + left * across, rect.y + top * down];
    pen.strokeRect(x, y, (right - left) * across, (bottom - top) * down);
    const sure = `${Math.round(100 * (entry.scores?.[i] ?? 0))} %`;
    const room = y - rect.y > 22; // else the name goes inside
    const tag = `${entry.labels?.[i] ?? ""} ${sure}`.trim();
    pill(pen, tag, x, room ? y - 20 : y + 3, "left", rect);
  }
  pen.globalAlpha = 1;
}

/** The reading beside the point that it belongs to.
 * @param {CanvasRenderingContext2D} pen @param {Rect} rect @param {string} text
 * @param {number} x @param {number} y */
export function mark(pen, rect, text, x, y) {
  for (const [colour, thick] of /** @type {[string, number][]} */ ([[PILL, 4], ["#fff", 1.5]])) {
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.beginPath();
    pen.arc(x, y, 5, 0, 2 * Math.PI);
    pen.stroke();
  }
  if (!text) return;
  const side = x > rect.x + rect.width / 2 ? "right" : "left";
  const below = y < rect.y + 30;
  pill(pen, text, side === "left" ? x + 9 : x - 9, below ? y + 9 : y - 26, side, rect);
}

/** Text on a dark ground. @param {CanvasRenderingContext2D} pen @param {string} text
 * @param {number} x @param {number} y @param {"left" | "right"} side that x is of
 * @param {Rect} rect what it stays inside of, its beginning first */
function pill(pen, text, x, y, side, rect) {
  pen.font = TEXT;
  const width = pen.measureText(text).width + 10;
  const wished = side === "left" ? x : x - width;
  const left = Math.max(rect.x, Math.min(wished, rect.x + rect.width - width));
  pen.fillStyle = PILL;
  pen.beginPath();
  pen.roundRect(left, y, width, 18, 4);
  pen.fill();
  pen.fillStyle = "#fff";
  pen.textBaseline = "middle";
  pen.fillText(text, left + 5, y + 9.5);
}
