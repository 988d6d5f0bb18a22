// @ts-check
// What a node found, as lines of text: classes with their colours, objects, boxes, scores, files,
// the report of PixWizard Check.

import { copyOnClick, element, faint, swatch } from "./elements.js";
import { figure, named, word } from "./words.js";

/**
 * @typedef {{name: string, rgb: number[], area_percent: number}} LegendEntry
 * @typedef {{areas_px: number[]}} Objects
 * @typedef {{bboxes: number[][], labels: string[], scores: number[]}} Boxes
 * @typedef {{kind: string, schema_version: number} & Record<string, unknown>} Scores
 * @typedef {{filename: string, subfolder: string}} SavedFile
 * @typedef {{text: string, trouble: boolean}} ReportLine
 */

export const LINE_PX = 20;

/** @param {(Node | string)[]} cells */
function line(...cells) {
  const made = element(
    "div",
    { display: "flex", alignItems: "center", gap: "6px", minHeight: `${LINE_PX - 2}px` },
    ...cells,
  );
  made.className = "pixwizard-line";
  return made;
}

/** @param {string} text */
const wide = (text) =>
  element("span", { flex: "1", overflow: "hidden", textOverflow: "ellipsis" }, text);

/** @param {number} value */
const percent = (value) => `${value.toFixed(value < 1 ? 2 : 1)} %`;

/** @param {LegendEntry[]} entries */
export function legend(entries) {
  return entries.map(({ name, rgb, area_percent }) => {
    const row = line(swatch(rgb), wide(name), faint(percent(area_percent)));
    const share = `${Math.max(0, Math.min(100, area_percent))}%`;
    const bar = "color-mix(in srgb, currentColor 12%, transparent)";
    row.style.background = `linear-gradient(90deg, ${bar} ${share}, transparent ${share})`;
    return copyOnClick(name, row);
  });
}

/** @param {Objects[]} found */
export function objects(found) {
  const areas = found.flatMap((one) => one.areas_px);
  return [
    line(wide(word(`objects.${form(areas.length)}`, { number: areas.length }))),
    ...areas.map((area, i) => line(faint(`${i + 1}`), wide(`${figure(area)} px²`))),
  ];
}

/** @param {{area_percent: number}[]} pictures */
export function drawnLines(pictures) {
  return pictures.map(({ area_percent }, i) => {
    const cells = [wide(word("lines")), faint(percent(area_percent))];
    return line(...(pictures.length > 1 ? [faint(`${i + 1}`)] : []), ...cells);
  });
}

/** @param {Boxes[]} pictures */
export function boxes(pictures) {
  const total = pictures.reduce((sum, one) => sum + one.bboxes.length, 0);
  const rows = pictures.flatMap(({ bboxes, labels, scores: sure }, picture) =>
    bboxes.map((box, i) => {
      const where = box.map((edge) => Math.round(edge)).join(", ");
      const what = pictures.length > 1 ? `${picture + 1}: ${labels[i]}` : `${labels[i]}`;
      return copyOnClick(where, line(wide(what), where, faint(percent(100 * (sure[i] ?? 0)))));
    }),
  );
  return [
    line(wide(word(`boxes.${form(total)}`, { number: total })), faint(word("corners"))),
    ...rows,
  ];
}

/** @param {Scores[]} found */
export function scores(found) {
  return found.flatMap(({ kind, schema_version: _, ...values }) => [
    line(faint(named("kinds", kind))),
    ...Object.entries(values).map(([name, value]) =>
      copyOnClick(
        String(value),
        line(wide(named("scores", name)), value === null ? word("none") : String(value)),
      ),
    ),
  ]);
}

/** @param {SavedFile[]} saved */
export function files(saved) {
  return saved.map(({ filename, subfolder }) => {
    const path = subfolder ? `${subfolder}/${filename}` : filename;
    return copyOnClick(path, line(wide(path)));
  });
}

/** @param {ReportLine[]} lines */
export function report(lines) {
  const says = word("report.copy");
  const whole = lines.map(({ text }) => text).join("\n");
  const rows = lines.map(({ text, trouble }) => {
    const style = { fontFamily: "monospace", whiteSpace: "pre-wrap", overflowWrap: "anywhere" };
    return element("div", { ...style, color: trouble ? "var(--error-text, #f66)" : "" }, text);
  });
  return [copyOnClick(whole, line(faint(says)), says), ...rows];
}

/** Which of the words for a number of things. @param {number} number */
const form = (number) => ["none", "one"][number] ?? "many";
