"""Where masks fail: scores by the number of visible objects and by how the object is named."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import Tensor

from ..decode import decode_mask
from ..pipeline import Bundle
from ..world.examples import Examples
from ..world.held_out import SQUARE, examples_of
from ..world.pictures import visible
from ..world.scenes import COLOUR_NAMES, SHAPES, SIZES
from .scorers import Scores, score_overlap
from .scoring import ScoringPlan, paint, precision

TASK = "mask"
_COLOUR, _SHAPE, _SIZE = ("|".join(words) for words in (COLOUR_NAMES, SHAPES, SIZES))
# Name in the table -> pattern of such phrases; the first match wins.
KINDS = {
    "beside another (“the cube left of the red ball”)": r"\b(left|right) of\b",
    "by place (“the leftmost object”)": r"\b(leftmost|rightmost|closest|farthest)\b",
    "with its size (“the large cube”)": rf"^the ({_SIZE})\b",
    "colour and shape (“the red ball”)": rf"^the ({_COLOUR}) ({_SHAPE})$",
    "colour (“the red object”)": rf"^the ({_COLOUR}) object$",
    "shape (“the cone”)": rf"^the ({_SHAPE})$",
}


def kind_of(phrase: str) -> str:
    """The kind of one of the world's phrases. Raises ValueError for any other text."""
    for kind, pattern in KINDS.items():
        if re.search(pattern, phrase):
            return kind
    raise ValueError(f"this names no object of the demo world: {phrase!r}")


def groups_of(examples: Examples) -> dict[str, list[int]]:
    """Rows of the examples by objects in view, then by the kind of phrase; a row is in both."""
    counts = visible(examples.truth["instances"]).sum(1).tolist()
    kinds = [kind_of(phrase) for phrase in examples.truth["target"]]
    result = {}
    for count in sorted(set(counts)):
        name = f"{count} object{'s' * (count != 1)} in view"
        result[name] = [row for row, found in enumerate(counts) if found == count]
    for kind in KINDS:
        result[kind] = [row for row, found in enumerate(kinds) if found == kind]
    return {name: rows for name, rows in result.items() if rows}


def score_groups(masks: Tensor, examples: Examples) -> dict[str, tuple[int, Scores]]:
    """Scenes and scores of each group. masks: (n, H, W) bool answers to all the examples."""
    truth = examples.truth["mask"]
    return {
        name: (len(rows), score_overlap(masks[rows], truth[rows]))
        for name, rows in groups_of(examples).items()
    }


def study(
    bundle: Bundle, plan: ScoringPlan, on_batch: Callable[[int], None] = lambda count: None
) -> dict[str, tuple[int, Scores]]:
    """Mask scores by group, of the first plan.count scenes, in trained words."""
    examples = examples_of(TASK, plan.count, SQUARE, plan.seed, False)
    with precision(plan.half, bundle.device):
        settings = plan.settings_of(bundle, TASK)
        painted = paint(bundle, examples, settings, plan.batch, on_batch)
    return score_groups(decode_mask(painted.float()), examples)


def referring_table(groups: dict[str, tuple[int, Scores]]) -> str:
    """Markdown: a row for each group."""
    lines = ["| masks | scenes | mean IoU | found |", "|---|---|---|---|"]
    for name, (count, scores) in groups.items():
        lines.append(f"| {name} | {count} | {scores['iou']:.3f} | {scores['found']:.3f} |")
    return "\n".join(lines)
