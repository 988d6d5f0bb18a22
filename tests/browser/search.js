// The page's search for nodes, by the same library and options as the page: rank the nodes of a
// host for words. Reads {nodes: object_info, words, often: {name: how often used}} from stdin and
// writes {word: names, best first}.

import Fuse from "fuse.js";

const KEYS = ["name", "display_name", "search_aliases"];
const OPTIONS = {
  keys: KEYS,
  includeScore: true,
  threshold: 0.3,
  shouldSort: false,
  useExtendedSearch: true,
};
const WORDS = / |\b|(?<=[a-z])(?=[A-Z])|(?=[A-Z][a-z])/;

/** How well one text fits, the best number first. */
function fit(query, text, score) {
  const words = text.split(WORDS).map((word) => word.toLocaleLowerCase());
  const parts = query.split(" ");
  const lower = text.toLocaleLowerCase();
  const at = (list) => [Math.min(...list), Math.max(...list)];
  const far = (first, last) => last - first + last * 0.5 + lower.length * 0.5;
  const short = Math.min(lower.length, query.length);
  const end = score + 0.2 * (1 - short / Math.max(lower.length, query.length));
  if (lower === query) return [0, 0, 0, end];
  if (lower.startsWith(query)) return [1, 0, lower.length, end];
  const inside = lower.indexOf(query) + lower.length * 0.5;
  if (words.includes(query)) return [2, inside, lower.length, end];
  if (lower.includes(query)) return [3, inside, lower.length, end];
  if (parts.every((part) => words.includes(part)))
    return [4, far(...at(parts.map((part) => words.indexOf(part)))), lower.length, end];
  if (parts.every((part) => lower.includes(part))) {
    const [first] = at(parts.map((part) => lower.indexOf(part)));
    const [, last] = at(parts.map((part) => lower.indexOf(part) + part.length));
    return [5, far(first, last), lower.length, end];
  }
  return [9, 0, 0, end];
}

const compare = (a, b) => a.map((one, i) => one - b[i]).find(Boolean) ?? 0;

/** Names of the nodes that a word finds, best first. */
function search(fuse, query, often) {
  const ranked = fuse.search(query).map(({ item, score }) => {
    const texts = KEYS.map((key) => item[key]).filter((text) => typeof text === "string");
    const [best] = texts.map((text) => fit(query.toLocaleLowerCase(), text, score)).sort(compare);
    const deprecated = texts.some((text) => text.toLocaleLowerCase().includes("deprecated"));
    if (deprecated && best[0] !== 0) best[0] += 5;
    return { name: item.name, scores: [best[0], -(often[item.name] ?? 0), ...best.slice(1)] };
  });
  return ranked.sort((a, b) => compare(a.scores, b.scores)).map(({ name }) => name);
}

let text = "";
for await (const part of process.stdin) text += part;
const { nodes, words, often } = JSON.parse(text);
const list = nodes.map((node) => Object.fromEntries(KEYS.map((key) => [key, node[key]])));
const fuse = new Fuse(list, OPTIONS, Fuse.createIndex(KEYS, list));
const found = Object.fromEntries(words.map((word) => [word, search(fuse, word, often)]));
process.stdout.write(JSON.stringify(found));
