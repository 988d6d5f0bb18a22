"""Where the weights are: a file as given, or the right one in a folder as released."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import CheckpointError
from .published import ORIGIN
from .weightfile import read_namespace

RELEASED_NAMES = (  # in the order the reference's own command prefers them
    "consolidated_ema.00-of-01.safetensors",
    "consolidated_ema.00-of-01.pth",
    "consolidated.00-of-01.safetensors",
    "consolidated.00-of-01.pth",
)
ARGUMENTS_NAME = "model_args.pth"
SMALL_NAME = "dit.safetensors"  # the transformer in the folder of a small model


def locate(path: Path) -> tuple[Path, str, list[str]]:
    """Weight file for a path, its layout, and notes for the user."""
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise CheckpointError(f"there is no {path.name} in {path.parent.absolute()}. {ORIGIN}")
    if path.name == ARGUMENTS_NAME:
        raise CheckpointError(
            f"{path.name} holds the training arguments, not weights; choose the "
            "consolidated file beside it, or the folder"
        )
    _refuse_parts(path)
    return path, "file", []


def _in_folder(folder: Path) -> tuple[Path, str, list[str]]:
    for file in sorted(folder.glob("consolidated*")):
        _refuse_parts(file)
    names = (*RELEASED_NAMES, SMALL_NAME)
    file = next((folder / name for name in names if (folder / name).is_file()), None)
    if file is None:
        others = sorted(
            entry
            for pattern in ("*.safetensors", "*.pth", "*.pt")
            for entry in folder.glob(pattern)
            if entry.name != ARGUMENTS_NAME
        )
        if len(others) != 1:
            found = ", ".join(entry.name for entry in others) or "none"
            raise CheckpointError(
                f"no PixWizard weights in {folder.absolute()} (weight files there: {found}). "
                f"{ORIGIN}; put it there, or name the file itself"
            )
        file = others[0]
    notes: list[str] = []
    if (folder / ARGUMENTS_NAME).is_file():
        fields = read_namespace(folder / ARGUMENTS_NAME)
        shown = [key for key in ("model", "image_size", "vae") if key in fields]
        told = [f"{key} {fields[key]!s:.80}" for key in shown]
        notes.append(f"{ARGUMENTS_NAME}: {', '.join(told) or 'no known fields'}")
    return file, "file" if file.name == SMALL_NAME else "released folder", notes


def _refuse_parts(file: Path) -> None:
    parts = re.search(r"[.-](\d{2,5})-of-(\d{2,5})\.", file.name)
    if parts and int(parts[2]) > 1:
        raise CheckpointError(
            f"{file.name} is one of {int(parts[2])} parts of a model split over several devices; "
            f"a file in one part is needed. {ORIGIN}"
        )
