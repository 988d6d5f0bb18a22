// @ts-check
// The list of a task's wordings on the Instruction node: how the model was asked in training comes
// first, then the numbered ones. It stands closed beside the sentence, as an arrow, and takes no row.

import { element, hold } from "./elements.js";
import { word } from "./words.js";

export const LIST_PX = 20; // wide, when it is closed

/** @param {import("./sentence.js").Task} task
 * @param {{form: string, taught: boolean}} asked how the model is asked, and whether it knows the task
 * @param {number} asTrained the number that stands for it @param {number} number what is chosen now
 * @param {(number: number) => void} choose @returns {HTMLElement} */
export function wordings(task, asked, asTrained, number, choose) {
  const list = /** @type {HTMLSelectElement} */ (
    element("select", {
      width: `${LIST_PX}px`,
      flex: "none",
      alignSelf: "flex-start",
      font: "inherit",
      color: "inherit",
      background: "var(--comfy-menu-bg, #333)",
      border: "1px solid var(--border-color, #555)",
      borderRadius: "3px",
    })
  );
  list.className = "pixwizard-wordings";
  list.title = word("instruction.wordings");
  list.setAttribute("aria-label", list.title);
  const add = (/** @type {number} */ value, /** @type {string} */ text) => {
    const option = /** @type {HTMLOptionElement} */ (element("option", {}, text));
    option.value = String(value);
    option.selected = value === number;
    list.append(option);
  };
  const { form, taught } = asked;
  add(asTrained, taught ? word("instruction.trained", { form }) : word("instruction.unknown", { form }));
  task.phrasings.forEach((text, i) => add(i, `${i} · ${text}`));
  if (number > task.phrasings.length - 1) list.selectedIndex = -1;
  list.addEventListener("change", () => choose(Number(list.value)));
  return hold(list);
}
