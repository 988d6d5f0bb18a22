// @ts-check
// Whether two saved graphs give a node the same: its own values, and everything that it depends on.
// Compares graphs as the page saves them, so a moved node or a new title changes nothing.

/** @typedef {any} Graph what graph.serialize() gives */
/** A node, the level of the graph that it is on, and the subgraph node that the level belongs to.
 * @typedef {{level: Level, node: any}} Spot
 * @typedef {{nodes: Map<string, any>, links: Map<string, Link>, outer: Spot | null, kinds: Map<string, any>}} Level
 * @typedef {{from: string, slot: number, to: string, into: number}} Link */

const CHANGES_SEED = ["randomize", "increment", "decrement"];
const CONTROLS = [...CHANGES_SEED, "fixed"];
const ENTRY = "-10"; // the node of a subgraph that its inputs come from
const [MUTED, BYPASSED] = [2, 4]; // modes of a node

/** @param {any} link an array at the top, an object inside a subgraph @returns {[string, Link]} */
function linkOf(link) {
  const [id, from, slot, to, into] = Array.isArray(link)
    ? link
    : [link.id, link.origin_id, link.origin_slot, link.target_id, link.target_slot];
  return [String(id), { from: String(from), slot, to: String(to), into }];
}

/** @param {Graph} graph @param {Spot | null} outer @param {Map<string, any>} kinds @returns {Level} */
function levelOf(graph, outer, kinds) {
  const nodes = (graph.nodes ?? []).map((/** @type {any} */ node) => [String(node.id), node]);
  const links = (graph.links ?? []).filter(Boolean).map(linkOf);
  return { nodes: new Map(nodes), links: new Map(links), outer, kinds };
}

/** The node that the host knows by a name such as 5 or 5:3. @param {Graph} graph
 * @param {string} name @returns {Spot | null} */
function spotOf(graph, name) {
  const given = graph?.definitions?.subgraphs ?? [];
  const kinds = new Map(given.map((/** @type {any} */ one) => [one.id, one]));
  let level = levelOf(graph ?? {}, null, kinds);
  /** @type {Spot | null} */
  let found = null;
  for (const id of name.split(":")) {
    if (found) {
      const inside = kinds.get(found.node.type);
      if (!inside) return null;
      level = levelOf(inside, found, kinds);
    }
    const node = level.nodes.get(id);
    if (!node) return null;
    found = { level, node };
  }
  return found;
}

/** What an input's link comes from; null for none. @param {Spot} spot @param {any} input */
function originOf({ level }, input) {
  return input?.link === null || input?.link === undefined
    ? null
    : (level.links.get(String(input.link)) ?? null);
}

/** Whether a node's values are the same, apart from a seed that is to change with each run.
 * @param {any} then @param {any} now */
function sameValues(then, now) {
  if (!Array.isArray(then) || !Array.isArray(now)) {
    return JSON.stringify(then ?? []) === JSON.stringify(now ?? []);
  }
  return Array.from({ length: Math.max(then.length, now.length) }).every((_, i) => {
    if (JSON.stringify(then[i] ?? null) === JSON.stringify(now[i] ?? null)) return true;
    const number = typeof now[i] === "number" && typeof then[i] === "number";
    if (number && CHANGES_SEED.includes(now[i + 1])) return true;
    return CONTROLS.includes(then[i]) && CONTROLS.includes(now[i]);
  });
}

/** Whether two nodes do the same with what they are given. @param {Spot} then @param {Spot} now @returns {boolean} */
function sameWork(then, now) {
  const inside = [then, now].map(({ level, node }) => level.kinds.get(node.type));
  const kind = inside[0] && inside[1] ? sameInside(then, now, inside) : then.node.type === now.node.type;
  const modes = (then.node.mode ?? 0) === (now.node.mode ?? 0);
  return kind && modes && sameValues(then.node.widgets_values, now.node.widgets_values);
}

/** Whether two subgraphs have the same nodes and links. @param {Spot} then @param {Spot} now
 * @param {any[]} inside their definitions @returns {boolean} */
function sameInside(then, now, inside) {
  const [before, after] = [levelOf(inside[0], then, then.level.kinds), levelOf(inside[1], now, now.level.kinds)];
  const links = [before, after].map((level) => {
    const ends = [...level.links].map(([id, { from, slot, to, into }]) => {
      // A graph that was run lacks the inputs of fields without a link, so their numbers differ.
      const inputs = level.nodes.get(to)?.inputs ?? [];
      const name = inputs.find((/** @type {any} */ one) => String(one.link) === id)?.name;
      return `${from}.${slot}>${to}.${name ?? into}`;
    });
    return ends.sort().join();
  });
  return (
    links[0] === links[1] &&
    before.nodes.size === after.nodes.size &&
    [...after.nodes].every(([id, node]) => {
      const other = before.nodes.get(id);
      return other && sameWork({ level: before, node: other }, { level: after, node });
    })
  );
}

/** @param {Spot} then @param {Spot} now @param {Set<any>} seen nodes of now that were compared
 * @returns {boolean} */
function sameOrigins(then, now, seen) {
  if (seen.has(now.node)) return true;
  seen.add(now.node);
  if (!sameWork(then, now)) return false;
  const [before, after] = [then, now].map(
    ({ node }) => new Map((node.inputs ?? []).map((/** @type {any} */ one) => [one.name, one])),
  );
  const names = new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])]);
  return [...names].every((name) => {
    const [old, young] = [originOf(then, before?.get(name)), originOf(now, after?.get(name))];
    if (!old || !young) return old === young;
    if (old.slot !== young.slot) return false;
    if (young.from === ENTRY || old.from === ENTRY) {
      const [one, other] = [then.level.outer, now.level.outer];
      return Boolean(one && other) && old.from === young.from && sameOrigins(/** @type {Spot} */ (one), /** @type {Spot} */ (other), seen);
    }
    const [one, other] = [then.level.nodes.get(old.from), now.level.nodes.get(young.from)];
    if (!one || !other) return one === other;
    return sameOrigins({ level: then.level, node: one }, { level: now.level, node: other }, seen);
  });
}

/** Whether a node, and all that it depends on, is the same in two graphs. A seed that is to change
 * after each run may differ. @param {Graph} then @param {Graph} now @param {string} name of the node
 * @param {string} [before_name] what it was called then, if that was another name */
export function alike(then, now, name, before_name = name) {
  const [before, after] = [spotOf(then, before_name), spotOf(now, name)];
  return Boolean(before && after) && sameOrigins(/** @type {Spot} */ (before), /** @type {Spot} */ (after), new Set());
}

/** Whether a node depends on another, or is it. @param {Graph} graph @param {string} name
 * @param {string} other */
export function dependsOn(graph, name, other) {
  const node = spotOf(graph, other)?.node;
  return Boolean(node) && nodesBehind(graph, name).includes(node);
}

/** The nodes that a node depends on, itself and what is inside subgraphs included; not what is muted
 * or bypassed. @param {Graph} graph @param {string} name @returns {any[]} as the graph saves them */
export function nodesBehind(graph, name) {
  const found = new Set();
  const seen = new Set();
  const add = (/** @type {Level["kinds"]} */ kinds, /** @type {any} */ node) => {
    if (node.mode === MUTED || node.mode === BYPASSED) return;
    found.add(node);
    for (const one of kinds.get(node.type)?.nodes ?? []) add(kinds, one);
  };
  const walk = (/** @type {Spot | null} */ spot) => {
    if (!spot || seen.has(spot.node)) return;
    seen.add(spot.node);
    add(spot.level.kinds, spot.node);
    for (const input of spot.node.inputs ?? []) {
      const link = originOf(spot, input);
      if (!link) continue;
      const node = spot.level.nodes.get(link.from);
      walk(link.from === ENTRY ? spot.level.outer : node ? { level: spot.level, node } : null);
    }
  };
  walk(spotOf(graph, name));
  return [...found];
}
