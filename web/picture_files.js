// @ts-check
// The pictures of a result, fetched from the host's temp folder.

import { api } from "/scripts/api.js";

/** @typedef {import("./drawing.js").Entry} Entry */
/** @typedef {import("./drawing.js").StoredFile} StoredFile */

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

/** All that an entry needs to be painted and read. @param {Entry} entry
 * @returns {Promise<import("./drawing.js").Loaded>} */
export async function loadedFor(entry) {
  const [picture, cover, values] = await Promise.all([
    fetched(entry.picture),
    entry.cover && fetched(entry.cover),
    entry.values && fetched(entry.values).then(pixelsOf),
  ]);
  return { picture, cover, values };
}
