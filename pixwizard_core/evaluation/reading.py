"""Notes for readers of scores on how the answers were read: the shade of near things, and classes
that share a colour."""

from __future__ import annotations

from collections.abc import Sequence

from ..decode.palette import Palette
from ..decode.polarity import BLACK, WHITE
from ..fleet.index import Record


def reading_notes(records: Sequence[Record], palette: Palette) -> list[str]:
    """One sentence for each note. records: with metrics; palette: of the segmentations."""
    depths = [r["metrics"] for r in records if "near_is_white" in r["metrics"]]
    notes = [depth_note(depths)] if depths else []
    mixed = palette.of_one_colour()
    if mixed and any(record["task"] == "segmentation" for record in records):
        notes.append(
            f"Classes of one colour cannot be told apart and are scored as one: {', '.join(mixed)}."
        )
    return notes


def depth_note(metrics: Sequence[dict]) -> str:
    """Which shade was taken for near, and for "auto" how clearly the pictures showed it. metrics:
    those of each depth map."""
    white, count = sum(one["near_is_white"] for one in metrics), len(metrics)
    found = [one["correlation"] for one in metrics if one["correlation"] is not None]
    if not found:
        return f"Depth was read with {WHITE if white else BLACK} as near."
    mean = sum(map(abs, found)) / len(found)
    return (
        f"Depth was read by looking: {WHITE} is near in {white} of {count} pictures, {BLACK} in "
        f"{count - white}; brightness and closeness to the bottom correlate by {mean:.2f} on "
        "average, either way."
    )
