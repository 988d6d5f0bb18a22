"""The submission script against a real server: pictures in, the host's own results out."""

from __future__ import annotations

import json
import subprocess
import sys

from PIL import Image

from tests.support.hosts import REPO

INVERT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "inverted"}},
}


def test_submit_runs_a_workflow_for_each_picture(server, tmp_path):
    (tmp_path / "in").mkdir()
    shades = {"a": (10, 20, 30), "b": (200, 100, 50), "c": (0, 0, 0)}
    for name, shade in shades.items():
        Image.new("RGB", (24, 16), shade).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "flow.json").write_text(json.dumps(INVERT), encoding="utf-8")
    words = ["flow.json", "in", "--out", "out", "--server", server.url("").rstrip("/")]
    command = [sys.executable, str(REPO / "scripts" / "submit_workflow.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "3 done, 0 done before, 0 failed" in done.stdout
    for line in (tmp_path / "out" / "submitted.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        (name,) = row["files"]
        picture = Image.open(tmp_path / "out" / name)
        wanted = tuple(255 - value for value in shades[name.split("-")[0]])
        assert picture.size == (24, 16)
        shown = picture.convert("RGB").getpixel((5, 5))
        # The host cuts off what is below a whole step when it saves, so 1 - 200/255 may become 54.
        assert all(0 <= w - s <= 1 for w, s in zip(wanted, shown, strict=True)), (shown, wanted)
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "0 done, 3 done before, 0 failed" in again.stdout
