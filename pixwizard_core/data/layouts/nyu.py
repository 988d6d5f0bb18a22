"""NYU Depth V2's labelled pictures: one MATLAB 7.3 file with all pictures and distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import PixWizardError
from ...files.hdf5_files import hdf5_shapes
from ...files.left_out import LeftOut
from ...files.matlab_files import matlab_values
from ..photos import METRIC, SourcePhoto
from ..stored import NYU_DEPTH, NYU_PICTURE, Stored
from .found import OTHER_SPLIT, FoundPhotos, not_there

FILE, SPLITS, TRAIN = "nyu_depth_v2_labeled.mat", "splits.mat", "trainNdxs"
PICTURES = "images"
DEPTHS = ("rawDepths", "depths")  # as measured, 0 where unknown; with the gaps filled in
DIGITS = 4


def find_nyu(source: Path, left_out: LeftOut) -> FoundPhotos:
    """Return the pictures of nyu_depth_v2_labeled.mat, or of the file in a folder, with distances.

    Only the training split is taken when splits.mat is beside the file. Raises PixWizardError
    without h5py, and for a file that lacks the arrays.
    """
    file = source / FILE if source.is_dir() else source
    if not file.is_file():
        raise not_there(source, FILE)
    shapes = hdf5_shapes(file)
    depths = next((name for name in DEPTHS if name in shapes), None)
    if PICTURES not in shapes or depths is None:
        there = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no array"
        raise PixWizardError(
            f"{file.name} is laid out otherwise: looked for {PICTURES} and {' or '.join(DEPTHS)}. "
            f"Found: {there:.200}"
        )
    count, (_, *pixels) = shapes[PICTURES][0], shapes[PICTURES][1:]
    if shapes[depths] != (count, *pixels):
        raise PixWizardError(
            f"{file.name}: {depths} should have the size of {PICTURES}, {(count, *pixels)}. Got: "
            f"{shapes[depths]}"
        )
    chosen = _training(file, count)
    photos: list[SourcePhoto] = []
    for row in range(count):
        name = f"{row + 1:0{DIGITS}d}"  # numbered from 1, as the split does
        if chosen is not None and row + 1 not in chosen:
            left_out.tell(file.with_name(name), OTHER_SPLIT)
            continue
        maps = {METRIC: Stored(file, NYU_DEPTH, depths, row)}
        picture = Stored(file, NYU_PICTURE, PICTURES, row)
        photos.append(SourcePhoto(name, file.with_name(f"{name}.png"), (), maps, (), picture))
    notes: list[str] = []
    if chosen is None:
        notes = [f"{SPLITS} is not beside {file.name}, so pictures that are scored on are used too"]
    return FoundPhotos(photos, notes)


def _training(file: Path, count: int) -> set[int] | None:
    """Return the numbers of the training split, from 1, or None without splits.mat."""
    path = file.with_name(SPLITS)
    if not path.is_file():
        return None
    values: dict[str, Any] = matlab_values(str(path))
    if TRAIN not in values:
        raise PixWizardError(f"{path.name} holds {', '.join(values) or 'nothing'}, and no {TRAIN}")
    chosen = {int(number) for number in values[TRAIN].flat}
    if not chosen or min(chosen) < 1 or max(chosen) > count:
        raise PixWizardError(
            f"{path.name}: {TRAIN} should number pictures from 1 to {count}; it is of another file"
        )
    return chosen
