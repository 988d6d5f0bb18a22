"""Pictures for the help pages of nodes that paint nothing themselves: the node in its recipe, in
the page of a running host.

`python -m tests.support.help_shots [NODE ...]` writes web/docs/images/PixWizard_NODE.jpg, of all
nodes without a name.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.support import workflow
from tests.support.hosts import PAGE, REPO
from tests.support.pages import on_newest_page
from tests.support.thumbnails import save

FOLDER = REPO / "web" / "docs" / "images"
WIDTH = 620  # px, the column of a help page is narrower still
LARGEST = 60_000  # bytes
RUN = {  # workflows of the bundled model, with a result on their nodes
    "How a graph works": ("LoadTiny", "Encode", "Sample"),
    "Highlight and box step by step": ("Instruction",),
    "Stock samplers step by step": ("DualCFGGuider", "Schedule"),
    "Depth step by step": ("Compare",),
    "Edges step by step": ("DecodeEdges",),
    "Text to image step by step": ("BlankCanvas",),
}
FIRST = (  # as they are before their files are there
    "LoadPixWizard", "LoadModel", "LoadTextEncoder", "LoadVisionEncoder",
)  # fmt: skip
RESULTS = ("DepthToMetres", "SaveDepth", "SaveLabels")
BETWEEN = ("ModelOptions", "LoadLora")  # a MODEL goes in and comes out
ALONE = ("Check",)  # run without anything connected


def passing(kind: str) -> dict:
    """Load Tiny and a node that changes its model, with the link between them."""
    outputs = [{"name": "model", "type": "MODEL", "links": [1]}]
    tiny = {"id": 1, "type": "PixWizard_LoadTiny", "pos": [0, 0], "outputs": outputs, "inputs": []}
    inputs = [{"name": "model", "type": "MODEL", "link": 1}]
    changed = {"id": 2, "type": f"PixWizard_{kind}", "pos": [400, 0], "inputs": inputs}
    nodes = [{"mode": 0, "flags": {}, "order": i, **one} for i, one in enumerate((tiny, changed))]
    links = [[1, 1, 0, 2, 0, "MODEL"]]
    return {"nodes": nodes, "links": links, "last_node_id": 2, "last_link_id": 1, "version": 0.4}


def alone(kind: str) -> dict:
    """One node, wide enough to be read."""
    node = {"id": 1, "type": f"PixWizard_{kind}", "pos": [0, 0], "size": [620, 460], "mode": 0,
            "flags": {}, "order": 0}  # fmt: skip
    return {"nodes": [node], "links": [], "last_node_id": 1, "last_link_id": 0, "version": 0.4}


def jobs(wanted: frozenset[str] = frozenset()) -> list[dict]:
    """What snap.js shall load, run and photograph. wanted: nodes; empty for all."""

    def named(kinds) -> dict:
        return {f"PixWizard_{kind}": f"PixWizard_{kind}" for kind in kinds}

    saved = [(workflow.load(workflow.titled(n)), True, k) for n, k in RUN.items()]
    saved += [(json.loads((PAGE / "results.json").read_text("utf-8")), True, RESULTS)]
    saved += [(passing(kind), False, (kind,)) for kind in BETWEEN]
    saved += [(alone(kind), True, (kind,)) for kind in ALONE]
    saved += [(alone(kind), False, (kind,)) for kind in FIRST]
    asked = [
        (graph, run, [k for k in kinds if k in (wanted or kinds)]) for graph, run, kinds in saved
    ]
    return [
        {"graph": graph, "run": run, "nodes": named(kinds)} for graph, run, kinds in asked if kinds
    ]


def shrink(path: Path) -> None:
    with Image.open(path) as shot:
        picture = shot.convert("RGB")
    if picture.width > WIDTH:
        size = (WIDTH, round(WIDTH * picture.height / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    save(picture, FOLDER / path.name, LARGEST)


def main() -> None:
    with tempfile.TemporaryDirectory() as shots:
        asked = {"folder": shots, "graphs": jobs(frozenset(sys.argv[1:]))}
        on_newest_page("snap.js", PIXWIZARD_JOBS=json.dumps(asked))
        for path in sorted(Path(shots).glob("*.png")):
            shrink(path)


if __name__ == "__main__":
    main()
