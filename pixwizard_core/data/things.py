"""Named objects in COCO pictures, from RefCOCO's phrases or as the only object of its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from ..errors import PixWizardError
from ..files.coco_masks import coco_mask
from ..files.contents import contents
from ..files.left_out import LeftOut
from ..files.plain_pickle import read_plain_pickle
from ..json_text import read_json, read_json_file
from .parquet import open_parquet, parquet_files, parquet_rows

REFERENCES = (
    "refs(unc).p", "refs(unc).json", "refs(umd).p", "refs(google).p", "grefs(unc).json",
)  # fmt: skip
INSTANCES = "instances.json"
PARQUET_FOLDER = "data"
# What a reference needs -> the columns that hold it, in two forms of the set.
PARQUET_COLUMNS = {
    "ref_id": ("ref_id",),
    "split": ("split",),
    "sentences": ("sentences",),
    "outlines": ("raw_anns", "anns"),
    "image": ("raw_image_info", "image_info"),
}
NO_TARGET = -1  # gRefCOCO's sentences about nothing in the picture
TRAIN_SPLIT = "train"  # the others are scored on, so they are not built
SEVERAL, CROWD = "one of several objects of its class", "a crowd"


@dataclass(frozen=True, slots=True)
class NamedThing:
    """A named object in a picture. id: unique in its picture and valid as a file name. phrases:
    phrases that refer to it. shapes: its COCO segmentations. height, width: the picture's size in
    px."""

    id: str
    phrases: tuple[str, ...]
    shapes: tuple[Any, ...]
    height: int
    width: int

    def mask(self) -> Tensor:
        """Return the object's pixels (height, width) bool. Raises PixWizardError when pycocotools
        is not installed."""
        return coco_mask(self.shapes, self.height, self.width)


Things = dict[str, tuple[NamedThing, ...]]  # by file name without folder and ending


def find_things(source: str | Path, left_out: LeftOut, split: str = TRAIN_SPLIT) -> Things:
    """Read the named objects of all annotated pictures, by file name without folder and ending.

    source: a RefCOCO, RefCOCO+, RefCOCOg or gRefCOCO folder (references and instances.json), the
    Parquet files that RefCOCO is shared in, or a COCO instances file, whose objects are named after
    their class when they are the only one of it in a picture. split: the split of the references to
    use. Unused annotations are added to left_out. Raises PixWizardError for other or invalid files,
    and when there are no objects.
    """
    source = Path(source)
    if packed := parquet_files(source) or parquet_files(source / PARQUET_FOLDER):
        found = _in_parquet(packed, left_out, split)
    elif source.is_dir():
        found = _referred(source, left_out, split)
    else:
        found = _single_objects(source, left_out)
    if not found:
        raise PixWizardError(
            f"{source} names no object to build from. {' '.join(left_out.lines())}"
        )
    return found


def _referred(folder: Path, left_out: LeftOut, split: str) -> Things:
    path = next((folder / name for name in REFERENCES if (folder / name).is_file()), None)
    if path is None:
        raise PixWizardError(
            f"{folder} has none of {', '.join(REFERENCES)}, and no Parquet files. Found: "
            f"{contents(folder)}"
        )
    images, rows = _annotations(folder / INSTANCES)
    data = _plain(path) if path.suffix == ".p" else _json(path)
    found: dict[str, list[NamedThing]] = {}
    for number, reference in enumerate(cast("list[dict[str, Any]]", data), 1):
        where = path.with_name(f"{path.name}, reference {number}")
        try:
            if _of_another_split(reference, split, where, left_out):
                continue
            given = reference["ann_id"]
            ids = [i for i in cast("list[int]", given if isinstance(given, list) else [given])]
            if NO_TARGET in ids:
                left_out.tell(where, "nothing in the picture is meant")
                continue
            shapes = [rows[i]["segmentation"] for i in ids]
            _add(reference, images[reference["image_id"]], shapes, where, found, left_out)
        except (KeyError, TypeError, AttributeError) as error:
            raise _odd(path, "reference", number, error) from None
    return {stem: tuple(things) for stem, things in found.items()}


def _plain(path: Path) -> Any:
    """The references of a pickle, of which nothing but numbers, text, lists and dictionaries is
    read. Raises PixWizardError, having run nothing, for any other."""
    try:
        return read_plain_pickle(path.read_bytes())
    except PixWizardError as error:
        raise PixWizardError(
            f"{path.name}: {error}. The same references are taken as JSON "
            f"({path.with_suffix('.json').name}), or from the set's Parquet files"
        ) from None


def _in_parquet(files: Sequence[Path], left_out: LeftOut, split: str) -> Things:
    """Objects of Parquet files, whose rows hold a reference each, with picture and outline in
    JSON."""
    found: dict[str, list[NamedThing]] = {}
    for path in files:
        parquet = open_parquet(path)
        there = [str(name) for name in parquet.schema_arrow.names]
        columns = {
            name: column
            for name, names in PARQUET_COLUMNS.items()
            if (column := next((one for one in names if one in there), ""))
        }
        if missing := [names for name, names in PARQUET_COLUMNS.items() if name not in columns]:
            raise PixWizardError(
                f"{path.name} is no RefCOCO: it has no column {' or '.join(missing[0])}. Found: "
                f"{', '.join(there):.200}"
            )
        for number, row in parquet_rows(parquet, list(columns.values()), path):
            where = path.with_name(f"{path.name}, row {number}")
            try:
                cells = {n: _parsed(row[c], where) for n, c in columns.items()}
                if _of_another_split(cells, split, where, left_out):
                    continue
                outlines: Any = cells["outlines"]
                rows = cast("list[Any]", outlines) if isinstance(outlines, list) else [outlines]
                shapes = [one["segmentation"] for one in rows]
                _add(cells, cells["image"], shapes, where, found, left_out)
            except (KeyError, TypeError, AttributeError) as error:
                raise _odd(path, "row", number, error) from None
    return {stem: tuple(things) for stem, things in found.items()}


def _parsed(cell: Any, where: Path) -> Any:
    """A cell, or what its JSON holds."""
    if isinstance(cell, str) and cell[:1] in ("{", "["):
        return read_json(cell, f"{where.name} is", PixWizardError)
    return cell


def _of_another_split(reference: Any, split: str, where: Path, left_out: LeftOut) -> bool:
    other = reference["split"] != split
    if other:
        left_out.tell(where, f"of another split than {split}")
    return other


def _add(
    reference: Any,
    image: Any,
    shapes: list[Any],
    where: Path,
    found: dict[str, list[NamedThing]],
    left_out: LeftOut,
) -> None:
    """Add the object that a reference names. shapes: its outlines."""
    phrases = tuple(dict.fromkeys(_clean(one["sent"]) for one in reference["sentences"]))
    if not all(phrases):
        left_out.tell(where, "a sentence is empty")
        return
    name = f"ref{reference['ref_id']}"
    thing = NamedThing(name, phrases, tuple(shapes), image["height"], image["width"])
    found.setdefault(_stem(image["file_name"]), []).append(thing)


def _odd(path: Path, what: str, number: int, error: Exception) -> PixWizardError:
    return PixWizardError(
        f"{path.name}, {what} {number} is not as RefCOCO's are: {error!r:.100}"
    )


def _single_objects(path: Path, left_out: LeftOut) -> Things:
    images, rows = _annotations(path)
    names = {row["id"]: row["name"] for row in _part(_json(path), "categories", path)}
    kinds = Counter((row["image_id"], row["category_id"]) for row in rows.values())
    found: dict[str, list[NamedThing]] = {}
    for number, row in rows.items():
        where = path.with_name(f"{path.name}, annotation {number}")
        image = images.get(row["image_id"])
        if row.get("iscrowd"):
            left_out.tell(where, CROWD)
        elif kinds[row["image_id"], row["category_id"]] > 1:
            left_out.tell(where, SEVERAL)
        elif image is None or row["category_id"] not in names:
            left_out.tell(where, "of a picture or class that the file does not list")
        else:
            phrase = f"the {names[row['category_id']]}"
            thing = NamedThing(
                f"object{number}", (phrase,), (row["segmentation"],), image["height"],
                image["width"],
            )  # fmt: skip
            found.setdefault(_stem(image["file_name"]), []).append(thing)
    return {stem: tuple(things) for stem, things in found.items()}


def _annotations(path: Path) -> tuple[Mapping[int, Any], Mapping[int, Any]]:
    """Return the pictures and the annotations of a COCO file, each by id."""
    if not path.is_file():
        raise PixWizardError(f"there is no {path}, which holds the outlines of the objects")
    data = _json(path)
    needed = {"images": ("id", "file_name", "height", "width"),
              "annotations": ("id", "image_id", "category_id", "segmentation")}  # fmt: skip
    tables: list[dict[int, Any]] = []
    for part, names in needed.items():
        table: dict[int, Any] = {}
        for number, row in enumerate(_part(data, part, path), 1):
            missing = [name for name in names if name not in row]
            if missing:
                raise PixWizardError(f"{path.name}, {part} {number}: there is no {missing[0]}")
            table[row["id"]] = row
        tables.append(table)
    return tables[0], tables[1]


def _json(path: Path) -> Any:
    return read_json_file(path, PixWizardError)


def _part(data: Any, name: str, path: Path) -> Sequence[dict[str, Any]]:
    rows = cast("dict[str, Any]", data).get(name) if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise PixWizardError(f"{path.name} is no file of COCO's instances: there are no {name}")
    return cast("list[dict[str, Any]]", rows)


def _stem(name: str) -> str:
    return Path(name).stem


def _clean(text: str) -> str:
    return " ".join(text.split())
