"""The objects of ADE20K's unprocessed pictures, by the 150 classes of its benchmark.

X_seg.png codes an object's class as R / 10 * 256 + G, and B tells objects apart. Names stand beside
it: in X.json (release of 2021) with that class as name_ndx, or in X_atr.txt (release of 2016) with
the place of the object's B among the values in the picture. A name is a list of synonyms. It
belongs to a class that has the same synonyms, or else to the only class that has all of them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CanvasError
from ..json_text import read_json_file, read_text
from ..torch_types import ints, unique

TABLE = Path(__file__).with_name("ade20k_synonyms.csv")
SEPARATOR = "#"
NUMBER, PART, NAME = 0, 1, 3  # columns of a line of X_atr.txt
WHOLE = "0"  # the part level of an object that is no part of another


@dataclass(frozen=True, slots=True)
class ObjectNames:
    """The names of a picture's objects by their class, or else by their number in it."""

    by_class: dict[int, str]
    by_number: dict[int, str]


def synonyms(name: str) -> frozenset[str]:
    """Return the words of a name such as "windowpane, window", in lower case."""
    words = name.replace(";", ",").split(",")
    return frozenset(" ".join(word.lower().split()) for word in words if word.strip())


@cache
def class_of(name: str) -> int:
    """Return the number from 1 to 150 of the class that a name belongs to, or 0 for none."""
    words = synonyms(name)
    exact = [number for number, known in _classes().items() if known == words]
    wider = [number for number, known in _classes().items() if words and words <= known]
    found = exact or wider
    return found[0] if len(found) == 1 else 0


@cache
def _classes() -> dict[int, frozenset[str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {int(row["index"]): synonyms(row["synonyms"]) for row in csv.DictReader(file)}


def read_names(path: Path) -> ObjectNames:
    """Read X.json or X_atr.txt. Raises CanvasError for a file of another kind."""
    if path.suffix == ".json":
        data = read_json_file(path, CanvasError)
        try:
            rows: Any = data["annotation"]["object"]
            named = {int(row["name_ndx"]): str(row["name"]) for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise CanvasError(f"{path.name} names no objects of ADE20K: {error!r:.80}") from None
        return ObjectNames(named, {})
    numbered: dict[int, str] = {}
    for line, text in enumerate(read_text(path, CanvasError).splitlines(), 1):
        cells = [cell.strip() for cell in text.split(SEPARATOR)]
        if text.strip() and (len(cells) <= NAME or not cells[NUMBER].isdecimal()):
            raise CanvasError(f"{path.name}, line {line} names no object. Got: {text:.60}")
        if text.strip() and cells[PART] == WHOLE:
            numbered[int(cells[NUMBER])] = cells[NAME]
    return ObjectNames({}, numbered)


def class_numbers(codes: Tensor, names: ObjectNames) -> tuple[Tensor, bool]:
    """Return the classes (H, W) of the pixels of a _seg.png, 0 for other, and whether objects are
    shown that belong to none of the 150. codes: (H, W, 3), 0..255."""
    kinds = codes[..., 0] // 10 * 256 + codes[..., 1]
    if names.by_class:
        keys, named = kinds, names.by_class
    else:
        values = unique(torch.cat([codes[..., 2].flatten(), codes.new_zeros(1)]))
        keys = torch.searchsorted(values, codes[..., 2].contiguous())
        named = names.by_number
    found = torch.zeros_like(kinds)
    others = False
    for key in ints(unique(keys)):
        number = class_of(named[key]) if key in named else 0
        here = (keys == key) & (kinds > 0)
        found[here] = number
        others = others or (number == 0 and bool(here.any()))
    return found, others
