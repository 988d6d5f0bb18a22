// @ts-check
// What a node says of its run beside the result: nodes/shared/notes.py sends it as notes. A node
// with a view shows them above its list (result_view.js); another gets a widget at its first note.

import { element, faint } from "./elements.js";
import { named, word } from "./words.js";

/** @typedef {{say: string, warns: boolean} & Record<string, any>} Note */

export const NOTES = "pixwizard_notes";
const LETTERS = 44; // of a line, about, in a node of ordinary width
const LINE_PX = 17;
const answer = (/** @type {string} */ kind) => named("answers", kind);
const colour = (/** @type {string} */ name) => named("colours", name);
/** The values of a note that have words in the page's language.
 * @type {Record<string, (name: string) => string>} */
const WORDED = { kind: answer, holds: answer, colour, own: colour, near: (name) => named("shades", name) };

/** @param {Note} note */
function told({ say, warns: _, ...values }) {
  const worded = Object.entries(values).map(([name, value]) => {
    return [name, WORDED[name]?.(String(value)) ?? value];
  });
  return word(`notes.${say}`, Object.fromEntries(worded));
}

/** A line of text, and the px that it takes, about. @param {string} text
 * @param {"warns" | "plain" | "quiet"} how @returns {{row: HTMLElement, height: number}} */
export function statement(text, how) {
  const said = { warns: `⚠ ${text}`, plain: text, quiet: faint(text) }[how];
  const row = element("div", { overflowWrap: "anywhere" }, said);
  row.className = how === "warns" ? "pixwizard-warning" : "pixwizard-note";
  if (how === "warns") Object.assign(row.style, { color: "var(--error-text, #f66)" });
  return { row, height: Math.ceil(text.length / LETTERS) * LINE_PX };
}

/** @param {Note[]} notes */
export const lines = (notes) =>
  notes.map((note) => {
    const said = statement(told(note), note.warns ? "warns" : "quiet");
    if (note.warns) said.row.setAttribute("role", "status");
    return said;
  });
