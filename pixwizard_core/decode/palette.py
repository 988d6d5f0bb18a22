"""Palettes: the colour of each class. Entry 0 is always the background, black by default."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import DecodeError
from ..json_text import json_list, json_object, read_json
from .common import Rgb, check_rgb, parse_hex

# Title, as choices, files and messages show it -> file beside this one.
ADE20K, TINY_WORLD = "ADE20K (150 classes)", "PixWizard Tiny world"
BUNDLED = {ADE20K: "ade20k150.csv", TINY_WORLD: "tiny_world.csv"}
BACKGROUND = "background"
BLACK = (0, 0, 0)
MOST_CLASSES = 8192  # decoding compares each pixel with each class; ADE20K in full has 3688


@dataclass(frozen=True, slots=True)
class Palette:
    """Class names and their colours, RGB 0..255; a class's index is its place. Raises DecodeError
    when there are not as many names as colours."""

    title: str
    names: tuple[str, ...]
    colours: tuple[Rgb, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colours) or len(self.names) < 2:
            raise DecodeError(
                f"palette {self.title!r} has {len(self.names)} names and {len(self.colours)} "
                "colours; it needs one colour for each name, the background and at least one class"
            )
        if len(self.names) > MOST_CLASSES:
            raise DecodeError(
                f"palette {self.title!r} has {len(self.names)} classes; at most {MOST_CLASSES} can "
                "be told apart in reasonable time"
            )

    def __len__(self) -> int:
        return len(self.names)

    def same_colour(self, index: int) -> tuple[int, ...]:
        """All indices painted in this class's colour; a picture cannot tell them apart."""
        return tuple(i for i, colour in enumerate(self.colours) if colour == self.colours[index])

    def shown_as(self, index: int) -> int:
        """The index that decoding gives for this class: the first of its colour."""
        return self.same_colour(index)[0]

    def label(self, index: int) -> str:
        """The class's name; classes of one colour are named together, "road or skyscraper"."""
        return " or ".join(self.names[i] for i in self.same_colour(index))

    def of_one_colour(self) -> list[str]:
        """Labels of the classes that share their colour, such as "road or skyscraper"."""
        firsts = (i for i in range(len(self)) if len(self.same_colour(i)) > 1)
        return [self.label(i) for i in firsts if self.shown_as(i) == i]

    @classmethod
    def from_mapping(cls, title: str, colours: Mapping[str, object]) -> Palette:
        """From name to colour, either three numbers 0..255 or "#rrggbb"; the background comes
        first, black when it is not named."""
        rows = [(name.strip(), _colour(value)) for name, value in colours.items()]
        behind = [row for row in rows if row[0].lower() == BACKGROUND] or [(BACKGROUND, BLACK)]
        rows = behind[:1] + [row for row in rows if row[0].lower() != BACKGROUND]
        return cls(title, *(tuple(column) for column in zip(*rows, strict=True)))


@lru_cache
def bundled_palette(title: str) -> Palette:
    """One of BUNDLED by its title. Raises DecodeError for an unknown title."""
    if title not in BUNDLED:
        raise DecodeError(f"there is no palette {title!r}; choose one of: {', '.join(BUNDLED)}")
    return read_palette(Path(__file__).with_name(BUNDLED[title]).read_text(encoding="utf-8"), title)


def ade20k() -> Palette:
    """The 150 classes of ADE20K in the colours that segmentation ControlNets use."""
    return bundled_palette(ADE20K)


def tiny_world() -> Palette:
    """The classes of the demo world, in the colours that the bundled model paints them."""
    return bundled_palette(TINY_WORLD)


def read_palette(text: str, title: str = "palette") -> Palette:
    """A palette from the text of a JSON or CSV file.

    JSON: {"sky": [6, 230, 230], ...} or [{"name": "sky", "colour": "#06e6e6"}, ...]. CSV: a heading
    with name and r, g, b, or name and colour ("#rrggbb"); other columns are ignored. Raises
    DecodeError naming the row.
    """
    text = text.lstrip("\ufeff").strip()
    if not text:
        raise DecodeError(f"palette {title!r} is empty")
    pairs = _json_pairs(text, title) if text[0] in "[{" else _csv_pairs(text, title)
    colours: dict[str, object] = {}
    for name, value in pairs:
        if name in colours:
            raise DecodeError(f"palette {title!r} has the class {name!r} twice")
        colours[name] = value
    return Palette.from_mapping(title, colours)


def _json_pairs(text: str, title: str) -> list[tuple[str, object]]:
    data = read_json(text, f"palette {title!r} is", DecodeError)
    named = json_object(data)
    if named is not None:
        return list(named.items())
    pairs: list[tuple[str, object]] = []
    for number, given in enumerate(json_list(data) or [], 1):
        row = json_object(given) or {}
        colour: object = next((row[k] for k in ("colour", "color", "rgb") if k in row), None)
        if colour is None or "name" not in row:
            raise DecodeError(
                f'palette {title!r}, entry {number}: needs "name" and "colour". Got: {given!r}'
            )
        pairs.append((str(row["name"]), colour))
    return pairs


def _csv_pairs(text: str, title: str) -> list[tuple[str, object]]:
    try:
        reader = csv.DictReader(text.splitlines(), skipinitialspace=True, restval="")
        rows = list(reader)
    except csv.Error as error:  # a field of more than 131072 characters
        raise DecodeError(f"palette {title!r} is not valid CSV: {error}") from None
    fields = {(field or "").strip().lower(): field for field in reader.fieldnames or ()}
    single = next((fields[k] for k in ("colour", "color", "hex") if k in fields), None)
    if "name" not in fields or not (single or all(c in fields for c in "rgb")):
        raise DecodeError(
            f"palette {title!r}: the first line must name the columns name,r,g,b or name,colour. "
            f"Got: {text.splitlines()[0]!r}"
        )
    name = fields["name"]
    if single:
        return [(row[name], row[single]) for row in rows]
    return [(row[name], [row[fields[c]] for c in "rgb"]) for row in rows]


def _colour(value: object) -> Rgb:
    return parse_hex(value) if isinstance(value, str) else check_rgb(value)
