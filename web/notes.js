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

/** The notes as lines, and the px they take, about. @param {Note[]} notes
 * @returns {{rows: HTMLElement[], height: number}} */
export function lines(notes) {
  const texts = notes.map(told);
  const rows = notes.map((note, i) => {
    const text = texts[i] ?? "";
    const row = element("div", { overflowWrap: "anywhere" }, note.warns ? `⚠ ${text}` : faint(text));
    row.className = note.warns ? "pixwizard-warning" : "pixwizard-note";
    if (note.warns) Object.assign(row.style, { color: "var(--error-text, #f66)" });
    if (note.warns) row.setAttribute("role", "status");
    return row;
  });
  const count = texts.reduce((sum, text) => sum + Math.ceil(text.length / LETTERS), 0);
  return { rows, height: count * LINE_PX };
}
