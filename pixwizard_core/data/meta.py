"""The released model's META files (YAML): which lists to train on, how much of each, and how often.

META is a list of {path, type, scale, ratio, root}. ratio takes a share of a list, and scale repeats
that share; the fraction of a scale repeats a part of the pairs once more. Each pair's content and
the seed decide which pairs are taken, whatever their order.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import PixWizardError
from ..files.kinds import ending
from ..files.picture_files import replace_file
from ..json_text import read_text
from .lists import PairList, read_list, relative
from .pairs import InstructionPair

YAML_ENDINGS = (".yaml", ".yml")
KEYS = ("path", "type", "scale", "ratio", "root")
DEFAULT_KIND = "image2image"


@dataclass(frozen=True, slots=True)
class PairSource:
    """One entry of META. path: the list. kind: its type, kept as it is. scale: the number of
    repeats, above 0. ratio: the share of pairs to take, above 0 and at most 1. root: the folder
    that the list's paths are relative to; None means the list's own folder."""

    path: Path
    kind: str = DEFAULT_KIND
    scale: float = 1.0
    ratio: float = 1.0
    root: Path | None = None


def read_meta(path: str | Path) -> list[PairSource]:
    """Read the entries of a META file, in order. Its paths are relative to its own folder. Raises
    PixWizardError for an invalid file or entry, with its name and number, and when PyYAML is not
    installed."""
    path = Path(path)
    data: Any = _yaml(path)
    lines = cast("dict[str, Any]", data).get("META") if isinstance(data, dict) else None
    if not isinstance(lines, list) or not lines:
        raise PixWizardError(f"{path.name} has no META, a list of path, type, scale and ratio")
    entries = enumerate(cast("list[Any]", lines), 1)
    return [_source(line, path, f"{path.name}, META {number}") for number, line in entries]


def write_meta(path: str | Path, sources: Sequence[PairSource]) -> None:
    """Write a META file, with paths relative to its folder. Raises PixWizardError when it cannot be
    written."""
    path = Path(path)
    lines = ["META:"]
    for one in sources:
        values: dict[str, str | float] = {
            "path": relative(one.path, path.parent),
            "type": one.kind,
            "scale": _plain(one.scale),
            "ratio": _plain(one.ratio),
        }
        if one.root is not None:
            values["root"] = relative(one.root, path.parent)
        pieces = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
        lines.append("  - " + "\n    ".join(pieces))  # JSON's texts and numbers are YAML's too
    replace_file(path, ("\n".join(lines) + "\n").encode())


def read_pairs(path: str | Path, seed: int = 0) -> PairList:
    """Read the pairs of a list, or of all lists of a META file, sampled and repeated as it says.

    seed: picks the pairs of a share. Raises PixWizardError for an invalid file, and for a list of
    which no pair is left.
    """
    path = Path(path)
    if ending(path) not in YAML_ENDINGS:
        return read_list(path)
    pairs: list[InstructionPair] = []
    notes: list[str] = []
    for source in read_meta(path):
        listed = read_list(source.path, source.root)
        taken = sampled(listed.pairs, source, seed)
        if not taken:
            raise PixWizardError(
                f"{path.name}: {source.path.name} gives no pair at scale {source.scale:g} and "
                f"ratio {source.ratio:g}; raise one of them"
            )
        told = f"{source.path.name}: {len(taken)} of {len(listed.pairs)} pairs, with repeats"
        notes += [*listed.notes, told] if (source.scale, source.ratio) != (1, 1) else listed.notes
        pairs += taken
    return PairList(tuple(pairs), tuple(notes))


def sampled(
    pairs: Sequence[InstructionPair], source: PairSource, seed: int
) -> list[InstructionPair]:
    """Take the share source.ratio of the pairs and repeat it source.scale times, in order. Every
    ratio takes at least one pair. seed: picks the pairs."""
    ranked = sorted(range(len(pairs)), key=lambda i: (_chance(pairs[i], seed, "ratio"), i))
    kept = set(ranked[: max(1, round(len(pairs) * source.ratio))])
    chosen = [pair for i, pair in enumerate(pairs) if i in kept]
    whole = math.floor(source.scale)
    again = sorted(range(len(chosen)), key=lambda i: (_chance(chosen[i], seed, "scale"), i))
    more = set(again[: round(len(chosen) * (source.scale - whole))])
    return chosen * whole + [pair for i, pair in enumerate(chosen) if i in more]


def _chance(pair: InstructionPair, seed: int, what: str) -> str:
    """Return a pair's key in a shuffled order, a hash of its content. Of its paths only the last
    two parts count, so that every machine takes the same share."""
    files = ("/".join(path.parts[-2:]) for path in (pair.input, pair.target) if path)
    said = json.dumps([seed, what, *files, *pair.instructions])
    return hashlib.sha256(said.encode()).hexdigest()


def _source(line: Any, path: Path, where: str) -> PairSource:
    if not isinstance(line, dict) or not isinstance(cast(Any, line).get("path"), str):
        raise PixWizardError(f"{where}: needs a path. Got: {line!r:.80}")
    values = cast("dict[str, Any]", line)
    unknown = [str(name) for name in values if name not in KEYS]
    if unknown:
        raise PixWizardError(f"{where}: {unknown[0]} is not known; it takes {', '.join(KEYS)}")
    root = values.get("root")
    if root is not None and not isinstance(root, str):
        raise PixWizardError(f"{where}: root is a folder. Got: {root!r:.80}")
    scale, ratio = (_number(values, name, where) for name in ("scale", "ratio"))
    if ratio > 1:
        raise PixWizardError(f"{where}: ratio is a share of 1. Got: {ratio:g}; scale repeats")
    kind = str(values.get("type", DEFAULT_KIND))
    start = None if not root else path.parent / root
    return PairSource(path.parent / values["path"], kind, scale, ratio, start)


def _number(values: dict[str, Any], name: str, where: str) -> float:
    value = values.get(name, 1)
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not usable or not math.isfinite(value) or value <= 0:
        raise PixWizardError(f"{where}: {name} is a number above 0. Got: {value!r:.40}")
    return float(value)


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _yaml(path: Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise PixWizardError(f"{path.name} needs PyYAML: pip install pyyaml") from None
    try:
        return cast(Any, yaml).safe_load(read_text(path, PixWizardError))
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise PixWizardError(f"{path.name} is not valid YAML: {told:.200}") from None
