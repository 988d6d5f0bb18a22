// @ts-check
// The sentence that a task makes of its fields. Shown while typing; the server makes its own, and a
// test holds the two together.

/**
 * One row of the task table, as the schema of the Instruction node carries it.
 * @typedef {{title: string, fields: string[], optional: string[], phrasings: string[],
 *   seen: number[]}} Task
 */

const AS_TRAINED = -1; // the phrasing that names no number

const OPTIONAL_PART = /\[([^\]]*)\]/g;
const STOPPED = /\{(\w+)\}(?=\.)/g; // a field before a full stop of the sentence
const FIELD = /\{(\w+)\}/g;
const ARTICLE = /\b([Aa]) (?=\{(\w+)\})/g; // "a" becomes "an" before a field that begins with a vowel
const VOWEL = /^[aeiou]/i;

/** @param {string} text */
const clean = (text) => text.split(/\s+/).filter(Boolean).join(" ");

/**
 * A field's text as it goes into a sentence, which has a full stop of its own.
 * @param {string} field @param {unknown} value
 */
function word(field, value) {
  const text = clean(String(value ?? ""));
  return field === "caption" || field === "question" ? text : unstopped(text);
}

/** @param {string} text */
const unstopped = (text) => text.replace(/[ .]+$/, "");

/**
 * Fields of a task that must be filled in and are not.
 * @param {Task} task @param {Record<string, unknown>} values
 */
export function missing(task, values) {
  return task.fields.filter((f) => !word(f, values[f]) && !task.optional.includes(f));
}

/**
 * The number of the wording that is used: a seed picks among the trained ones, and wins.
 * @param {Task} task @param {number} phrasing @param {number} seed negative for none
 */
export function chosen(task, phrasing, seed) {
  return seed < 0 ? phrasing : task.seen[seed % task.seen.length] ?? 0;
}

/**
 * The sentence, or null when the task has no phrasing of that number.
 * @param {Task} task @param {number} phrasing @param {Record<string, unknown>} given the fields
 * @param {string} [form] what the model was asked in training, for the phrasing that names no number
 * @returns {string | null}
 */
export function sentence(task, phrasing, given, form) {
  const template = phrasing === AS_TRAINED ? form : task.phrasings[phrasing];
  if (template === undefined) return null;
  const values = { ...given };
  for (const [, name = ""] of template.matchAll(STOPPED)) {
    values[name] = unstopped(word(name, values[name]));
  }
  const filled = (/** @type {string} */ part) =>
    [...part.matchAll(FIELD)].every(([, name = ""]) => word(name, values[name]));
  let shown = template.replace(OPTIONAL_PART, (_, part) => (filled(part) ? part : ""));
  if (shown !== template && shown.match(FIELD) === null) shown += ".";
  shown = shown.replace(ARTICLE, (_, a, name) =>
    VOWEL.test(word(name, values[name])) ? `${a}n ` : `${a} `,
  );
  return shown.replace(FIELD, (_, name) => word(name, values[name]));
}
