"""Where a photograph or a map is stored: a picture file, or an array in a file of a dataset."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..files.hdf5_files import hdf5_array

PICTURE = "picture"  # a file of its own that holds a picture, distances or numbers of classes
NYU_PICTURE, NYU_DEPTH = "NYU picture", "NYU depth"  # a row of an array in NYU's one file
HYPERSIM_RAYS = "Hypersim distances"  # along the ray of each pixel
HYPERSIM_NORMALS = "Hypersim normals"
ADE20K_PARTS = "ADE20K parts"  # an unprocessed _seg.png; the file beside it names the objects


@dataclass(frozen=True, slots=True)
class Stored:
    """A photograph or a map on disk.

    coding: how it is stored, PICTURE or another constant of this file. array, row: its place in a
    file of many. beside: a second file that its reading needs. camera: 9 numbers, row by row, of
    the matrix that turns a place (u, v, 1), each of -1 to 1 from left to right and from bottom to
    top, into a ray of the camera; none if not known.
    """

    path: Path
    coding: str = PICTURE
    array: str = ""
    row: int = 0
    beside: Path | None = None
    camera: tuple[float, ...] = ()

    def digest(self) -> bytes:
        """Return a SHA-256 of everything that its reading depends on. Raises OSError or
        PixWizardError when a file cannot be read."""
        if self.coding == PICTURE:
            return hashlib.sha256(self.path.read_bytes()).digest()
        facts = (self.coding, self.array, self.row, self.camera)
        told = hashlib.sha256(repr(facts).encode())
        if self.array:
            told.update(hdf5_array(self.path, self.array, self.row).tobytes())
        else:
            told.update(self.path.read_bytes())
        if self.beside is not None:
            told.update(self.beside.read_bytes())
        return told.digest()

    def absolute(self) -> Stored:
        """Return the same with absolute paths, for another process."""
        beside = self.beside.absolute() if self.beside else None
        return Stored(
            self.path.absolute(), self.coding, self.array, self.row, beside, self.camera
        )  # fmt: skip
