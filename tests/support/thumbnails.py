"""Pictures for the template browser, made from what the shipped workflows really give.

`python -m tests.support.thumbnails` runs every workflow of the bundled model on the first host
found and writes workflows/NAME.jpg: the first preview beside the last. Workflows that need other
models get a drawing of their graph, for nobody here has seen what they paint; so do those that
begin with a picture of the host's, which is not ours to copy.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from tests.support import workflow
from tests.support.hosts import REPO, Server, find_hosts, missing_reason, serve
from tests.support.schematic import schematic

SIDE = 480  # px of each half
GAP = 8
DRAWING = 720  # px, width of a drawn graph
PAPER = (24, 24, 24)
LARGEST = 60_000  # bytes of a thumbnail


def previews(server: Server, saved: dict) -> list[Image.Image]:
    """What the preview nodes of a workflow show, in the order of their numbers."""
    prompt = workflow.to_prompt(saved, server.json("/object_info"))
    result = server.run(prompt)
    if result["error"]:
        raise RuntimeError(result["error"])
    numbers = sorted((n for n in prompt if prompt[n]["class_type"] == "PreviewImage"), key=int)
    entries = [result["outputs"][number]["images"][0] for number in numbers]
    return [Image.open(io.BytesIO(server.image(entry))).convert("RGBA") for entry in entries]


def side_by_side(one: Image.Image, other: Image.Image) -> Image.Image:
    """Both pictures at the width SIDE, on dark paper."""
    halves = [
        picture.resize(
            (SIDE, round(SIDE * picture.height / picture.width)), Image.Resampling.LANCZOS
        )
        for picture in (one, other)
    ]
    height = max(half.height for half in halves)
    sheet = Image.new("RGB", (2 * SIDE + GAP, height), PAPER)
    for number, half in enumerate(halves):
        sheet.paste(half, (number * (SIDE + GAP), 0), half)
    return sheet


def save(picture: Image.Image, path: Path, largest: int = LARGEST) -> None:
    """As a JPEG beside path, as good as `largest` bytes allow."""
    target = path.with_suffix(".jpg")
    for quality in range(85, 20, -10):  # noise takes many bytes
        picture.save(target, quality=quality, optimize=True)
        if target.stat().st_size < largest:
            break
    print(f"{target.relative_to(REPO)}: {target.stat().st_size // 1024} KiB")


def drawn(saved: dict) -> bool:
    """Whether a workflow is shown as a drawing of its graph instead of by its result."""
    return workflow.needs_files(saved) or any(n["type"] == "LoadImage" for n in saved["nodes"])


def main() -> None:
    saved = {path: workflow.load(path) for path in sorted((REPO / "workflows").glob("*.json"))}
    for path in filter(lambda path: drawn(saved[path]), saved):
        save(schematic(saved[path], DRAWING), path)
    hosts = find_hosts()
    if not hosts:
        raise SystemExit(missing_reason())
    with tempfile.TemporaryDirectory() as base, serve(hosts[-1], Path(base)) as server:
        for path in filter(lambda path: not drawn(saved[path]), saved):
            shown = previews(server, saved[path])
            save(side_by_side(shown[0], shown[-1]), path)


if __name__ == "__main__":
    main()
