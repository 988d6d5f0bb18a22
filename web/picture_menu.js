// @ts-check
// The page's own menu for pictures (open, copy, save) on nodes whose picture we draw. The page offers
// it for node.imgs, which it would also draw, so they are there only while the menu is made.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { paint } from "./drawing.js";

/** @typedef {import("./picture_view.js").PictureView} PictureView */

const MASKS = /mask ?editor/i;
const SINGLE = ["values", "classes", "directions", "plain"]; // kinds with nothing laid on the picture
/** @type {WeakMap<PictureView, string>} */
const made = new WeakMap();

/** What is shown, as a PNG of the browser's. @param {PictureView} view @returns {string} */
function address(view) {
  const { entry, loaded } = view;
  if (!entry || !loaded) return "";
  if (SINGLE.includes(entry.kind)) {
    const path = api.apiURL(`/view?${new URLSearchParams(entry.picture)}`);
    return new URL(path, location.href).href;
  }
  const { width, height } = loaded.picture;
  const paper = Object.assign(document.createElement("canvas"), { width, height });
  const pen = paper.getContext("2d");
  if (!pen) return "";
  paint(pen, { x: 0, y: 0, width, height }, entry, loaded, view.share);
  const bytes = Uint8Array.from(atob(paper.toDataURL().split(",")[1] ?? ""), (one) => one.charCodeAt(0));
  URL.revokeObjectURL(made.get(view) ?? "");
  const url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  made.set(view, url);
  return url;
}

/** Let the menu of a node offer the picture of its view. @param {any} node @param {PictureView} view */
export function offerPicture(node, view) {
  const before = node.getExtraMenuOptions;
  node.getExtraMenuOptions = function (/** @type {any[]} */ ...args) {
    const url = this.imgs?.length ? "" : address(view);
    if (!url) return before?.apply(this, args);
    const { imgs, imageIndex } = this;
    const picture = new Image();
    picture.src = url;
    Object.assign(this, { imgs: [picture], imageIndex: 0 });
    try {
      const given = before?.apply(this, args);
      const [, options] = args;
      // The mask editor looks for the picture later, when it is gone.
      const wrong = Array.isArray(options) ? options.filter((one) => MASKS.test(one?.content ?? "")) : [];
      for (const one of wrong) options.splice(options.indexOf(one), 1);
      return given;
    } finally {
      Object.assign(this, { imgs, imageIndex });
    }
  };
  view.stage.addEventListener("contextmenu", (event) => {
    const { canvas } = app;
    const elements = /** @type {any} */ (globalThis).LiteGraph?.vueNodesMode;
    if (elements || !canvas?.processContextMenu) return; // such nodes open their menu themselves
    event.preventDefault();
    event.stopPropagation();
    canvas.adjustMouseEvent?.(event);
    canvas.processContextMenu(node, event);
  });
}
