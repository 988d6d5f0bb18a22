"""Lays out the shipped workflows with room for their nodes in every way the page draws them.

`python -m tests.support.layout [NAME ...]` measures each node on every page found, in the classic
canvas and in Vue nodes, after a run where the bundled model can run it, and writes the places back
into workflows/ and subgraphs/; with names, into those workflows alone. Sizes in a workflow are
those of the classic canvas. Vue nodes draw the same node taller (a row for the extension's name,
taller fields), each version by another amount.
Frontend 1.35 spreads a graph for them, later ones do not, so the room has to be in the file.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import median_low

from tests.support import blueprint, workflow
from tests.support.hosts import REPO, missing_reason
from tests.support.pages import every_page, printed

TITLE = 30  # px of the page above a node's place
HEADER = 50  # px of a group above the titles of its nodes
PAD = 25  # px between a group's frame and its nodes
GAP = {"node": 32, "beside": 40, "group": 40, "column": 60}  # px
SAME_COLUMN = 100  # px that left edges may differ by
PICTURE = 100  # px that a picture on a node gets beyond its least height
WITH_RESULT = {
    f"PixWizard_{name}"
    for name in (
        "DecodeDepth", "DepthToMetres", "DecodeSegmentation", "DecodeMask", "DecodeHighlight",
        "DecodeBoxes", "DecodeAnswer", "Composite", "RestoreFromCanvas", "PixWizard",
    )
}  # fmt: skip
WITH_PICTURE = {*WITH_RESULT, "PixWizard_Compare"}
LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")  # of Markdown; its address is not shown
NOTE, PREVIEW = "MarkdownNote", "PreviewImage"
# Nodes below which the host hangs a picture, and what frontend 1.35 gives it beyond later ones, px.
HANGING = (PREVIEW, "SaveImage", "PixWizard_SaveDepth", "PixWizard_SaveLabels")
HIGHER = 64
HIGH = 450  # px from which a column of the first groups is parted
VIEW = (1240, 640)  # px of a page that a graph opens in, on a screen of 1366 × 768
ZOOMS = (0.6, 1.0)  # below the first the classic canvas leaves words out


def measured(names: list[str]) -> list[dict]:
    """{workflow: {node id: {type, least, extra}}} from each page, in px: heights in the canvas, and
    what Vue nodes add. names: of the workflows, empty for all. Ends the program without a host."""
    pages = every_page()
    if not pages:
        raise SystemExit(missing_reason())
    only = {"PIXWIZARD_ONLY": "|".join(names)} if names else {}
    return [json.loads(printed(page, "measure.js", **only)) for page in pages]


def highest(pages: list[dict]) -> dict:
    """The same for all pages: what a node takes on the page that draws it tallest."""
    found: dict[str, dict] = {}
    for page in pages:
        for name, nodes in page.items():
            for key, one in nodes.items():
                known = found.setdefault(name, {}).setdefault(key, dict(one))
                known.update({axis: max(known[axis], one[axis]) for axis in ("least", "extra")})
    return found


def rooms(pages: list[dict]) -> dict[str, dict]:
    """What a node of each type takes: the most in the canvas, and what Vue nodes usually add on the
    page where that is most, for some are read while they still settle."""
    least: dict[str, float] = {}
    extra: dict[str, float] = {}
    for page in pages:
        kinds: dict[str, list] = {}
        for one in (one for nodes in page.values() for one in nodes.values()):
            kinds.setdefault(one["type"], []).append(one)
        for kind, all_ in kinds.items():
            least[kind] = max(least.get(kind, 0), *(one["least"] for one in all_))
            extra[kind] = max(extra.get(kind, 0), median_low(one["extra"] for one in all_))
    return {kind: {"least": least[kind], "extra": extra[kind]} for kind in least}


def resize(node: dict, one: dict | None, most: dict[str, dict]) -> float:
    """Give a node its height in the canvas; returns what it takes at most, without its title."""
    kind = node["type"]
    known = most.get(kind, {"least": node["size"][1], "extra": 0})
    extra = known["extra"] + (HIGHER if kind in HANGING else 0)
    if not kind.startswith("PixWizard_"):
        return max(node["size"][1], known["least"]) + extra
    own = one or known
    # A result takes room wherever it is run, a task only that of its own fields.
    least = known["least"] if kind in WITH_RESULT else own["least"]
    pictured = kind in WITH_PICTURE and node["widgets_values"][:1] != ["boxes"]
    picture = PICTURE if pictured else 0  # Vue nodes give it that much by themselves
    node["size"][1] = round(least + picture)
    return least + max(picture, extra)


def columns(boxes: list, left) -> list[list]:
    """Things whose left edges are about the same, from left to right."""
    found: list[list] = []
    for one in sorted(boxes, key=left):
        if found and left(one) - left(found[-1][0]) <= SAME_COLUMN:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def inside(group: dict, node: dict) -> bool:
    (x, y), (gx, gy, width, height) = node["pos"], group["bounding"]
    return gx <= x < gx + width and gy <= y < gy + height


def stacks(nodes: list, need: dict, *, spread: bool) -> list[list]:
    """The nodes of a group in columns: as they are, but pictures beside what they are of, and, to
    spread, a high column in two. Pages are wide."""
    found = columns(nodes, lambda node: node["pos"][0])
    for column in found:
        column.sort(key=lambda node: node["pos"][1])
    shown = [node for node in found[0][1:] if node["type"] == PREVIEW]
    if any(node["type"] in WITH_PICTURE for node in found[0]) and shown:
        found[0] = [node for node in found[0] if node not in shown]
        found[1:2] = [[*(found[1] if len(found) > 1 else []), *shown]]
    tall = [need[node["id"]] + TITLE + GAP["node"] for node in found[0]]
    if spread and len(found) == 1 and sum(tall) > HIGH:
        cuts = range(1, len(tall))
        cut = min(cuts, key=lambda i: max(sum(tall[:i]), sum(tall[i:])), default=len(tall))
        found = [found[0][:cut], found[0][cut:]]
    return [column for column in found if column]


def fill(group: dict, nodes: list, need: dict, *, spread: bool = False) -> None:
    """Stack the nodes of a group in their columns, and the frame around them."""
    gx, gy = group["bounding"][:2]
    x, bottom = gx + PAD, gy
    for column in stacks(nodes, need, spread=spread):
        y = gy + HEADER
        for node in column:
            node["pos"] = [round(x), round(y + TITLE)]
            y += TITLE + need[node["id"]] + GAP["node"]
        bottom = max(bottom, y - GAP["node"])
        x += max(node["size"][0] for node in column) + GAP["beside"]
    group["bounding"][2:] = [round(x - GAP["beside"] + PAD - gx), round(bottom + PAD - gy)]


def arrange(graph: dict, found: dict, most: dict) -> float:
    """Move the nodes and groups of a graph, in place; its width in px. Order and columns stay."""
    need = {n["id"]: resize(n, found.get(str(n["id"])), most) for n in graph["nodes"]}
    if not graph["groups"]:
        return stand(graph, need)
    held = {
        group["id"]: [n for n in graph["nodes"] if n["type"] != NOTE and inside(group, n)]
        for group in graph["groups"]
    }
    notes = [node for node in graph["nodes"] if node["type"] == NOTE]
    blocks = [*graph["groups"], *notes]

    def left(block: dict) -> float:
        return block["bounding"][0] if "bounding" in block else block["pos"][0]

    def top(block: dict) -> float:
        return block["bounding"][1] if "bounding" in block else block["pos"][1]

    x, rows = 0.0, [0.0] * 9  # rows: where the groups of each row begin, beside the first column
    placed = columns(blocks, left)
    for step, column in enumerate(placed):
        column.sort(key=top)
        groups = [block for block in column if "bounding" in block]
        for group in groups:
            group["bounding"][0] = round(x)
            fill(group, held[group["id"]], need, spread=not step)
        width = max((group["bounding"][2] for group in groups), default=0)
        for block in column:
            if "bounding" not in block:
                block["pos"][0] = round(x)
                block["size"][0] = round(width) or block["size"][0]
                block["size"][1] = note_height(block)
                need[block["id"]] = block["size"][1] + TITLE
        width = width or max(block["size"][0] for block in column)
        x += width + GAP["column"]
        if step:
            heights = [height_of(block, need) for block in column]
            for row, height in enumerate(heights):
                rows[row + 1] = max(rows[row + 1], rows[row] + height + GAP["group"])
    for step, column in enumerate(placed):
        y = 0.0
        for row, block in enumerate(column):
            at = y if step == 0 else rows[row]
            move(block, round(at), held, need)
            y = at + height_of(block, need) + GAP["group"]
    width = x - GAP["column"]
    show(graph, width, need)
    return width


def stand(graph: dict, need: dict) -> float:
    """Place a graph without groups, in place, in the columns that it has; its width in px."""
    x = 0.0
    for column in columns(graph["nodes"], lambda node: node["pos"][0]):
        y, width = 0.0, max(node["size"][0] for node in column)
        for node in sorted(column, key=lambda node: node["pos"][1]):
            if node["type"] == NOTE:
                node["size"] = [width, note_height(node)]
                need[node["id"]] = node["size"][1]
            node["pos"] = [round(x), round(y + TITLE)]
            y += TITLE + need[node["id"]] + GAP["node"]
        x += width + GAP["column"]
    show(graph, x - GAP["column"], need)
    return x - GAP["column"]


def note_height(node: dict) -> int:
    """px that a note's words take at its width: headings, and lines of small letters."""
    letters = (node["size"][0] - 40) / 5.5
    height = 30.0
    told = LINK.sub(r"\1", node["widgets_values"][0])
    for part in filter(None, told.split("\n")):
        lines = -(-len(part) // letters)
        height += 36 if part.startswith("#") else 17 * lines + 8
    return round(height)


def height_of(block: dict, need: dict) -> float:
    return block["bounding"][3] if "bounding" in block else need[block["id"]] + TITLE


def move(block: dict, y: int, held: dict, need: dict) -> None:
    if "bounding" in block:
        block["bounding"][1] = y
        fill(block, held[block["id"]], need)
    else:
        block["pos"][1] = y + TITLE


def show(graph: dict, width: float, need: dict) -> None:
    """Open with all of the graph in view where its words can then still be read."""
    if "extra" not in graph or "ds" not in graph["extra"]:
        return
    height = max(node["pos"][1] + need[node["id"]] for node in graph["nodes"])
    fitting = min(VIEW[0] / width, VIEW[1] / height)
    scale = round(min(max(fitting, ZOOMS[0]), ZOOMS[1]), 2)
    graph["extra"]["ds"] = {"scale": scale, "offset": [round(90 / scale), round(110 / scale)]}


def write(path: Path, saved: dict) -> None:
    text = json.dumps(saved, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    print(path.relative_to(REPO))


def main() -> None:
    names = sys.argv[1:]
    pages = measured(names)
    found, most = highest(pages), rooms(pages)
    for path in (path for path in workflow.every() if path.stem in (names or [path.stem])):
        saved = workflow.load(path)
        arrange(saved, found[path.stem], most)
        write(path, saved)
    for path in sorted((REPO / "subgraphs").glob("*.json")) if not names else ():
        saved = workflow.load(path)
        inside_of = blueprint.definition(saved)
        end = inside_of["outputNode"]["bounding"]
        moved = round(arrange(inside_of, {}, most) + GAP["column"]) - end[0]
        end[0] += moved
        for output in inside_of["outputs"]:
            output["pos"][0] += moved
        write(path, saved)


if __name__ == "__main__":
    main()
