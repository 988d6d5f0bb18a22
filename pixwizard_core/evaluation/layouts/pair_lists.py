"""Pairs from file names, and from the lists that the released model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import PixWizardError
from ...files.kinds import is_picture
from ...files.walk import walk
from ...fleet.sources import SourcePicture
from ...json_text import read_json_file
from .common import DatasetOptions, source_picture

SUFFIXES = ("_input", "_target")
INPUT, TARGET, PROMPT = "input_path", "target_path", "prompt"


def suffixed(root: Path) -> Iterator[tuple[Path, Path]]:
    """x_input.png with x_target of any extension in the same folder. Raises PixWizardError for an
    input without a target."""
    before, after = SUFFIXES
    files = [path for path in walk(root) if is_picture(path)]
    truths = {path.with_suffix(""): path for path in files if path.stem.endswith(after)}
    for path in files:
        if path.stem.endswith(before):
            wanted = path.with_name(path.stem.removesuffix(before) + after)
            if wanted not in truths:
                raise PixWizardError(f"{path} has no {wanted.name} beside it")
            yield path, truths[wanted]


def listed_pairs(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """The pairs of a JSON list; asks its prompt unless options override it. Paths are relative to
    root or to the list's folder."""
    listed = Path(options.listed)
    rows = read_json_file(listed, PixWizardError)
    if not isinstance(rows, list):
        raise PixWizardError(f"{listed.name} is no list of objects with {INPUT} and {TARGET}")
    return [_row(row, number, root, listed, options) for number, row in enumerate(rows, 1)]


def _row(
    row: Any, number: int, root: Path, listed: Path, options: DatasetOptions
) -> SourcePicture:
    where = f"{listed.name}, object {number}"
    if not isinstance(row, dict) or not {INPUT, TARGET} <= row.keys():
        names = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise PixWizardError(f"{where}: needs {INPUT} and {TARGET}. Got: {names}")
    before, after = (_place(row[name], root, listed) for name in (INPUT, TARGET))
    prompt = row.get(PROMPT, "")
    prompt = prompt[0] if isinstance(prompt, list) and prompt else prompt
    instruction = options.instruction or ("" if options.task else prompt)
    if not (isinstance(instruction, str) and (instruction or options.task)):
        raise PixWizardError(f"{where}: no {PROMPT}; give --task or --instruction")
    words = {"task": options.task, "instruction": instruction}
    truth = {"protocol": "picture", "kind": "picture", "file": str(after.absolute())}
    return source_picture(root, before, truth, {k: v for k, v in words.items() if v})


def _place(name: Any, root: Path, listed: Path) -> Path:
    path = Path(str(name))
    return root / path if (root / path).exists() else listed.parent / path
