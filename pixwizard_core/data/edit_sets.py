"""Pairs of the published edit sets, from the Parquet files that they are shared in.

Pictures are written beside the list as they are stored, byte by byte; nothing is encoded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import CanvasError, PixWizardError
from ..files.left_out import LeftOut
from ..files.picture_files import picture_size, replace_file
from ..fleet.items import safe_name
from .pairs import InstructionPair
from .parquet import open_parquet, parquet_rows

ROW_DIGITS = 6
# First bytes of a picture -> the ending of its file.
KINDS = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"RIFF", ".webp"), (b"GIF8", ".gif"))


@dataclass(frozen=True, slots=True)
class EditColumns:
    """The columns of a published edit set that hold the input, the instruction and the target."""

    name: str
    input: str
    instruction: str
    target: str


EDIT_SETS = (
    EditColumns("InstructPix2Pix", "original_image", "edit_prompt", "edited_image"),
    EditColumns("MagicBrush", "source_img", "instruction", "target_img"),
    EditColumns("UltraEdit", "source_image", "edit_prompt", "edited_image"),
    EditColumns("HQ-Edit", "input_image", "edit", "output_image"),
)


def columns_of(names: Sequence[str], where: str) -> EditColumns:
    """Recognise an edit set by its column names. where: begins the message. Raises PixWizardError
    for an unknown set."""
    for known in EDIT_SETS:
        if {known.input, known.instruction, known.target} <= set(names):
            return known
    told = "; ".join(f"{s.name}: {s.input}, {s.instruction}, {s.target}" for s in EDIT_SETS)
    raise PixWizardError(
        f"{where} has columns of no edit set that is known ({told}). Got: {', '.join(names):.200}"
    )


def unpack(files: Sequence[Path], pictures: str | Path) -> tuple[list[InstructionPair], LeftOut]:
    """Write the pictures of all rows to the folder pictures. Returns the pairs, and what was left
    out.

    A row with a missing instruction, or a missing or broken picture, is left out and reported.
    Unused columns are reported once per file. Raises PixWizardError when pyarrow is not installed,
    a file is not Parquet or not of a known set, or no row is complete.
    """
    pictures, left = Path(pictures), LeftOut()
    pairs: list[InstructionPair] = []
    for path in files:
        parquet = open_parquet(path)
        names = [str(name) for name in parquet.schema_arrow.names]
        columns = columns_of(names, path.name)
        used = [columns.input, columns.instruction, columns.target]
        for name in names:
            if name not in used:
                left.tell(path, f"column {name} is not used")
        for number, row in parquet_rows(parquet, used, path):
            where = f"{path.name}, row {number}"
            stem = f"{safe_name(path.stem)}-{number:0{ROW_DIGITS}d}"
            try:
                pairs.append(_pair(row, columns, pictures, stem, where))
            except CanvasError as error:
                left.tell(path.with_name(where), str(error))
    if not pairs:
        raise PixWizardError(f"there is no whole pair in the files. {' '.join(left.lines())}")
    return pairs, left


def _pair(
    row: Mapping[str, Any], columns: EditColumns, pictures: Path, stem: str, where: str
) -> InstructionPair:
    words = row[columns.instruction]
    if not isinstance(words, str) or not words.strip():
        raise CanvasError(f"{columns.instruction} is empty")
    before = _write(row[columns.input], pictures / "input" / stem, columns.input)
    after = _write(row[columns.target], pictures / "target" / stem, columns.target)
    width, height = picture_size(after)
    picture_size(before)  # raises for a broken one
    return InstructionPair(before, after, (words.strip(),), "edit", None, width, height, where)


def _write(cell: Any, place: Path, column: str) -> Path:
    """Write the picture in a cell, given as bytes or as a struct with bytes. Returns its path.
    Raises CanvasError for any other content."""
    data = cast("dict[str, Any]", cell).get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes) or not data:
        raise CanvasError(f"{column} holds no picture")
    kind = next((end for head, end in KINDS if data.startswith(head)), "")
    if not kind:
        raise CanvasError(f"{column} holds no PNG, JPEG, WebP or GIF")
    path = place.with_name(place.name + kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)
    return path
