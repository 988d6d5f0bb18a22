"""The page of a real host in Chromium, driven by page.test.js. Skipped with a line that says what
is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.support.hosts import Host, find_frontends, find_hosts, missing_reason, serve

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TEMPLATES = "1"  # how many are looked at; PIXWIZARD_ALL=1 takes all of them, on every host
TIMEOUT_S = 1800
pytestmark = pytest.mark.browser


def everything() -> bool:
    return os.environ.get("PIXWIZARD_ALL") == "1"


def pages() -> list[tuple[Host, Path | None]]:
    """Hosts with the page to serve; None is the host's own. Further pages go with the newest
    host."""
    hosts = sorted(find_hosts(), key=lambda host: [int(part) for part in host.version.split(".")])
    found: list[tuple[Host, Path | None]] = [(host, None) for host in hosts]
    found += [(hosts[-1], one) for one in find_frontends() if hosts]
    return found if everything() else found[-1:]


def named(page) -> str:
    if not page:
        return "none"
    host, frontend = page
    return f"{host.version}-page-{frontend.name}" if frontend else host.version


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


@pytest.mark.parametrize("page", pages() or [None], ids=named)
def test_page(page, tmp_path):
    if reason := missing():
        pytest.skip(reason)
    host, frontend = page
    settings = tmp_path / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}), encoding="utf-8")
    (tmp_path / "input").mkdir()
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "input" / "example.png")
    with serve(host, tmp_path, frontend) as server:
        given = {"PIXWIZARD_URL": server.url("")}
        given |= {} if everything() else {"PIXWIZARD_FEW": TEMPLATES}
        done = subprocess.run(
            ["npm", "test", "--silent"], cwd=HERE, env={**os.environ, **given},
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
