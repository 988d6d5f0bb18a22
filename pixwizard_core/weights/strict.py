"""Check that every weight is present, expected and of the right shape, and report all errors at
once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..errors import CheckpointError


def check_shapes(
    source: str, found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise one CheckpointError with every missing, unexpected and misshapen weight."""
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} is {_sides(found[name])}, wanted {_sides(wanted[name])}"
        for name in wanted
        if name in found and tuple(found[name]) != tuple(wanted[name])
    ]
    problems = [
        f"{len(entries)} {kind}: {'; '.join(fold_layers(entries))}"
        for kind, entries in (("missing", missing), ("unexpected", extra), ("misshapen", misshapen))
        if entries
    ]
    if problems:
        raise CheckpointError(
            f"{source} does not fit this PixWizard: {'. '.join(problems)}. "
            "The file is incomplete, edited or of a variant that is not supported"
        )


def fold_layers(entries: Iterable[str]) -> list[str]:
    """Join entries that differ only in the layer number: layers.{0-2}.attention.wq.weight."""
    groups: dict[str, list[int]] = {}
    for entry in entries:
        match = re.match(r"layers\.(\d+)\.", entry)
        pattern = re.sub(r"^layers\.\d+\.", "layers.*.", entry)
        groups.setdefault(pattern, []).extend([int(match[1])] if match else [])
    return [
        pattern.replace("layers.*.", f"layers.{_ranges(numbers)}.", 1) if numbers else pattern
        for pattern, numbers in groups.items()
    ]


def _ranges(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return parts[0] if len(numbers) == 1 else "{" + ",".join(parts) + "}"


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
