"""Class maps from flat-coloured answer pictures: the nearest colour of a palette wins (paper
B.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from ..errors import DecodeError
from ..torch_types import ints, unique
from .common import Rgb, picture
from .components import label, nearest_outside
from .palette import Palette

CHUNK_PX = 4096  # colours compared with the whole palette at a time, to fit in the CPU's cache
LEVELS = 256  # of each of red, green and blue
INT32_BITS = 12  # of the class; with a squared distance below 2^18 they fit in 31 bits


@dataclass(frozen=True, slots=True)
class Segments:
    """Classes of a batch. labels: (B, H, W) long, palette indices, 0 = background. distance: (B, H,
    W) float32, how far the painted colour was from the palette's, 0..442 in 8-bit RGB. Classes that
    share a colour get the first one's index."""

    labels: Tensor
    distance: Tensor
    palette: Palette


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One class present in a picture. area_percent of the picture's pixels."""

    index: int
    name: str
    rgb: Rgb
    area_percent: float

    def values(self) -> dict[str, Any]:
        """The same as JSON values, the area in hundredths."""
        return {**asdict(self), "rgb": list(self.rgb), "area_percent": round(self.area_percent, 2)}


def decode_segments(
    image_01: Tensor, palette: Palette, max_distance: float | None = None
) -> Segments:
    """Nearest palette colour by L2 over 8-bit RGB: (B, C, H, W) in 0..1 to Segments.

    max_distance: colours farther than this from every class become background (None: never); about
    60 drops the blends along borders. Works in pieces, so memory does not grow with palette times
    picture.
    """
    answer = picture(image_01)
    batch, _, height, width = answer.shape
    labels = torch.empty(batch, height, width, dtype=torch.long, device=answer.device)
    distance = torch.empty(batch, height, width, device=answer.device, dtype=torch.float32)
    bits = _bits_of(len(palette))
    for i, one in enumerate(answer):
        found = _each_colour_once(one, palette)
        labels[i], distance[i] = found & (1 << bits) - 1, found >> bits
        distance[i].sqrt_()
    if max_distance is not None:
        labels[distance > max_distance] = 0
    return Segments(labels, distance, palette)


def _each_colour_once(image_01: Tensor, palette: Palette) -> Tensor:
    """The result of nearest() for each pixel of (3, H, W) in 0..1. Looks up each colour once, since
    painted answers have far fewer colours than pixels."""
    red, green, blue = (image_01 * (LEVELS - 1)).round_()
    # Whole numbers below 2^24, which float32 holds exactly.
    packed = red.mul_(LEVELS).add_(green).mul_(LEVELS).add_(blue).int()
    colours = _present(packed)
    found = nearest(colours, palette)
    table = found.new_empty(LEVELS**3)
    table[colours] = found
    return table.index_select(0, packed.flatten()).view_as(packed)


def _present(packed: Tensor) -> Tensor:
    """The colours that occur, ascending, (N,) long. Faster than sorting the pixels."""
    seen = torch.zeros(LEVELS**3, dtype=torch.bool, device=packed.device)
    seen[packed.flatten()] = True
    return seen.nonzero()[:, 0]


def nearest(colours: Tensor, palette: Palette) -> Tensor:
    """The nearest class of 8-bit colours (N,), packed as (red * 256 + green) * 256 + blue.

    Returns (N,) whole numbers: the squared distance, and in the last _bits_of(classes) bits the
    class. The smallest number is thus the nearest class, or the first of several equally near.
    """
    bits = _bits_of(len(palette))
    # Whole numbers of this size are exact in float64, in any order of summing: no ties by rounding.
    place = colours.device if colours.device.type in ("cpu", "cuda") else torch.device("cpu")
    classes = torch.tensor(palette.colours, dtype=torch.float64, device=place)
    base = classes.square().sum(1) * (1 << bits)
    base += torch.arange(len(palette), device=place, dtype=torch.int64)
    kind = torch.int32 if bits <= INT32_BITS else torch.int64
    found = torch.empty(len(colours), dtype=kind, device=place)
    for start in range(0, len(colours), CHUNK_PX):
        part = colours[start : start + CHUNK_PX].to(place)
        # Colours along the rows, so that the smallest of many is found for several at a time.
        rgb = torch.stack([part >> 16, part >> 8 & 255, part & 255]).double()
        smallest = torch.addmm(base[:, None], classes, rgb, alpha=-(2 << bits)).amin(0)
        found[start : start + CHUNK_PX] = smallest + rgb.square_().sum(0) * (1 << bits)
    return found.to(colours.device)


def _bits_of(count: int) -> int:
    """Bits of the numbers 0 to count - 1."""
    return (count - 1).bit_length()


def drop_speckles(labels: Tensor, min_area: int) -> Tensor:
    """Labels (B, H, W) in which regions of fewer than min_area px have taken the label of the
    nearest pixel of a larger region. A picture without any larger region stays as it is."""
    cleaned = labels.clone()
    for one, result in zip(labels, cleaned, strict=True):
        small = torch.zeros_like(one, dtype=torch.bool)
        for index in unique(one):
            regions, count = label(one == index)
            areas = regions.flatten().bincount(minlength=count + 1)
            areas[0] = min_area  # whatever is not of this class
            small |= (areas < min_area)[regions]
        if bool(small.any()) and not bool(small.all()):
            result[:] = one[nearest_outside(small)]
    return cleaned


def paint(labels: Tensor, palette: Palette) -> Tensor:
    """Palette colours of (B, H, W) labels as a picture (B, 3, H, W) in 0..1."""
    table = torch.tensor(palette.colours, dtype=torch.float32, device=labels.device) / 255
    return table[labels].movedim(-1, 1)


def legend(labels: Tensor, palette: Palette) -> list[LegendEntry]:
    """Classes present in labels of any shape, largest first; classes of one colour are named
    together."""
    counts = labels.flatten().bincount(minlength=len(palette)).cpu()
    present = counts.nonzero()[:, 0]
    present = present[counts[present].argsort(descending=True, stable=True)]
    return [
        LegendEntry(i, palette.label(i), palette.colours[i], 100 * int(counts[i]) / labels.numel())
        for i in ints(present)
    ]


def find_classes(names: str | Sequence[str], palette: Palette) -> tuple[int, ...]:
    """Indices of classes by name. names: a list, or text with commas; * and ? stand for any text or
    letter.

    Matching ignores case. "*" means all classes but the background. Raises DecodeError, with the
    nearest names, when something matches no class.
    """
    patterns = names.split(",") if isinstance(names, str) else list(names)
    patterns = [p.strip().lower() for p in patterns if p.strip()]
    if not patterns:
        raise DecodeError("no class named; write names such as: sky, wall, or * for all")
    known = [name.lower() for name in palette.names]
    found: set[int] = set()
    for pattern in patterns:
        first = 1 if pattern == "*" else 0
        hits = [i for i, name in enumerate(known) if i >= first and fnmatchcase(name, pattern)]
        if not hits:
            near = get_close_matches(pattern, known, 5, 0.5) or known[1:6]
            raise DecodeError(
                f"{palette.title} has no class {pattern!r}; did you mean one of: {', '.join(near)}?"
            )
        found.update(hits)
    return tuple(sorted(found))


def not_told_apart(names: str | Sequence[str], palette: Palette) -> list[str]:
    """The named classes that share their colour with a class that was not named, such as "road or
    skyscraper". Raises DecodeError as find_classes does."""
    named = set(find_classes(names, palette))
    mixed = [i for i in named if not named.issuperset(palette.same_colour(i))]
    return [palette.label(i) for i in sorted(mixed)]


def class_mask(labels: Tensor, names: str | Sequence[str], palette: Palette) -> Tensor:
    """Select the pixels of any named class: labels (B, H, W) to (B, H, W) bool. See find_classes
    for names."""
    wanted = torch.zeros(len(palette), dtype=torch.bool, device="cpu")
    for index in find_classes(names, palette):
        wanted[palette.shown_as(index)] = True
    return wanted.to(labels.device)[labels]
