// @ts-check
// Previews of a run, painted where its result will be. The page would make room for each on the node
// that runs, which then grows over its neighbours.

import { api } from "/scripts/api.js";
import { element, faint } from "./elements.js";
import { place } from "./drawing.js";
import { pageWidget } from "./widgets.js";
import { word } from "./words.js";

const SHOWS = "b_preview_with_metadata"; // the page's event with a preview
const ENDS = ["execution_success", "execution_error", "execution_interrupted"];
const NOBODY = "pixwizard"; // no node has this id, so that the page keeps the preview for its panels alone
const ROOM_PX = 150; // on a new node that samples
const LEAST_PX = 48; // less shows nothing
const MARGIN_PX = 4; // that the canvas adds to each widget
const SHARPNESS = 2;

/** What paints a preview; null takes it away again. @typedef {{sketch: (picture: ImageBitmap | null) => void}} Place */

let numbers = 0; // of previews, in the order in which they came
let seen = 0; // the number of the one that is painted; older ones come too late
/** @type {Set<Place>} */
const painted = new Set();

/** @param {Place[]} places @param {Blob} blob */
async function paint(places, blob) {
  const own = ++numbers;
  const picture = await createImageBitmap(blob);
  if (own <= seen) return; // the next one or the result has come meanwhile
  seen = own;
  for (const one of places) {
    one.sketch(picture);
    painted.add(one);
  }
}

function end() {
  seen = numbers;
  for (const one of painted) one.sketch(null);
  painted.clear();
}

/** @param {(name: string) => Place[] | null} placesOf where a preview of the node that the host knows
 *   by a name belongs; null where the page shows it as it does */
export function watchPreviews(placesOf) {
  const send = api.dispatchCustomEvent;
  if (!send) return; // an older page shows them as it does
  api.dispatchCustomEvent = function (/** @type {string} */ kind, /** @type {any} */ detail) {
    const places = kind === SHOWS && placesOf(String(detail.displayNodeId ?? detail.nodeId));
    if (places) void paint(places, detail.blob);
    return send.call(this, kind, places ? { ...detail, displayNodeId: NOBODY } : detail);
  };
  api.addEventListener("executed", () => (seen = numbers));
  for (const kind of ENDS) api.addEventListener(kind, end);
}

/** What is left of a node's height below its fields, for previews. A node never grows for it. */
export class PreviewRoom {
  /** @param {any} node */
  constructor(node) {
    this.node = node;
    this.canvas = /** @type {HTMLCanvasElement} */ (
      element("canvas", { position: "absolute", inset: "0", width: "100%", height: "100%" })
    );
    const said = faint(word("view.previews"));
    Object.assign(said.style, { position: "absolute", inset: "0", margin: "auto", height: "1.4em" });
    Object.assign(said.style, { font: "12px/1.4 sans-serif", textAlign: "center" });
    this.stage = element("div", { position: "absolute", inset: "0", overflow: "hidden" }, said, this.canvas);
    this.stage.className = "pixwizard-preview";
    const room = element("div", { position: "relative", width: "100%", height: "100%" }, this.stage);
    pageWidget(node, "preview", room, () => -MARGIN_PX, true);
    node.setSize([node.size[0], node.size[1] + ROOM_PX]);
    new ResizeObserver(() => this.settle()).observe(this.stage);
    this.settle();
  }

  /** Whether the node has the room and the page gives it to no widget, as Vue nodes of 1.35 do. */
  get refused() {
    const free = this.node.size[1] - this.node.computeSize()[1];
    return free >= LEAST_PX && this.stage.clientHeight < LEAST_PX;
  }

  settle() {
    this.stage.style.visibility = this.stage.clientHeight < LEAST_PX ? "hidden" : "";
  }

  /** @param {ImageBitmap | null} picture */
  sketch(picture) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    Object.assign(this.canvas, { width: width * SHARPNESS, height: height * SHARPNESS });
    const pen = this.canvas.getContext("2d");
    if (!pen || !picture || !width || !height) return;
    pen.scale(SHARPNESS, SHARPNESS);
    const at = place(width, height, picture);
    pen.drawImage(picture, at.x, at.y, at.width, at.height);
  }
}
