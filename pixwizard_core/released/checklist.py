"""Which parts of the released model are present, and what to do about the others, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingPartsError
from ..weights.published import PARTS, Part
from .find import PartFile, Search, search
from .places import Folders

HAVE, LACK = "✓", "✗"
PUBLISHED = {**PARTS, "clip_text": PARTS["clip"], "clip_vision": PARTS["clip"]}
NEAR_SHOWN = 3  # files that look like a part and are not


def survey(folders: Folders, names: Sequence[str] = tuple(PARTS)) -> dict[str, Search]:
    """Search for parts. Finds only encoders that suit the transformer found.

    names: keys of PARTS; the transformer is searched first if it is among them.
    """
    found: dict[str, Search] = {}
    for part in (part for part in PARTS.values() if part.name in names):
        model = found["model"].found if "model" in found else ()
        fits = model[0] if model and part.name != "vae" else None
        found[part.name] = search(part.name, part.folders, folders, fits)
    return found


def lines_of(searches: Mapping[str, Search], base: Path | None = None) -> list[str]:
    """A line for each part: where it is, or what to get, from where, its size and where to put it;
    below it what was found instead. base: shorten paths below it."""
    lines = []
    for name, one in searches.items():
        part = PUBLISHED[name]
        lines.append(_present(part, one.found, base) if one.found else _absent(part))
        lines += [f"    not {_shown(path, base)}: {why}" for path, why in _near(one)]
    return lines


def rows_of(searches: Mapping[str, Search], base: Path | None = None) -> list[dict[str, Any]]:
    """What lines_of() says as data for JSON, a row for each part.

    part: its name. title, files, size, page, terms: what to get, how large, from where, and what to
    accept there. folder: where it goes, below the host's folder. found: where it is, "" if missing;
    what: what that file is. near: [file, why it is not the part] of similar files.
    """
    rows = []
    for name, one in searches.items():
        part = PUBLISHED[name]
        first = one.found[0] if one.found else None
        rows.append(
            {
                "part": name,
                "title": part.title,
                "files": list(part.files),
                "size": part.size,
                "page": part.page,
                "terms": part.terms,
                "folder": part.by_hand,
                "found": "" if first is None else _shown(first.path, base),
                "what": "" if first is None else first.what,
                "near": [[_shown(path, base), why] for path, why in _near(one)],
            }
        )
    return rows


def missing(searches: Mapping[str, Search]) -> list[Part]:
    """The parts that were not found."""
    return [PUBLISHED[name] for name, one in searches.items() if not one.found]


def require_parts(
    searches: Mapping[str, Search], advice: Sequence[str] = (), base: Path | None = None
) -> dict[str, PartFile]:
    """The file of each part. Raises MissingPartsError, whose text is the checklist followed by the
    advice, when one is missing."""
    lacking = missing(searches)
    if lacking:
        names = ", ".join(part.title for part in lacking)
        head = f"missing: {names}. What the released model needs:"
        raise MissingPartsError([head, *lines_of(searches, base), *advice], rows_of(searches, base))
    return {name: one.found[0] for name, one in searches.items()}


def _present(part: Part, found: Sequence[PartFile], base: Path | None) -> str:
    first, *rest = found
    more = f"; also {', '.join(_shown(other.path, base) for other in rest)}" if rest else ""
    return f"{HAVE} {part.title}: {_shown(first.path, base)} ({first.what}){more}"


def _absent(part: Part) -> str:
    terms = f"; accept {part.terms} there first" if part.terms else ""
    files = ", ".join(part.files)
    return (
        f"{LACK} {part.title}: {files} ({part.size}) from {part.page}{terms}; "
        f"goes to {part.by_hand}"
    )


def _near(one: Search) -> list[tuple[Path, str]]:
    return [] if one.found else list(one.near[:NEAR_SHOWN])


def _shown(path: Path, base: Path | None) -> str:
    if base is not None and path.is_relative_to(base):
        return path.relative_to(base).as_posix()
    return str(path)
