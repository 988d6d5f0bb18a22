"""Fetch the missing parts of the released model into a ComfyUI: check and convert each, and put it
where the loaders search."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..encoders.load import read_source, source_tokenizer
from ..errors import DownloadError, PixWizardError
from ..released.checklist import survey
from ..released.find import Search, identify
from ..released.places import Folders, models_folder
from ..weights.convert import DTYPES, OnTensor, convert
from ..weights.examine import inspect
from ..weights.published import MODEL, PARTS, Part
from ..weights.weightfile import size_in_words
from .hub import Offer, fetch, offer

STAGE = ".pixwizard_get"  # below models; no loader searches it
PRECISIONS = ("bf16", "fp8", "fp8_scaled", "int8")
TOKENIZED = {"gemma": "gemma", "clip": "clip_text"}  # parts with a tokenizer, and for what

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to fetch for a part, and from which repository."""

    part: Part
    repository: str
    offers: tuple[Offer, ...]

    @property
    def n_bytes(self) -> int:
        """The size stated by the hub, else the published one."""
        told = [one.n_bytes for one in self.offers if one.n_bytes is not None]
        return sum(told) if len(told) == len(self.offers) else self.part.n_bytes


def get_parts(
    comfyui: Path,
    folders: Folders,
    precision: str | None,
    repositories: Mapping[str, str],
    say: Say,
    on_tensor: OnTensor | None = None,
) -> list[str]:
    """Fetch what is missing. Returns a line for each part that could not be fetched, with the
    reason.

    precision: of the transformer, one of PRECISIONS; None takes any that is present, else "bf16".
    repositories: other repositories by name of the part. say: called with each step. A part that
    fails does not stop the others. Raises PixWizardError when there is no ComfyUI.
    """
    models, failed = models_folder(comfyui), []
    searches = survey(folders)
    source = source_to_convert(searches["model"], precision)
    wanted = [part for part in PARTS.values() if needed(part, searches[part.name], precision)]
    if source is not None:
        wanted = [part for part in wanted if part is not MODEL]
    plans = []
    for part in wanted:  # ask for all before the first long download
        try:
            plans.append(planned(part, repositories.get(part.name, part.repository), say))
        except PixWizardError as error:
            failed.append(f"{part.title}: {error}")
    if source is not None:
        plans.insert(0, source)
    for plan in plans:
        try:
            if isinstance(plan, Path):
                written = converted(plan, models, precision or "bf16", say, on_tensor)
            else:
                written = installed(plan, models, precision or "bf16", say, on_tensor)
            say(f"wrote {written}")
        except PixWizardError as error:
            title = MODEL.title if isinstance(plan, Path) else plan.part.title
            failed.append(f"{title}: {error}")
    with suppress(OSError):  # unless something unfinished is in it
        (models / STAGE).rmdir()
    return failed


def needed(part: Part, found: Search, precision: str | None) -> bool:
    """Whether a part is missing, or not in the wanted precision."""
    if part is not MODEL or not found.found:
        return not found.found
    return not any(_is_as_wanted(one.path, precision) for one in found.found)


def _is_as_wanted(path: Path, precision: str | None) -> bool:
    info = inspect(path)
    if precision is None:
        return info.layout != "pickle" and info.layout != "released folder"
    plain = {name: str(dtype).removeprefix("torch.") for name, dtype in DTYPES.items()}
    return info.stored == plain.get(precision, precision)


def source_to_convert(found: Search, precision: str | None) -> Path | None:
    """The most precise transformer present that only needs converting, None without."""
    if not found.found or not needed(MODEL, found, precision):
        return None
    exact = ("float32", "bfloat16", "float16")
    usable = [(exact.index(kind), one.path) for one in found.found
              if (kind := inspect(one.path).stored) in exact]  # fmt: skip
    return min(usable)[1] if usable else None


def planned(part: Part, repository: str, say: Say) -> Plan:
    """Query the hub for all files of a part. Raises DownloadError when it refuses or lacks a
    required file."""
    offers = []
    for name in (*part.files, *part.others):
        met = offer(repository, name, part.terms)
        if met is not None:
            offers.append(met)
        elif name in part.files:
            raise DownloadError(
                f"{repository} has no {name}; if the files are elsewhere, give the repository with "
                f"--repo {part.name}=OWNER/NAME"
            )
    plan = Plan(part, repository, tuple(offers))
    count = f"{len(offers)} file{'' if len(offers) == 1 else 's'}"
    say(f"{part.title}: {count}, {size_in_words(plan.n_bytes)}, from {repository}")
    if plan.n_bytes < part.n_bytes // 2:
        say(f"  note: {part.size} was expected; this is not the published file")
    return plan


def installed(
    plan: Plan, models: Path, precision: str, say: Say, on_tensor: OnTensor | None
) -> Path:
    """Fetch a part, check what it is, and put it in its place. Raises PixWizardError."""
    part, stage = plan.part, models / STAGE / plan.part.name
    require_space(plan, models, stage)
    for one in plan.offers:
        file = stage / one.name
        if file.is_file() and file.stat().st_size == one.n_bytes:
            say(f"  {one.name}: already fetched")
            continue
        say(f"  {one.name}: fetching{_resumed(file)}")
        fetch(one, file, part.terms)
    try:
        content = check(part, stage)
    except PixWizardError as error:
        shutil.rmtree(stage, ignore_errors=True)
        raise DownloadError(
            f"what {plan.repository} holds is not what is needed, and was deleted: {error}"
        ) from error
    say(f"  checked: {content}")
    if part is MODEL:
        target = converted(stage / part.files[0], models, precision, say, on_tensor)
    else:
        target = moved(plan, stage, models / part.folders[0] / part.place, say)
    shutil.rmtree(stage, ignore_errors=True)
    return target


def _resumed(file: Path) -> str:
    parts = [part.stat().st_size for part in file.parent.glob(f"{file.name}.*.part")]
    return f", going on after {size_in_words(max(parts))}" if any(parts) else ""


def check(part: Part, stage: Path) -> str:
    """Describe what was fetched, from its names and shapes. Raises PixWizardError when it is not
    the part."""
    place = stage if part.is_folder else stage / part.files[0]
    found = identify(part.name, place)
    if part.name in TOKENIZED:
        kind = TOKENIZED[part.name]
        source_tokenizer(kind, read_source(kind, place))
    return found.what


def require_space(plan: Plan, models: Path, stage: Path) -> None:
    """Raise DownloadError unless the rest of a part and its converted file fit on the disk."""
    there = sum(file.stat().st_size for file in stage.glob("*")) if stage.is_dir() else 0
    rest = max(0, plan.n_bytes - there) + (plan.n_bytes // 2 if plan.part is MODEL else 0)
    free = shutil.disk_usage(models).free
    if rest > free:
        raise DownloadError(
            f"{size_in_words(rest)} are needed on the disk of {models}, {size_in_words(free)} are "
            "free; free some space and run the command again"
        )


def converted(
    source: Path, models: Path, precision: str, say: Say, on_tensor: OnTensor | None
) -> Path:
    """Write the transformer in this precision where loaders search. Raises CheckpointError."""
    folder = models / MODEL.folders[0]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / MODEL.place.replace("bf16", precision)
    say(f"{MODEL.title}: converting {source.name} to {target.name}")
    convert(source, target, precision, on_tensor=on_tensor)
    return target


def moved(plan: Plan, stage: Path, place: Path, say: Say) -> Path:
    """Move fetched files to their place, and report which files they replace."""
    for one in plan.offers:
        target = place / one.name if plan.part.is_folder else place
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            size = size_in_words(target.stat().st_size)
            say(f"  replacing {target} ({size}), which was not usable")
        try:
            os.replace(stage / one.name, target)
        except OSError:  # another disk
            shutil.move(stage / one.name, target)
    return place


def repositories_from(given: Sequence[str]) -> dict[str, str]:
    """Parse PART=OWNER/NAME lines to a mapping. Raises DownloadError for anything else."""
    found = {}
    for line in given:
        name, _, repository = line.partition("=")
        if name not in PARTS or repository.count("/") != 1 or not all(repository.split("/")):
            raise DownloadError(
                f"--repo takes PART=OWNER/NAME with PART one of {', '.join(PARTS)}. "
                f"Got: {line!r:.80}"
            )
        found[name] = repository
    return found
