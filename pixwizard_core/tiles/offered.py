"""Which tasks are answered tile by tile, and how their tiles are joined.

A task is offered where tiles were measured to be better than the enlarged answer (docs/beyond.md,
`pixwizard evaluate beyond --parts larger`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InstructionError
from ..tasks import FREE_TEXT, find_task

LINES = ("canny", "hed", "lineart")
RESTORED = (
    "denoise", "dehaze", "deshadow", "lowlight", "superres", "reflection", "recolour_photo",
)  # fmt: skip
# One answer, enlarged, was better: what is drawn or removed there grows with the picture, and a
# tile shows too little of it.
ENLARGED = (
    "sketch", "derain", "deblur", "desnow", "demoire", "watermark", "restore",
    "restore_captioned",
)  # fmt: skip
UNMEASURED = ("face",)


@dataclass(frozen=True, slots=True)
class Way:
    """How tiles become one picture: their weighted mean. guided: each tile first takes its coarse
    values from the small answer to the whole picture."""

    guided: bool


TILED: dict[str, Way] = {
    **dict.fromkeys(LINES, Way(guided=False)),
    **dict.fromkeys(RESTORED, Way(guided=True)),
}
# Why other tasks are not answered by tiles, by their id or the kind of their answer (Task.decoder).
SMALL = "its answer needs the whole picture at once; leave tiles out"
WORSE = "one answer to the whole picture was measured to be better; leave tiles out"
UNKNOWN = "whether tiles are better than one answer has not been measured; leave tiles out"
REASONS = {
    **dict.fromkeys(ENLARGED, WORSE),
    **dict.fromkeys(UNMEASURED, UNKNOWN),
    **dict.fromkeys(
        ("depth", "normal", "segmentation", "mask", "highlight"),
        "sharp answers follow the picture's edges, and one is enough: use --sharp or Sharpen "
        "Answer",
    ),
    "box": "a box around a thing needs the whole thing in view; leave tiles out",
    "pose": "a skeleton needs the whole person in view; leave tiles out",
}


def way_of(task: str) -> Way:
    """How the tiles of a task are joined. Raises InstructionError, with the reason and what to do,
    for a task that tiles do not serve, or an unknown one."""
    row = find_task(task)
    if task in TILED:
        return TILED[task]
    if task == FREE_TEXT:
        raise InstructionError(
            "tiles need a task instead of an instruction in your own words, whose effect on parts "
            f"of a picture is unknown. They serve: {', '.join(TILED)}"
        )
    reason = REASONS.get(task) or REASONS.get(row.decoder, SMALL)
    raise InstructionError(
        f"task {task!r} is not answered tile by tile: {reason}. Tiles serve: {', '.join(TILED)}"
    )
