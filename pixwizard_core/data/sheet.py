"""A contact sheet: random pairs of a list, input next to target, with their instructions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CanvasError, PixWizardError
from ..files.lettering import letters
from ..files.picture_files import open_picture
from .chance import generator_of
from .pairs import InstructionPair

CELL = 160  # px a side of each picture
LINE = 22  # px of the line of words above them
LETTER = 12
GAP = 6
COLUMNS = 4
PAPER = 1.0


def contact_sheet(pairs: Sequence[InstructionPair], count: int = 24, seed: int = 0) -> Tensor:
    """Draw a contact sheet (3, H, W) in 0..1 of up to count random pairs, in the order of the list.

    seed: picks the pairs. A picture that cannot be read is shown in grey. Raises PixWizardError
    when there are no pairs, or count is below 1.
    """
    if not pairs or count < 1:
        raise PixWizardError("a contact sheet needs at least one pair")
    drawn = torch.randperm(len(pairs), generator=generator_of(seed, "sheet"))
    order = [int(index) for index in drawn]
    chosen = [pairs[index] for index in sorted(order[:count])]
    cells = [_cell(pair) for pair in chosen]
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    tall, wide = cells[0].shape[1] + GAP, cells[0].shape[2] + GAP
    sheet = torch.full((3, rows * tall + GAP, columns * wide + GAP), PAPER)
    for number, cell in enumerate(cells):
        top, left = GAP + number // columns * tall, GAP + number % columns * wide
        sheet[:, top : top + cell.shape[1], left : left + cell.shape[2]] = cell
    return sheet


def _cell(pair: InstructionPair) -> Tensor:
    cell = torch.full((3, LINE + CELL, 2 * CELL + GAP), PAPER)
    ink = letters(pair.instructions[0], LETTER)[:LINE, : cell.shape[2]]
    cell[:, : ink.shape[0], : ink.shape[1]] = 1 - ink
    for left, path in ((0, pair.input), (CELL + GAP, pair.target)):
        try:
            picture = open_picture(path)[0] if path else torch.zeros(3, CELL, CELL)
        except CanvasError:
            picture = torch.full((3, CELL, CELL), 0.5)
        small = _within(picture)
        cell[:, LINE : LINE + small.shape[1], left : left + small.shape[2]] = small
    return cell


def _within(picture: Tensor) -> Tensor:
    """Resize a picture (3, H, W) to fit into CELL x CELL px, keeping its proportions."""
    height, width = picture.shape[1:]
    scale = CELL / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(picture[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
