// @ts-check
// Whether two saved graphs give a node the same, on graphs as the page saves them. Needs no page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { alike, dependsOn, nodesBehind } from "../../web/origins.js";

/** Load Image 1 → Sample 2 (seed) → Decode 3; 4 stands alone.
 * @param {(graph: any) => void} [change] */
function graph(change) {
  const made = {
    nodes: [
      node(1, "LoadImage", ["photo.png", "image"], [], ["IMAGE", "MASK"]),
      node(2, "PixWizard_Sample", [1.5, 7, "fixed", 20], [["image", 10]], ["IMAGE"]),
      node(3, "PixWizard_DecodeDepth", ["white", "fixed"], [["image", 11], ["canvas", null]], ["IMAGE"]),
      node(4, "PixWizard_LoadTiny", [], [], ["MODEL"]),
    ],
    links: [
      [10, 1, 0, 2, 0, "IMAGE"],
      [11, 2, 0, 3, 0, "IMAGE"],
    ],
  };
  change?.(made);
  return made;
}

/** @param {number} id @param {string} type @param {unknown[]} values
 * @param {[string, number | null][]} inputs @param {string[]} outputs */
function node(id, type, values, inputs, outputs) {
  return {
    id,
    type,
    mode: 0,
    pos: [0, 0],
    widgets_values: values,
    inputs: inputs.map(([name, link]) => ({ name, link })),
    outputs: outputs.map((kind) => ({ type: kind })),
  };
}

/** Load Image 1 → subgraph 5, which holds Sample 2 → Decode 3. @param {(inner: any) => void} [change] */
function nested(change) {
  const inner = {
    id: "a-b",
    nodes: [
      node(2, "PixWizard_Sample", [1.5, 7, "randomize", 20], [["image", 1]], ["IMAGE"]),
      node(3, "PixWizard_DecodeDepth", ["white"], [["image", 2]], ["IMAGE"]),
    ],
    links: [
      { id: 1, origin_id: -10, origin_slot: 0, target_id: 2, target_slot: 0 },
      { id: 2, origin_id: 2, origin_slot: 0, target_id: 3, target_slot: 0 },
    ],
  };
  change?.(inner);
  return {
    nodes: [
      node(1, "LoadImage", ["photo.png", "image"], [], ["IMAGE"]),
      node(5, "a-b", [], [["image", 10]], ["IMAGE"]),
      node(6, "PreviewImage", [], [["images", 11]], []),
    ],
    links: [
      [10, 1, 0, 5, 0, "IMAGE"],
      [11, 5, 0, 6, 0, "IMAGE"],
    ],
    definitions: { subgraphs: [inner] },
  };
}

test("a node that moved or got a title is the same", () => {
  const moved = graph((one) => Object.assign(one.nodes[1], { pos: [9, 9], title: "mine", order: 3 }));
  assert.ok(alike(graph(), moved, "3"));
});

test("numbers of nodes and links before it do not matter", () => {
  const other = graph((one) => {
    one.nodes[0].id = 77;
    one.links[0] = [99, 77, 0, 2, 0, "IMAGE"];
    one.nodes[1].inputs[0].link = 99;
  });
  assert.ok(alike(graph(), other, "3"));
});

/** @type {[string, (one: any) => void][]} */
const changes = [
  ["another picture", (one) => (one.nodes[0].widgets_values[0] = "cat.png")],
  ["a setting upstream", (one) => (one.nodes[1].widgets_values[3] = 8)],
  ["a setting of its own", (one) => (one.nodes[2].widgets_values[0] = "black")],
  ["a seed that is kept", (one) => (one.nodes[1].widgets_values[1] = 8)],
  ["a bypassed node", (one) => (one.nodes[1].mode = 4)],
  ["a link taken away", (one) => (one.nodes[1].inputs[0].link = null)],
  ["another output of the same node", (one) => (one.links[0][2] = 1)],
  ["another node in between", (one) => (one.nodes[1].type = "KSampler")],
  ["an input more", (one) => {
    one.links.push([12, 4, 0, 3, 1, "PIXWIZARD_CANVAS"]);
    one.nodes[2].inputs[1].link = 12;
  }],
];
for (const [what, change] of changes) {
  test(`${what} makes another result`, () => {
    assert.ok(!alike(graph(), graph(change), "3"));
    assert.ok(alike(graph(change), graph(change), "3"));
  });
}

test("what the node does not depend on may change", () => {
  assert.ok(alike(graph(), graph((one) => (one.nodes[3].type = "PixWizard_LoadPixWizard")), "3"));
  assert.ok(alike(graph(), graph((one) => (one.nodes[2].widgets_values[0] = "black")), "2"));
});

test("a seed that changes with each run is free, and whether it does", () => {
  const drawn = (/** @type {number} */ seed, /** @type {string} */ how) =>
    graph((one) => one.nodes[1].widgets_values.splice(1, 2, seed, how));
  assert.ok(alike(drawn(7, "randomize"), drawn(812, "randomize"), "3"));
  assert.ok(alike(drawn(7, "fixed"), drawn(7, "randomize"), "3"));
  assert.ok(!alike(drawn(7, "randomize"), drawn(812, "fixed"), "3"));
});

test("a choice named fixed is no control of the number before it", () => {
  const stretched = (/** @type {string} */ how) =>
    graph((one) => (one.nodes[2].widgets_values = [0.5, how]));
  assert.ok(!alike(stretched("none"), stretched("fixed"), "3"));
});

test("inside a subgraph, what comes from outside counts as well", () => {
  const [before, after] = [nested(), nested()];
  after.nodes[0].widgets_values[0] = "cat.png";
  assert.ok(alike(before, nested(), "5:3"));
  assert.ok(!alike(before, after, "5:3"));
  assert.ok(!alike(before, nested((inner) => (inner.nodes[0].widgets_values[3] = 8)), "5:3"));
  assert.ok(alike(before, nested((inner) => (inner.nodes[0].widgets_values[1] = 99)), "5:3"));
});

test("behind a subgraph, all that is in it counts", () => {
  assert.ok(alike(nested(), nested(), "6"));
  assert.ok(!alike(nested(), nested((inner) => (inner.nodes[0].widgets_values[3] = 8)), "6"));
});

test("a node that is not there is like nothing", () => {
  assert.ok(!alike(graph(), graph(), "9"));
  assert.ok(!alike({}, graph(), "3"));
  assert.ok(!alike(graph(), nested(), "5:3"));
});

test("inside a subgraph, fields without a link do not count", () => {
  const before = (/** @type {any} */ inner) => {
    const [from, to] = inner.nodes;
    from.inputs.push({ name: "words", link: null });
    to.inputs.unshift({ name: "field", link: null });
    for (const link of inner.links) if (link.target_id === to.id) link.target_slot += 1;
  };
  assert.ok(alike(nested(), nested(before), "6"));
  assert.ok(alike(nested(), nested(before), "5:3"));
});

test("the nodes behind a node are found, in subgraphs too, but not those that are bypassed", () => {
  const kinds = (/** @type {any} */ given, /** @type {string} */ name) =>
    nodesBehind(given, name).map(({ type }) => type).sort();
  assert.deepEqual(kinds(graph(), "3"), ["LoadImage", "PixWizard_DecodeDepth", "PixWizard_Sample"]);
  assert.deepEqual(kinds(graph((one) => (one.nodes[1].mode = 4)), "3"), ["LoadImage", "PixWizard_DecodeDepth"]);
  assert.ok(kinds(nested(), "6").includes("PixWizard_Sample"));
  assert.ok(kinds(nested(), "5:3").includes("LoadImage"));
});

test("a node depends on what is behind it and on itself, not on what comes after or stands beside", () => {
  for (const [name, other, wanted] of /** @type {[string, string, boolean][]} */ ([
    ["3", "2", true], ["3", "3", true], ["2", "3", false], ["3", "4", false], ["3", "9", false],
  ])) {
    assert.equal(dependsOn(graph(), name, other), wanted, `${name} on ${other}`);
  }
  assert.ok(dependsOn(nested(), "6", "5:2"), "inside a subgraph before it");
  assert.ok(dependsOn(nested(), "5:3", "1"), "outside the subgraph that it is in");
});
