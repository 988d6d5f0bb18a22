// @ts-check
// The Instruction node shows the fields that its task uses, and the sentence they make.

import { app } from "/scripts/app.js";
import { element, faint, panel, pressable, swatch } from "./elements.js";
import { chosen, missing, sentence } from "./sentence.js";
import { chain, fit, linked, nodesOf, pageWidget, show, widgetOf } from "./widgets.js";
import { ENCODERS, RELEASED, loaderOf, nameShortTasks, nameTasks } from "./task_names.js";
import { LIST_PX, wordings } from "./wordings.js";
import { named, word } from "./words.js";

/**
 * What nodes/shared/page_data.py puts into the task input's settings.
 * @typedef {{forms: Record<string, string>, not_taught: string[]}} Model how a model is asked for
 *   each task, and what it does not know
 * @typedef {{tasks: Record<string, import("./sentence.js").Task>, as_trained: number,
 *   models: Record<string, Model>, colours: Record<string, number[]>}} PageData
 */

const NODE = "PixWizard_Instruction";
const SHORT = "PixWizard_PixWizard";
const TOLD = "pixwizard_asked"; // how the model of the last run is asked, from either node
const LINE_PX = 17;
const LETTER_PX = 6.2;
const NO_SEED = -1;
const ONE_ROW = 1.5; // lines of text that a row of controls is high
const PADDING_PX = 32; // ours and the frontend's margin around a page element
const MIN_HEIGHT_PX = 44;
const MAX_HEIGHT_PX = 130;

/** What is written in the fields; a name in quotes for one that a link gives.
 * @param {any} node @param {string[]} fields */
function valuesOf(node, fields) {
  return Object.fromEntries(
    fields.map((f) => [f, linked(node, f) ? `‹${f}›` : widgetOf(node, f)?.value]),
  );
}

/** The colours as buttons. @param {PageData["colours"]} colours @param {any} widget */
function swatches(colours, widget, /** @type {() => void} */ changed) {
  const row = element("div", { display: "flex", gap: "5px", padding: "3px 0" });
  row.className = "pixwizard-swatches";
  for (const [name, rgb] of Object.entries(colours)) {
    const chosen = widget.value === name;
    const dot = pressable(swatch(rgb), () => {
      widget.value = name;
      widget.callback?.(name);
      changed();
    });
    Object.assign(dot.style, { width: "18px", height: "18px", cursor: "pointer" });
    if (chosen) dot.style.border = "2px solid var(--input-text, #ddd)";
    dot.title = [...new Set([named("colours", name), name])].join(" · ");
    dot.setAttribute("aria-label", name);
    dot.setAttribute("aria-pressed", String(chosen));
    row.append(dot);
  }
  return row;
}

/** @param {any} node @param {string} name @param {number} value */
function setValue(node, name, value) {
  const widget = widgetOf(node, name);
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
}

/** One instance for a node. */
class TaskFields {
  /** @param {any} node @param {PageData} data */
  constructor(node, data) {
    this.node = node;
    this.data = data;
    /** @type {Record<string, {form: string, taught: boolean}>} */
    this.told = {};
    this.fields = [...new Set(Object.values(data.tasks).flatMap((task) => task.fields))];
    this.view = panel("instruction");
    this.height = MIN_HEIGHT_PX;
    pageWidget(node, "preview", this.view, () => this.height, false);
    nameTasks(widgetOf(node, "task"), (task) => this.asked(task).taught);
    for (const name of ["task", "phrasing", "phrasing_seed", ...this.fields]) {
      chain(widgetOf(node, name), "callback", () => this.update(true));
    }
    chain(node, "onConfigure", () => this.update(false));
    chain(node, "onConnectionsChange", () => {
      this.told = {};
      // A workflow that is loaded connects its nodes too; they keep the height they were saved with.
      this.update(!app.configuringGraph);
    });
  }

  /** What a run says of the model. @param {any} output of this node, or of Encode or Region */
  tell(output) {
    for (const one of output?.[TOLD] ?? []) this.told[one.task] = one;
    if (output?.[TOLD]) this.update(false);
  }

  /** How the model is asked for a task, and whether it knows it: from the last run, else by the
   * loader that is connected. @param {string} task */
  asked(task) {
    const told = this.told[task];
    if (told) return told;
    const { models } = this.data;
    const kind = loaderOf(this.node, models);
    const model = models[kind ?? RELEASED];
    const taught = !kind || !model?.not_taught.includes(task);
    return { form: model?.forms[task] ?? "", taught };
  }

  /** @param {boolean} resize whether the node may shrink as well; not while a workflow loads */
  update(resize) {
    const task = linked(this.node, "task")
      ? undefined
      : this.data.tasks[widgetOf(this.node, "task")?.value];
    let changed = false;
    for (const field of this.fields) {
      const used = !task || task.fields.includes(field) || linked(this.node, field);
      changed = show(widgetOf(this.node, field), used) || changed;
    }
    const before = this.height;
    this.draw(task);
    if (changed || this.height > before) fit(this.node, changed && resize);
    this.node.setDirtyCanvas?.(true, true);
  }

  /** @param {import("./sentence.js").Task | undefined} task */
  draw(task) {
    const lines = task
      ? this.lines(task)
      : [faint(word("instruction.linked"))];
    this.view.replaceChildren(...lines);
    const perLine = Math.max(16, ((this.node.size?.[0] ?? 320) - 40) / LETTER_PX);
    const rows = lines.map((line) => {
      const sentence = line.querySelector(".pixwizard-sentence");
      const [text, most] = sentence
        ? [sentence.textContent, perLine - LIST_PX / LETTER_PX]
        : [line.textContent, perLine];
      return Math.ceil((text ?? "").length / most) || ONE_ROW;
    });
    const wanted = rows.reduce((sum, row) => sum + row, 0) * LINE_PX + PADDING_PX;
    this.height = Math.min(MAX_HEIGHT_PX, Math.max(MIN_HEIGHT_PX, wanted));
  }

  /** @param {import("./sentence.js").Task} task */
  lines(task) {
    const number = chosen(
      task,
      linked(this.node, "phrasing") ? 0 : Number(widgetOf(this.node, "phrasing")?.value ?? 0),
      linked(this.node, "phrasing_seed")
        ? -1
        : Number(widgetOf(this.node, "phrasing_seed")?.value ?? -1),
    );
    const values = valuesOf(this.node, this.fields);
    const lacking = missing(task, values);
    const asked = this.asked(String(widgetOf(this.node, "task")?.value));
    const filled = { ...values, ...Object.fromEntries(lacking.map((f) => [f, `‹${f}?›`])) };
    const shown = sentence(task, number, filled, asked.form);
    const lines = [];
    if (task.fields.includes("colour") && !linked(this.node, "colour")) {
      const widget = widgetOf(this.node, "colour");
      const chosen = () => {
        const focused = this.view.contains(document.activeElement);
        this.update(true);
        // The row was drawn anew: keep the keyboard where it was.
        if (focused) /** @type {HTMLElement | null} */ (this.view.querySelector("[aria-pressed=true]"))?.focus();
      };
      lines.push(swatches(this.data.colours, widget, chosen));
    }
    const warn = { color: "var(--error-text, #f66)" };
    const free = !linked(this.node, "phrasing") && !linked(this.node, "phrasing_seed");
    /** @type {HTMLElement[]} */
    const list = [];
    if (free && task.phrasings.length > 1) {
      const choose = (/** @type {number} */ wanted) => {
        setValue(this.node, "phrasing_seed", NO_SEED);
        setValue(this.node, "phrasing", wanted);
        this.update(true);
      };
      list.push(wordings(task, asked, this.data.as_trained, number, choose));
    }
    if (shown === null) {
      const last = task.phrasings.length - 1;
      const none = element("div", { ...warn, flex: "auto" });
      none.textContent = word("instruction.phrasing", { number, last });
      lines.push(element("div", { display: "flex", gap: "4px" }, none, ...list));
    } else {
      const line = element("div", { flex: "auto" }, shown || "…");
      line.className = "pixwizard-sentence";
      lines.push(element("div", { display: "flex", gap: "4px" }, line, ...list));
    }
    if (!asked.taught) lines.push(element("div", warn, word("instruction.untaught")));
    if (lacking.length) {
      const names = lacking.map((f) => widgetOf(this.node, f)?.label ?? f);
      const fields = names.join(word("instruction.and"));
      lines.push(element("div", warn, word("instruction.lacking", { fields })));
    }
    return lines;
  }
}

app.registerExtension({
  name: "pixwizard.taskFields",
  /** @param {any} node */
  nodeCreated(node) {
    if (ENCODERS.includes(node.comfyClass)) {
      const executed = node.onExecuted;
      node.onExecuted = function (/** @type {any} */ output) {
        const result = executed?.call(this, output);
        const slot = this.inputs?.findIndex((/** @type {any} */ i) => i.name === "instruction");
        if (slot >= 0) this.getInputNode?.(slot)?.pixwizardTell?.(output);
        return result;
      };
    }
    if (node.comfyClass === SHORT) nameShortTasks(node);
    if (node.comfyClass !== NODE) return;
    const settings = node.constructor.nodeData?.input?.required?.task?.[1];
    if (!settings?.pixwizard) return;
    const fields = new TaskFields(node, settings.pixwizard);
    node.pixwizardTell = (/** @type {any} */ output) => fields.tell(output);
    node.pixwizardUpdate = () => fields.update(false);
    const executed = node.onExecuted;
    node.onExecuted = function (/** @type {any} */ output) {
      const result = executed?.call(this, output);
      fields.tell(output);
      return result;
    };
    fields.update(true);
  },
  /** Only now do all links lead somewhere. */
  afterConfigureGraph() {
    for (const [, node] of nodesOf(app.graph)) node.pixwizardUpdate?.();
  },
});
