"""Lays out the shipped workflows with room for their nodes in every way the page draws them.

`python -m tests.support.layout [NAME ...]` opens each workflow on every page found, in the classic
canvas and in Vue nodes, as the browser tests do: after a run where the bundled model can run it. It
writes the places back into workflows/ and subgraphs/; with names, into those workflows alone. With
`--drawn FILE ...` it takes what browser tests have written to PIXWIZARD_BOXES, and opens no page.
Sizes in a workflow are those of the classic canvas. Vue nodes draw the same node taller (a row for
the extension's name, taller fields), each version by another amount.
Frontend 1.35 spreads a graph for them, later ones do not, so the room has to be in the file.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from tests.support import blueprint, workflow
from tests.support.drawn import Room, by_node, by_type, records
from tests.support.hosts import REPO

TITLE = 30  # px of the page above a node's place
HEADER = 50  # px of a group above the titles of its nodes
PAD = 25  # px between a group's frame and its nodes
GAP = {"node": 32, "beside": 40, "group": 40, "column": 60}  # px
SAME_COLUMN = 100  # px that left edges may differ by
# Nodes with a picture of their result, as the page's script lists them.
VIEWS = (REPO / "web" / "result_view.js").read_text(encoding="utf-8")
WITH_PICTURE = set(re.findall(r"(PixWizard_\w+): \{ picture:", VIEWS))
LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")  # of Markdown; its address is not shown
BY_TASK = ("PixWizard_Instruction", "PixWizard_PixWizard", "PixWizard_Compare")  # by their fields
SOME = 40  # px of a picture beyond its least that are enough where a file has chosen so
NOTE, PREVIEW = "MarkdownNote", "PreviewImage"
HIGH = 450  # px from which a column of the first groups is parted
VIEW = (1240, 640)  # px of a page that a graph opens in, on a screen of 1366 × 768
READABLE = 0.6  # zoom below which the classic canvas leaves words out
START = 0.75  # zoom at which a graph opens that is too large to be read whole


def resize(node: dict, one: Room | None, most: dict[str, Room]) -> float:
    """Give a node its height in the canvas; returns what it takes at most, without its title. one:
    what this node takes, most: what each type takes."""
    kind, height = node["type"], node["size"][1]
    known = most.get(kind, Room(height, height))
    if not kind.startswith("PixWizard_"):
        return height + known.extra
    # A result takes room wherever it is run, a task only that of its own fields.
    own = one if one and kind in BY_TASK else known
    enough = own.wish and height >= own.least + SOME
    node["size"][1] = height if enough else round(own.least + own.wish)
    return max(node["size"][1], own.drawn)


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


def arrange(graph: dict, took: dict[int, Room], most: dict[str, Room]) -> float:
    """Move the nodes and groups of a graph, in place; its width in px. Order and columns stay.
    took: what each node takes, where that is known, most: what each type takes."""
    need = {n["id"]: resize(n, took.get(n["id"]), most) for n in graph["nodes"]}
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
        x += width + GAP["beside"]
    show(graph, x - GAP["beside"], need)
    return x - GAP["beside"]


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
    """Open with all of the graph in view where its words can then be read, else with its start."""
    if "extra" not in graph or "ds" not in graph["extra"]:
        return
    height = max(node["pos"][1] + need[node["id"]] for node in graph["nodes"])
    fitting = min(VIEW[0] / width, VIEW[1] / height)
    scale = round(min(fitting, 1), 2) if fitting >= READABLE else START
    graph["extra"]["ds"] = {"scale": scale, "offset": [round(90 / scale), round(110 / scale)]}


def write(path: Path, saved: dict) -> None:
    text = json.dumps(saved, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    print(path.relative_to(REPO))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of workflows (default: all)")
    parser.add_argument("--drawn", nargs="+", type=Path, metavar="FILE", help="PIXWIZARD_BOXES")
    given = parser.parse_args()
    names, told = given.names, records(given.drawn or [])
    took, most = by_node(told), by_type(told)
    for path in (path for path in workflow.every() if path.stem in (names or [path.stem])):
        saved = workflow.load(path)
        known = {number: room for (name, number), room in took.items() if name == path.stem}
        arrange(saved, known, most)
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
