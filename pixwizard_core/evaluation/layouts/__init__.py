"""Datasets as unpacked on disk: which pictures, what to ask, where the truth is.

`common` has what all layouts share; the other files have one function per dataset, which takes the
folder and DatasetOptions and returns pictures with `truth` filled in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import PixWizardError
from ...files.contents import contents
from ...fleet.sources import SourcePicture
from . import dense, editing, generation, referring, restoration, world
from .common import DatasetLayout, DatasetOptions, first_asked

__all__ = ["LAYOUTS", "DatasetLayout", "DatasetOptions", "find_data", "names"]

LAYOUTS: dict[str, DatasetLayout] = {
    **dense.LAYOUTS,
    **referring.LAYOUTS,
    **restoration.LAYOUTS,
    **editing.LAYOUTS,
    **generation.LAYOUTS,
    **world.LAYOUTS,
}


def find_data(name: str, root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """The pictures of a dataset. Raises PixWizardError for a folder without any, saying what was
    expected and what is there, and for lists with other content."""
    layout = LAYOUTS[name]
    split = options.split or layout.splits[0]
    if not root.is_dir():
        raise PixWizardError(f"there is no folder {root}")
    try:
        found = layout.find(root, replace(options, split=split))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise PixWizardError(
            f"the lists in {root} are not those of {name} ({type(error).__name__}: {error}); it "
            f"needs {layout.note}"
        ) from error
    if not found:
        raise PixWizardError(
            f"{root} holds no {name} pictures for {split}: it needs {layout.note}. Found there: "
            f"{contents(root)}"
        )
    return first_asked(found, options.count)


def names() -> Sequence[str]:
    """Names of all datasets."""
    return tuple(LAYOUTS)
