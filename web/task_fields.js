// @ts-check
// The Instruction node shows the fields that its task uses, and the sentence they make.

import { app } from "/scripts/app.js";
import { element, faint, panel, swatch } from "./elements.js";
import { chosen, missing, sentence } from "./sentence.js";
import { chain, fit, linked, pageWidget, show, widgetOf } from "./widgets.js";
import { named, word } from "./words.js";

/**
 * What nodes/shared/page_data.py puts into the task input's settings.
 * @typedef {{tasks: Record<string, import("./sentence.js").Task>,
 *   colours: Record<string, number[]>}} PageData
 */

const NODE = "PixWizard_Instruction";
const LINE_PX = 17;
const LETTER_PX = 6.2;
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
    const dot = swatch(rgb);
    const chosen = widget.value === name;
    Object.assign(dot.style, { width: "18px", height: "18px", cursor: "pointer" });
    if (chosen) dot.style.outline = "2px solid var(--input-text, #ddd)";
    dot.title = [...new Set([named("colours", name), name])].join(" · ");
    dot.setAttribute("role", "button");
    dot.setAttribute("aria-label", name);
    dot.addEventListener("click", () => {
      widget.value = name;
      widget.callback?.(name);
      changed();
    });
    row.append(dot);
  }
  return row;
}

/** One instance for a node. */
class TaskFields {
  /** @param {any} node @param {PageData} data */
  constructor(node, data) {
    this.node = node;
    this.data = data;
    this.fields = [...new Set(Object.values(data.tasks).flatMap((task) => task.fields))];
    this.view = panel("instruction");
    this.height = MIN_HEIGHT_PX;
    pageWidget(node, "preview", this.view, () => this.height, false);
    for (const name of ["task", "phrasing", "phrasing_seed", ...this.fields]) {
      chain(widgetOf(node, name), "callback", () => this.update(true));
    }
    chain(node, "onConfigure", () => this.update(false));
    chain(node, "onConnectionsChange", () => this.update(true));
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
    this.draw(task);
    if (changed) fit(this.node, resize);
    this.node.setDirtyCanvas?.(true, true);
  }

  /** @param {import("./sentence.js").Task | undefined} task */
  draw(task) {
    const lines = task
      ? this.lines(task)
      : [faint(word("instruction.linked"))];
    this.view.replaceChildren(...lines);
    const perLine = Math.max(16, ((this.node.size?.[0] ?? 320) - 40) / LETTER_PX);
    const rows = lines.map((line) => Math.ceil((line.textContent ?? "").length / perLine) || 1.5);
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
    const shown = sentence(task, number, {
      ...values,
      ...Object.fromEntries(lacking.map((f) => [f, `‹${f}?›`])),
    });
    const lines = [];
    if (task.fields.includes("colour") && !linked(this.node, "colour")) {
      const widget = widgetOf(this.node, "colour");
      lines.push(swatches(this.data.colours, widget, () => this.update(true)));
    }
    const warn = { color: "var(--error-text, #f66)" };
    if (shown === null) {
      const last = task.phrasings.length - 1;
      lines.push(element("div", warn, word("instruction.phrasing", { number, last })));
    } else {
      const line = element("div", {}, shown || "…");
      line.className = "pixwizard-sentence";
      lines.push(line);
    }
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
    if (node.comfyClass !== NODE) return;
    const settings = node.constructor.nodeData?.input?.required?.task?.[1];
    if (!settings?.pixwizard) return;
    new TaskFields(node, settings.pixwizard).update(true);
  },
});
