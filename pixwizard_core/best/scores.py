"""Scores of several answers to one question, by what is known of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..decode import Hints, decode
from ..errors import DecodeError, InstructionError
from ..task_table import RESTORE
from ..tasks import FIRST_COLOUR, FREE_TEXT, TASKS, find_task
from .agreement import Sighting, agreements, inside_share, same_map

GROUNDING = ("mask", "highlight", "box")  # three ways to ask where a thing is
CHANGING = ("recolour", "replace", "remove")  # change the thing they name
OF_MAPS = {f"from_{kind}": kind for kind in TASKS if f"from_{kind}" in TASKS}
AGREEMENT, CONDITION, INSIDE = "agreement", "condition", "inside"
WAYS = {
    AGREEMENT: "overlap with the other answers, and with the same thing asked for in other forms",
    CONDITION: "how well the map that the picture was made from is found in it again",
    INSIDE: "share of all change that lies on the thing that was named",
}
# Each task whose answers can be rated -> how.
RATED: dict[str, str] = {
    **{task: AGREEMENT for task, row in TASKS.items() if row.decoder in GROUNDING},
    **dict.fromkeys(OF_MAPS, CONDITION),
    **dict.fromkeys(CHANGING, INSIDE),
}
# Why the answers to others are not.
ENOUGH = (
    "needs one answer only: taking the nearest to the median of four gained nothing (measured for "
    "depth and denoise). Ask once, without --best or Pick Best"
)
MANY = "has many right answers, so they cannot be rated"
OWN_WORDS = "answers to an instruction in your own words cannot be rated; give a task instead"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What scores go by beside the answers. sightings: of the named thing by other answers; for
    "inside" the first says where the change should be. maps_01: (N, 3, H, W), the map that each
    answer was made from, asked of the answer again."""

    sightings: tuple[Sighting, ...] = ()
    maps_01: Tensor | None = None


def way_of(task: str) -> str:
    """How answers to a task are scored, a key of WAYS. Raises InstructionError, with the reason and
    what to do, for a task of which one answer is enough or many are right, or an unknown one."""
    row = find_task(task)
    if task in RATED:
        return RATED[task]
    why = ENOUGH if row.decoder != "image" or row.family == RESTORE else MANY
    reason = OWN_WORDS if task == FREE_TEXT else f"task {task!r} ({row.title}) {why}"
    raise InstructionError(f"{reason}. The best is found for: {', '.join(RATED)}")


def scores_of(
    task: str, answers_01: Tensor, source_01: Tensor, evidence: Evidence, colour: str = FIRST_COLOUR
) -> tuple[list[float], list[float]]:
    """A score 0..1 for each answer by way_of(task), and how sure each is that the named thing is
    there; the latter is empty for tasks that look for none.

    answers_01: (N, 3, H, W) in 0..1. source_01: (1, 3, H, W), the picture they were asked about.
    colour: of highlights and boxes. Raises DecodeError when the evidence that the way needs is
    missing or of another size.
    """
    way = way_of(task)
    _check(way, answers_01, source_01, evidence)
    if way == AGREEMENT:
        kind = find_task(task).decoder
        own = [sighting_of(kind, one[None], source_01, colour) for one in answers_01]
        scores = agreements(own, evidence.sightings)
        found = [bool(one.mask.any()) for one in own]
        return scores, [score * there for score, there in zip(scores, found, strict=True)]
    if way == CONDITION:
        kind = TASKS[OF_MAPS[task]].decoder
        assert evidence.maps_01 is not None
        return [same_map(kind, one, source_01[0]) for one in evidence.maps_01], []
    place = evidence.sightings[0].mask
    return [inside_share(source_01[0], one, place) for one in answers_01], []


def _check(way: str, answers_01: Tensor, source_01: Tensor, evidence: Evidence) -> None:
    size = tuple(answers_01.shape[-2:])
    given = [tuple(source_01.shape[-2:]), *(tuple(s.mask.shape) for s in evidence.sightings)]
    if evidence.maps_01 is not None:
        given.append(tuple(evidence.maps_01.shape[-2:]))
    if wrong := next((one for one in given if one != size), None):
        raise DecodeError(
            f"answers are {size[1]} x {size[0]} px, what they are compared with {wrong[1]} x "
            f"{wrong[0]} px; give the picture as it was fitted, and masks and maps of that size"
        )
    if way == INSIDE and not evidence.sightings:
        raise DecodeError(
            "the change can only be judged with a mask of the thing that was named; give one"
        )
    if way == CONDITION:
        count = 0 if evidence.maps_01 is None else len(evidence.maps_01)
        if count != len(answers_01):
            raise DecodeError(
                f"{count} maps for {len(answers_01)} answers; ask each answer for the map that it "
                "was made from, and give them in that order"
            )


def sighting_of(kind: str, painted_01: Tensor, source_01: Tensor, colour: str) -> Sighting:
    """Where an answer (1, 3, H, W) of a kind in GROUNDING sees the thing. source_01: of the same
    size."""
    found = decode(kind, painted_01, Hints(source_01, colour))
    if kind != "box":
        return Sighting(found[0])
    mask = torch.zeros(painted_01.shape[-2:], dtype=torch.bool, device="cpu")
    if found[0]:
        left, top, right, bottom = found[0][0].xyxy_px
        mask[top:bottom, left:right] = True
    return Sighting(mask, rectangle=True)
