"""Screenshots for docs/page.md: the page of a running host at 1366 px, in the states that it tells
of.

`python -m tests.support.page_states` writes docs/images/page-STATE.jpg.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.test_page import stand_ins
from tests.support.hosts import PAGE, REPO, find_hosts, missing_reason, serve
from tests.support.thumbnails import save

FOLDER = REPO / "docs" / "images"
LARGEST = 60_000  # bytes


def main() -> None:
    hosts = find_hosts()
    if not hosts:
        raise SystemExit(missing_reason())
    with tempfile.TemporaryDirectory() as name:
        base, shots = Path(name) / "base", Path(name) / "shots"
        shots.mkdir()
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}), encoding="utf-8")
        parts = stand_ins(Path(name) / "parts")
        with serve(hosts[-1], base) as server:
            given = {
                "PIXWIZARD_URL": server.url(""), "PIXWIZARD_FOLDER": str(shots),
                "PIXWIZARD_PARTS": str(parts), "PIXWIZARD_MODELS": str(base / "models"),
            }  # fmt: skip
            subprocess.run(
                ["node", "states.js"], cwd=PAGE, check=True, env={**os.environ, **given}
            )
        for path in sorted(shots.glob("*.png")):
            with Image.open(path) as shot:
                save(shot.convert("RGB"), FOLDER / path.name, LARGEST)


if __name__ == "__main__":
    main()
