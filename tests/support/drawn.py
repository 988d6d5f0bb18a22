"""How much room the nodes of the shipped workflows take on the pages, as browser tests saw them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

from tests.support.hosts import PAGE, missing_reason, serve
from tests.support.pages import Page, every_page

TITLE = 30  # px of the page above a node's place
APART = 3  # px from which a node is elsewhere than it was saved
SPREAD = 1.2  # of frontend 1.35


@dataclass
class Room:
    """Heights in px, without title. least: what the classic canvas gives at least. wish: what a new
    node has beyond that. drawn: what the page draws. extra: that, beyond the height in the file."""

    least: float
    drawn: float
    wish: float = 0
    extra: float = 0

    def most(self, other: Room) -> Room:
        """The larger of both, in each of them."""
        return Room(*map(max, astuple(self), astuple(other)))


def seen(page: Page) -> list[dict]:
    """Open every template on a page, in both renderers: one record for each time. Ends the program
    where one of them does not run."""
    with tempfile.TemporaryDirectory() as base, serve(page.host, Path(base), page.folder) as server:
        file = Path(base, "boxes.jsonl")
        given = {"PIXWIZARD_URL": server.url(""), "PIXWIZARD_BOXES": str(file)}
        command = ["node", "--test", "--test-name-pattern", "^template ", "page.test.js"]
        # Nodes that overlap fail the test, which is what this is for.
        subprocess.run(command, cwd=PAGE, check=False, env={**os.environ, **given})
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def records(files: list[Path]) -> list[dict]:
    """What page.test.js wrote to PIXWIZARD_BOXES: in these files, or now, on every page. Ends the
    program without a host."""
    if files:
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        return [json.loads(line) for line in lines]
    if not every_page():
        raise SystemExit(missing_reason())
    return [one for page in every_page() for one in seen(page)]


def places(record: dict) -> list[tuple[int, str, Room]]:
    """Id, type and room of each node, as it would be where the page spreads no graph; none where
    the page moved nodes in another way."""
    found, scale = [], spread(record)
    for node in record["places"]:
        saved = record["saved"][str(node["id"])]
        (x, y), (_, height) = pair(saved["pos"]), pair(saved["size"])
        there = max(abs(node["x"] - x * scale), abs(node["y"] + TITLE - y * scale))
        if there > APART:
            return []
        drawn = node["height"] / scale - TITLE
        room = Room(node["least"], drawn, node["wish"], max(0, drawn - height))
        found.append((int(node["id"]), node["type"], room))
    return found


def spread(record: dict) -> float:
    """How many times as wide as saved the page draws nodes: frontend 1.35 spreads the graph of the
    classic canvas so for its Vue nodes. 1 where it does not."""
    saved = record["saved"]
    ratios = [node["width"] / pair(saved[str(node["id"])]["size"])[0] for node in record["places"]]
    ratio = median(ratios)
    return ratio if abs(ratio - SPREAD) < 0.01 else 1


def pair(saved: list | dict) -> tuple[float, float]:
    """A place or size, which the page saves in two ways."""
    return (saved[0], saved[1]) if isinstance(saved, list) else (saved["0"], saved["1"])


def by_node(told: list[dict]) -> dict[tuple[str, int], Room]:
    """{(workflow, node id): the most that it takes on any page}."""
    found: dict[tuple[str, int], Room] = {}
    for record in told:
        for number, _, room in places(record):
            key = (record["name"], number)
            found[key] = room.most(found.get(key, room))
    return found


def by_type(told: list[dict]) -> dict[str, Room]:
    """{type of node: the most that one takes, in any workflow and on any page}."""
    found: dict[str, Room] = {}
    for record in told:
        for _, kind, room in places(record):
            found[kind] = room.most(found.get(kind, room))
    return found
