"""Pictures for the help pages of nodes that paint nothing themselves: the node in its recipe, in
the page of a running host.

`python -m tests.support.help_shots` writes web/docs/images/NODE.jpg.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from tests.support import workflow
from tests.support.hosts import REPO, find_frontends, find_hosts, missing_reason, serve

PAGE = REPO / "tests" / "browser"
FOLDER = REPO / "web" / "docs" / "images"
WIDTH = 620  # px, the column of a help page is narrower still
LARGEST = 60_000  # bytes
RUN = {  # workflows of the bundled model, with a result on their nodes
    "0_getting_started": ("LoadTiny", "Encode", "Sample"),
    "demo_highlight_and_box": ("Instruction",),
    "stock_samplers": ("DualCFGGuider", "Schedule"),
    "depth": ("Compare",),
    "demo_edges": ("DecodeEdges",),
    "demo_text_to_image": ("BlankCanvas",),
}
SHOWN = {"edit": ("LoadModel", "LoadTextEncoder")}  # as they are before their files are there
RESULTS = ("DepthToMetres", "SaveDepth", "SaveLabels")
BETWEEN = ("ModelOptions", "LoadLora")  # a MODEL goes in and comes out


def passing(kind: str) -> dict:
    """Load Tiny and a node that changes its model, with the link between them."""
    outputs = [{"name": "model", "type": "MODEL", "links": [1]}]
    tiny = {"id": 1, "type": "PixWizard_LoadTiny", "pos": [0, 0], "outputs": outputs, "inputs": []}
    inputs = [{"name": "model", "type": "MODEL", "link": 1}]
    changed = {"id": 2, "type": f"PixWizard_{kind}", "pos": [400, 0], "inputs": inputs}
    nodes = [{"mode": 0, "flags": {}, "order": i, **one} for i, one in enumerate((tiny, changed))]
    links = [[1, 1, 0, 2, 0, "MODEL"]]
    return {"nodes": nodes, "links": links, "last_node_id": 2, "last_link_id": 1, "version": 0.4}


def jobs() -> list[dict]:
    """What snap.js shall load, run and photograph."""

    def named(kinds) -> dict:
        return {f"PixWizard_{kind}": f"PixWizard_{kind}" for kind in kinds}

    saved = [(workflow.load(REPO / "workflows" / f"{n}.json"), True, k) for n, k in RUN.items()]
    saved += [(workflow.load(REPO / "workflows" / f"{n}.json"), False, k) for n, k in SHOWN.items()]
    saved += [(json.loads((PAGE / "results.json").read_text("utf-8")), True, RESULTS)]
    saved += [(passing(kind), False, (kind,)) for kind in BETWEEN]
    return [{"graph": graph, "run": run, "nodes": named(kinds)} for graph, run, kinds in saved]


def shrink(path: Path) -> None:
    with Image.open(path) as shot:
        picture = shot.convert("RGB")
    if picture.width > WIDTH:
        size = (WIDTH, round(WIDTH * picture.height / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    target = FOLDER / f"{path.stem}.jpg"
    for quality in range(88, 40, -8):
        picture.save(target, quality=quality, optimize=True)
        if target.stat().st_size < LARGEST:
            break
    print(f"{target.relative_to(REPO)}: {target.stat().st_size // 1024} KiB")


def main() -> None:
    hosts = sorted(find_hosts(), key=lambda host: [int(part) for part in host.version.split(".")])
    if not hosts:
        raise SystemExit(missing_reason())
    page = (find_frontends() or [None])[-1]
    with tempfile.TemporaryDirectory() as base, serve(hosts[-1], Path(base), page) as server:
        shots = Path(base) / "shots"
        shots.mkdir()
        asked = {"folder": str(shots), "graphs": jobs()}
        given = {"PIXWIZARD_URL": server.url(""), "PIXWIZARD_JOBS": json.dumps(asked)}
        command = ["node", "snap.js"]
        subprocess.run(command, cwd=PAGE, check=True, env={**os.environ, **given})
        for path in sorted(shots.glob("*.png")):
            shrink(path)


if __name__ == "__main__":
    main()
