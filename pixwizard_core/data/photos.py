"""The photographs of a folder, with their captions, ready-made maps and named objects."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decode.palette import ade20k
from ..decode.segments import paint
from ..errors import CanvasError, PixWizardError
from ..files.left_out import LeftOut
from ..fleet.items import safe_name
from .codings import ReadMap, read_classes, read_metres, read_normals, read_picture
from .folders import CAPTION, captions_of, pictures_below
from .stored import PICTURE, Stored
from .things import NamedThing, Things

# Folders of maps below the folder that --maps names; each holds pictures of the photographs' names.
METRIC = "depth_m"  # 16-bit distances, 0 = unknown
MAPS = ("depth", METRIC, "normal", "segmentation", "hed", "sketch", "lineart", "pose", "canny")
FARTHEST_M = 10.0  # white in a picture of distances; paper B.4
MOST_UNLIKE = 0.02  # share by which the proportions of a map may differ from its photograph's


@dataclass(frozen=True, slots=True)
class SourcePhoto:
    """A photograph to build from. name: unique and valid as a file name; in a folder, its path
    relative to it without the ending. path: its file. maps: where each available kind of MAPS is
    stored. things: its named objects. stored: its place in the file, when that holds more than
    it."""

    name: str
    path: Path
    captions: tuple[str, ...] = ()
    maps: dict[str, Stored] = field(default_factory=dict[str, Stored])
    things: tuple[NamedThing, ...] = ()
    stored: Stored | None = None

    @property
    def place(self) -> Stored:
        """Where the picture itself is stored."""
        return self.stored or Stored(self.path)

    def digest(self) -> str:
        """Return a SHA-256, in hexadecimal digits, of the photograph, its maps and its captions.
        Raises OSError or PixWizardError when a file cannot be read."""
        told = hashlib.sha256("\n".join((self.name, *self.captions)).encode())
        for kind, stored in (("", self.place), *sorted(self.maps.items(), key=lambda one: one[0])):
            told.update(f"\n{kind}\n".encode())
            told.update(stored.digest())
        return told.hexdigest()

    def absolute(self) -> SourcePhoto:
        """Return the same with absolute paths, for another process."""
        maps = {kind: stored.absolute() for kind, stored in self.maps.items()}
        stored = self.stored.absolute() if self.stored else None
        return replace(self, path=self.path.absolute(), maps=maps, stored=stored)


@dataclass(frozen=True, slots=True)
class PhotoAtWork:
    """An opened photograph.

    image: (1, 3, H, W) in 0..1. maps: painted maps by kind, of the same shape and range. depth_m:
    distances (1, H, W) in metres, 0 where unknown, or None. known: by kind of map, (H, W) bool,
    True where it has a value; only of maps with pixels that have none. notes: by kind of map, what
    had to be assumed or left out.
    """

    image: Tensor
    captions: tuple[str, ...]
    maps: dict[str, Tensor]
    depth_m: Tensor | None = None
    known: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    notes: dict[str, str] = field(default_factory=dict[str, str])


def find_photos(
    folder: str | Path, left_out: LeftOut, maps: str | Path | None = None
) -> list[SourcePhoto]:
    """Find the photographs in a folder and its subfolders, in natural order.

    maps: a folder with subfolders named as in MAPS. Files that are not pictures, maps without a
    photograph and subfolders with other names are added to left_out. Raises PixWizardError when a
    folder is missing, there are no pictures, or maps has none of the subfolders.
    """
    folder = Path(folder)
    if not folder.is_dir():
        hint = "; a dataset's file needs --layout" if folder.is_file() else ""
        raise PixWizardError(f"there is no folder of photographs {folder.absolute()}{hint}")
    photos: list[SourcePhoto] = []
    names: set[str] = set()
    inside = Path(maps).absolute() if maps else None
    for path in pictures_below(folder, left_out, (CAPTION,)):
        if inside and path.absolute().is_relative_to(inside):
            continue
        stem = path.relative_to(folder).with_suffix("")
        name = safe_name(stem)
        if name in names:
            left_out.tell(path, "another picture has the same name without its ending")
            continue
        names.add(name)
        photos.append(SourcePhoto(name, path, tuple(captions_of(path))))
    if not photos:
        raise PixWizardError(f"there is no picture in {folder.absolute()}")
    if maps:
        stems = [photo.path.relative_to(folder).with_suffix("").as_posix() for photo in photos]
        return with_maps(photos, stems, maps, left_out)
    return photos


def with_maps(
    photos: Sequence[SourcePhoto], names: Sequence[str], maps: str | Path, left_out: LeftOut
) -> list[SourcePhoto]:
    """Return the photographs with the maps of a folder with subfolders named as in MAPS; these
    replace maps of the same kind. names: of each photograph's maps, without the ending. Maps
    without a photograph and subfolders with other names are added to left_out. Raises
    PixWizardError when there is no such folder, or none of the subfolders."""
    below = _maps_of(Path(maps), left_out)
    found = [
        replace(
            photo,
            maps=photo.maps
            | {kind: Stored(f) for kind, files in below.items() if (f := files.pop(name, None))},
        )
        for photo, name in zip(photos, names, strict=True)
    ]
    for kind, files in below.items():
        for path in files.values():
            left_out.tell(path, f"a map ({kind}) without a photograph")
    return found


def with_things(
    photos: Sequence[SourcePhoto], things: Things, left_out: LeftOut
) -> list[SourcePhoto]:
    """Return the photographs with their named objects, matched by file name without folder and
    ending.

    Objects of other pictures, and photographs that share their file name with another one, are
    added to left_out and get no objects.
    """
    counts = Counter(photo.path.stem for photo in photos)
    found: list[SourcePhoto] = []
    for photo in photos:
        stem = photo.path.stem
        if counts[stem] > 1 and stem in things:
            left_out.tell(photo.path, "two photographs have this name, so its objects are not used")
        found.append(replace(photo, things=things.get(stem, ()) if counts[stem] == 1 else ()))
    for stem in sorted(things.keys() - counts.keys()):
        left_out.tell(Path(stem), "a picture with named objects that is not there")
    return found


def open_photo(photo: SourcePhoto, side: int, per_metre: float) -> PhotoAtWork:
    """Open a photograph, shrunk to at most side² px, and its maps at the same size.

    side: 0 keeps the size. per_metre: units per metre in a metric depth file. Raises CanvasError
    for a file that cannot be read, and for a map whose proportions differ from the photograph's.
    """
    image = fitted(read_picture(photo.place), side)
    size = (image.shape[2], image.shape[3])
    maps: dict[str, Tensor] = {}
    known: dict[str, Tensor] = {}
    notes: dict[str, str] = {}
    depth_m = None
    for kind, stored in photo.maps.items():
        path = stored.path
        if kind == METRIC:
            read = read_metres(stored, per_metre)
            depth_m = _resized(read.values, size, path, exact=True)[:, 0]
            maps[kind] = (depth_m[:, None] / FARTHEST_M).clamp(0, 1).expand(-1, 3, -1, -1)
            there = depth_m[0] > 0
        elif kind == "normal" and stored.coding != PICTURE:
            read = read_normals(stored)
            normals = _resized(read.values, size, path, exact=True)
            there = normals[0].abs().sum(0) > 0
            maps[kind] = torch.where(there, (normals + 1) / 2, 0.0)
        elif kind == "segmentation":
            read = read_classes(stored)
            maps[kind], there = _painted(read.values, size, path), None
        else:
            read, there = ReadMap(read_picture(stored)), None
            maps[kind] = _resized(read.values, size, path)
        if there is not None and not bool(there.all()):
            known[kind] = there
        if read.note:
            notes[kind] = read.note
    return PhotoAtWork(image, photo.captions, maps, depth_m, known, notes)


def fitted(image: Tensor, side: int) -> Tensor:
    """Shrink a picture (1, 3, H, W) in 0..1 to at most side² px. A smaller picture is returned
    unchanged, and so is any picture when side is 0."""
    height, width = image.shape[2:]
    scale = side / (height * width) ** 0.5 if side else 1
    if scale >= 1:
        return image
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)


def _maps_of(folder: Path, left_out: LeftOut) -> dict[str, dict[str, Path]]:
    """Return kind -> path relative to its folder, without the ending -> file."""
    if not folder.is_dir():
        raise PixWizardError(f"there is no folder of maps {folder.absolute()}")
    found: dict[str, dict[str, Path]] = {}
    for below in sorted(path for path in folder.iterdir() if path.is_dir()):
        if below.name not in MAPS:
            left_out.tell(below, f"a folder of maps is named one of {', '.join(MAPS)}")
            continue
        files = pictures_below(below, left_out)
        found[below.name] = {f.relative_to(below).with_suffix("").as_posix(): f for f in files}
    if not found:
        raise PixWizardError(f"{folder.absolute()} has no subfolder of {', '.join(MAPS)}")
    return found


def _painted(classes: Tensor, size: Sequence[int], path: Path) -> Tensor:
    """A map of ADE20K's classes: numbers 0..150 are painted, colours are taken as they are."""
    shown = _resized(classes, size, path, exact=True)
    if shown.shape[1] == 3:
        return shown
    numbers = shown[:, 0].long()
    if int(numbers.max()) >= len(ade20k()):
        raise CanvasError(
            f"{path.name} has class {int(numbers.max())}; ADE20K's are 0 (other) to "
            f"{len(ade20k()) - 1}"
        )
    return paint(numbers, ade20k())


def at_size(values: Tensor, image: Tensor, name: str) -> Tensor:
    """Resize values (1, C, h, w) to the size of image (1, 3, H, W) by nearest neighbour, so that no
    new values appear. name: the file, for messages. Raises CanvasError when the proportions
    differ."""
    return _resized(values, image.shape[2:], Path(name), exact=True)


def _resized(values: Tensor, size: Sequence[int], path: Path, *, exact: bool = False) -> Tensor:
    """Resize (1, C, h, w) to size, which is (H, W). exact: by nearest neighbour, without new
    values."""
    height, width = values.shape[2:]
    if abs(width * size[0] / (height * size[1]) - 1) > MOST_UNLIKE:
        raise CanvasError(
            f"{path.name} is {width} x {height} px, of other proportions than its photograph "
            f"({size[1]} x {size[0]} px)"
        )
    if (height, width) == tuple(size):
        return values
    if exact:
        return F.interpolate(values, list(size), mode="nearest-exact")
    shown = F.interpolate(values, list(size), mode="bilinear", antialias=True)
    return shown.clamp(0, 1)


def as_mask(known: Tensor) -> Tensor:
    """Convert a mask (H, W) bool to a picture (1, 3, H, W), 1 where True and 0 elsewhere."""
    return known[None, None].to(torch.float32).expand(-1, 3, -1, -1)
