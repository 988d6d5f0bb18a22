// @ts-check
// The words on our views, in the language the page is set to: locales/LANGUAGE/main.json and
// nodeDefs.json, merged by the host with those of other extensions.

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";

const OURS = "pixwizard"; // our part of main.json
const ENGLISH = "en";
const ESCAPED = /\{'(.)'\}/g; // how the host's texts write a character of its translation syntax

/** @returns {Promise<Record<string, any>>} every language's texts; none when the host gives none */
async function fetched() {
  try {
    const answer = await api.fetchApi("/i18n");
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

// Awaited while the page loads its extensions, so that no view is drawn without its words.
const texts = await fetched();

/** The page's language, such as "ja" or "zh-TW". @returns {string} */
export function language() {
  return app.extensionManager?.setting?.get("Comfy.Locale") ?? ENGLISH;
}

/** A text of the page's language, else of its plain form, else in English.
 * @param {string[]} path @returns {string | undefined} */
function text(path) {
  const locale = language();
  for (const name of [locale, locale.split("-")[0] ?? "", ENGLISH]) {
    const found = path.reduce((part, key) => part?.[key], texts[name]);
    if (typeof found === "string") return found;
  }
  return undefined;
}

/** Words of main.json, with values for the names in braces; the key itself when there are none.
 * @param {string} key dots part its levels @param {Record<string, string | number>} [values] */
export function word(key, values = {}) {
  const found = text([OURS, ...key.split(".")]) ?? key;
  return found.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** A name that Python gave, in words where there are some. @param {string} group @param {string} name */
export function named(group, name) {
  return text([OURS, group, name]) ?? name;
}

/** What a node does, as its schema says it. @param {any} node */
export function description(node) {
  const told = text(["nodeDefs", node.comfyClass, "description"]);
  return told?.replace(ESCAPED, "$1") ?? node.constructor.nodeData?.description ?? "";
}

/** What a node is called. @param {string} kind its id */
export function title(kind) {
  return text(["nodeDefs", kind, "display_name"])?.replace(ESCAPED, "$1") ?? kind;
}

/** A number as this language writes it. @param {number} value */
export const figure = (value) => value.toLocaleString(language());
