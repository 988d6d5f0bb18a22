"""Scenes of the demo world, whose truth is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import PixWizardError
from ...fleet.items import safe_name
from ...fleet.manifest import read_json_lines
from ...fleet.sources import SourcePicture
from .common import DatasetLayout, DatasetOptions


def world(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """Scenes of the demo world as written by `pixwizard evaluate data world`: items.jsonl with
    path, task, instruction, words (the task's fields) and truth, and files beside it. If there are
    words, the model is asked as it was trained; otherwise the list's instruction is used."""
    found = []
    for number, row in read_json_lines(root / "items.jsonl"):
        try:
            truth = {**row["truth"], "file": str((root / row["truth"]["file"]).absolute())}
            path, words = root / row["path"], _asked(row)
        except (KeyError, TypeError) as error:
            raise PixWizardError(f"items.jsonl, line {number}: {error} is missing") from error
        if options.align and truth["protocol"] == "depth":
            truth["align"] = True
        found.append(SourcePicture(safe_name(path.stem), path, words=words, truth=truth))
    return found


def _asked(row: dict[str, Any]) -> dict[str, str]:
    if isinstance(row.get("words"), dict):
        return {"task": row["task"], **row["words"]}
    return {name: row[name] for name in ("task", "instruction")}


LAYOUTS = {
    "world": DatasetLayout(
        "depth", world, ("test",), "items.jsonl; written for you when left out", folders=("world",)
    )
}
