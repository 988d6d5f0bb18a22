"""The checks of checks/*.py, run inside each host's own interpreter."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "checks"
NAMES = sorted(
    f"{path.stem}.{node.name}"
    for path in FOLDER.glob("check_*.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
)


@pytest.mark.parametrize("name", NAMES)
def test_check(report, name):
    assert name in report, f"the host's process did not run {name}"
    assert report[name]["error"] is None, report[name]["error"]


def test_extension_loaded_without_warning(report):
    assert report["loaded"]["error"] is None, report["loaded"]["error"]
