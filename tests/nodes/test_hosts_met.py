"""The report of hosts and pages at the end of a test run, and how nodes get their room."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import hosts_met, pages
from tests.support.hosts import Host, number


def installed(folder: Path, version: str, page: str) -> Host:
    """A host's folder with all that is read of it here."""
    own = folder / version / ".venv" / "lib" / "python3.11" / "site-packages"
    (own / f"comfyui_frontend_package-{page}.dist-info").mkdir(parents=True)
    (folder / version / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    return Host(folder / version, folder / version / ".venv" / "bin" / "python")


@pytest.fixture
def two_hosts(tmp_path, monkeypatch):
    found = [installed(tmp_path, "0.3.64", "1.27.10"), installed(tmp_path, "0.33.0", "1.49.6")]
    for version in ("1.49.6", "1.58.1", "1.9.0"):
        (tmp_path / "pages" / version).mkdir(parents=True)
        (tmp_path / "pages" / version / "index.html").touch()
    named = os.pathsep.join(
        str(tmp_path / "pages" / name) for name in ("1.58.1", "1.49.6", "1.9.0")
    )
    monkeypatch.setenv("COMFYUI_FRONTENDS", named)
    for module in (hosts_met, pages):
        monkeypatch.setattr(module, "find_hosts", lambda: found)
    return found


def report(suite: str, place: str, **inside: str) -> SimpleNamespace:
    properties = [(hosts_met.PLACE, place), *inside.items()]
    return SimpleNamespace(nodeid=f"{suite}/test_x.py::test_y", user_properties=properties)


def test_number_sorts_versions_as_numbers():
    assert sorted(["0.33.0", "0.3.64", "0.8.0"], key=number) == ["0.3.64", "0.8.0", "0.33.0"]


def test_every_page_is_each_host_with_its_own_and_the_newest_with_the_rest(two_hosts):
    assert list(map(str, pages.every_page())) == [
        "0.3.64-page-1.27.10",
        "0.33.0-page-1.49.6",
        "0.33.0-page-1.9.0",
        "0.33.0-page-1.58.1",
    ]
    assert list(map(str, pages.default_page())) == ["0.33.0-page-1.49.6"]


def test_report_counts_by_suite_and_host_and_says_what_was_left_out(two_hosts):
    stats = {
        "passed": [report("host", "ComfyUI 0.3.64")] * 3,
        "failed": [report("host", "ComfyUI 0.3.64")],
        "error": [report("fire", "ComfyUI 0.3.64")],
        "skipped": [report("browser", "ComfyUI 0.33.0 with page 1.49.6", inside="7 passed")],
        "warnings": [SimpleNamespace()],
    }
    assert hosts_met.lines(stats) == [
        "host     ComfyUI 0.3.64                       3 passed, 1 failed, 0 skipped",
        "fire     ComfyUI 0.3.64                       0 passed, 1 failed, 0 skipped",
        "browser  ComfyUI 0.33.0 with page 1.49.6      0 passed, 0 failed, 1 skipped;"
        " inside: 7 passed",
        "not used in this run: hosts 0.33.0",
        "not used in this run: pages 0.3.64 with page 1.27.10, 0.33.0 with page 1.9.0, "
        "0.33.0 with page 1.58.1",
        "not on this machine: hosts 0.8.0",
        "not on this machine: pages 1.35.9",
    ]


def test_report_without_a_host_names_all_that_is_missing(monkeypatch):
    for module in (hosts_met, pages):
        monkeypatch.setattr(module, "find_hosts", list)
    assert hosts_met.lines({}) == [
        "not on this machine: hosts 0.3.64, 0.8.0, 0.33.0",
        "not on this machine: pages 1.27.10, 1.35.9, 1.49.6, 1.58.1",
    ]
