"""The page of a real host in Chromium, driven by page.test.js. Skipped with a line that says what
is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pixwizard_core.weights.published import CLIP, GEMMA, MODEL, VAE
from tests.support import full_size
from tests.support.films import write_film
from tests.support.hosts import missing_reason, serve
from tests.support.hosts_met import INSIDE
from tests.support.hub import published_files
from tests.support.pages import Page, default_page, every_page

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TEMPLATES = "1"  # how many are looked at; PIXWIZARD_ALL=1 takes all of them, on every page
TIMEOUT_S = 1800
pytestmark = pytest.mark.browser


def everything() -> bool:
    return os.environ.get("PIXWIZARD_ALL") == "1"


def pages() -> list[Page]:
    return every_page() if everything() else default_page()


def stand_ins(folder: Path) -> Path:
    """Small files in the layouts of the released parts, as a folder of models would hold them, and
    an autoencoder of random weights: hosts know no smaller one."""
    made = folder / "made"
    made.mkdir(parents=True)
    published = published_files(made)
    places = {
        MODEL: "diffusion_models", GEMMA: "text_encoders/gemma", CLIP: "text_encoders/clip",
        VAE: "vae",
    }  # fmt: skip
    for part, place in places.items():
        (folder / place).mkdir(parents=True)
        for name in (*part.files, *part.others):
            if content := published.get(f"{part.repository}/{name}"):
                (folder / place / name).write_bytes(content)
    full_size.write_vae(folder, full_size.FULL)
    return folder


def counted(told: str) -> str:
    """How many tests of page.test.js passed, failed and were skipped, by its own last lines."""
    last = dict(re.findall(r"^# (pass|fail|skipped) (\d+)$", told, re.MULTILINE))
    words = {"pass": "passed", "fail": "failed", "skipped": "skipped"}
    return ", ".join(f"{last.get(key, '?')} {word}" for key, word in words.items())


def missing() -> str | None:
    """What the browser tests lack here, as one line; None when nothing is missing."""
    if not pages():
        return missing_reason()
    if not (os.environ.get("CHROMIUM") or any(map(shutil.which, BROWSERS))):
        return "no Chromium (looked for: " + ", ".join(BROWSERS) + "; set CHROMIUM)"
    if shutil.which("node") is None:
        return "node is not installed"
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        return "playwright-core is not installed (run: npm ci --prefix tests/browser)"
    return None


def film(folder: Path) -> dict[str, str]:
    """What page.test.js is told of a video in this folder: none where PyAV is not installed."""
    if importlib.util.find_spec("av") is None:
        return {}
    return {"PIXWIZARD_FILM": write_film(folder / "film.mp4", count=2).name}


@pytest.mark.parametrize("page", pages() or [None], ids=str)
def test_page(page, tmp_path, record_property):
    if reason := missing():
        pytest.skip(reason)
    settings = tmp_path / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}), encoding="utf-8")
    (tmp_path / "input").mkdir()
    parts = stand_ins(tmp_path / "parts")
    with serve(page.host, tmp_path, page.folder) as server:
        given = {"PIXWIZARD_URL": server.url(""), "PIXWIZARD_PARTS": str(parts)}
        given |= {"PIXWIZARD_MODELS": str(tmp_path / "models")}
        given |= film(tmp_path / "input")
        given |= {} if everything() else {"PIXWIZARD_FEW": TEMPLATES}
        done = subprocess.run(
            ["npm", "test", "--silent"], cwd=HERE, env={**os.environ, **given},
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    record_property(INSIDE, counted(done.stdout))
    print(done.stdout, done.stderr, sep="\n")  # whole: pytest shows it where a test fails
    failed = re.findall(r"^ *not ok \d+ - (.+)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0, f"{counted(done.stdout)}: {failed}"
