"""Arrays of HDF5 files, and of MATLAB files from version 7.3 on, which are such files, by h5py.

A part of a large array is read without the rest.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ..errors import PixWizardError, reason_of


@contextmanager
def opened_hdf5(path: Path) -> Generator[Any]:
    """The arrays of a file by name, for use in the block. Raises PixWizardError without h5py, and
    for any other file."""
    try:
        import h5py  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise PixWizardError(f"{path.name} needs h5py: pip install h5py") from None
    try:
        with cast(Any, h5py).File(path, "r") as file:
            yield file
    except OSError as error:
        raise PixWizardError(
            f"{path.name} cannot be read as HDF5 (MATLAB 7.3): {reason_of(error, 160)}"
        ) from None


def hdf5_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a file by name, without reading any. Raises PixWizardError as
    opened_hdf5 does."""
    with opened_hdf5(path) as file:
        found = {str(name): getattr(file[name], "shape", None) for name in file}
    return {name: tuple(shape) for name, shape in found.items() if shape is not None}


def hdf5_array(path: Path, name: str, row: int | None = None) -> Any:
    """An array of a file, or one row of its first axis, as NumPy's. Raises PixWizardError when
    there is none of that name, or no such row."""
    with opened_hdf5(path) as file:
        if name not in file:
            there = ", ".join(map(str, file)) or "nothing"
            raise PixWizardError(f"{path.name} holds no {name}; it holds {there:.200}")
        values = file[name]
        if row is None:
            return values[()]
        if row >= len(values):
            raise PixWizardError(f"{path.name}: {name} has {len(values)} rows, and no row {row}")
        return values[row]
