"""Weight files of the networks that measure pictures: which there are, and where to put them.
Nothing here uses the internet."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import PixWizardError, reason_of
from ...fleet.items import digest
from ...weights.weightfile import open_weights

EXTRA = "pip install 'pixwizard[metrics]'"


class MissingPart(PixWizardError):
    """A measure cannot be taken because a weight file or a package is missing."""


@dataclass(frozen=True, slots=True)
class WeightEntry:
    """files: accepted names, a folder's with a slash. size: approximate, for display. used_by:
    measures. source: where to get it."""

    name: str
    files: tuple[str, ...]
    size: str
    used_by: str
    source: str


@lru_cache(maxsize=1)
def weight_entries() -> dict[str, WeightEntry]:
    """All weights used by measures, by name."""
    path = Path(__file__).with_name("weight_files.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["name"]: WeightEntry(
            row["name"], tuple(row["files"].split("|")), row["size"], row["used_by"], row["source"]
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class WeightFolder:
    """The folder given with --weights, or none."""

    path: Path | None

    def find(self, name: str) -> Path:
        """The file or folder of a weight. Raises MissingPart saying which names were tried and
        where to get it."""
        entry = weight_entries()[name]
        for file in entry.files if self.path else ():
            found = Path(self.path or "") / file
            if found.is_dir() if file.endswith("/") else found.is_file():
                return found
        place = self.path or "--weights, which is not given"
        raise MissingPart(
            f"weight {' or '.join(entry.files)} ({entry.size}) is not in {place}; get it from "
            f"{entry.source}"
        )

    def mark(self, name: str) -> str:
        """Identify the content of a weight by its files' names, sizes and times."""
        found = self.find(name)
        files = sorted(found.rglob("*")) if found.is_dir() else [found]
        facts = [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files]
        return digest(facts)[:16]


def read_state(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file. Raises CheckpointError for any other file."""
    weights = open_weights(path)
    return {name: weights.fetch(name) for name in weights.shapes}


def load_state(network: Any, state: dict[str, Tensor], path: Path) -> None:
    """Load tensors into a network. Raises PixWizardError when they belong to another network."""
    try:
        missing, _ = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = reason_of(error, 200)
        raise PixWizardError(f"{path.name} holds another network ({reason})") from error
    needed = [name for name in missing if not name.endswith("num_batches_tracked")]
    if needed:
        raise PixWizardError(
            f"{path.name} lacks {len(needed)} of the network's tensors, such as {needed[0]}"
        )


def with_packages(what: str, bring: Callable[[], Any]) -> Any:
    """Return what bring() imports. Raises MissingPart when a package is missing or fails to import,
    for example a torchvision built for another torch."""
    try:
        return bring()
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPart(f"{what} needs packages ({reason_of(error, 120)}): {EXTRA}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and bars of a library that loads a network."""
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.disable(before)
        if bars:
            transformers_logging.enable_progress_bar()


def read_network(kind: Any, folder: Path, unused: tuple[str, ...] = (), **options: Any) -> Any:
    """Load a transformers model from a local folder. unused: how the names of tensors begin that
    published files lack, because nothing uses them. Raises PixWizardError when the folder contains
    no such model, or not all of it."""
    network, facts = read_folder(kind, folder, output_loading_info=True, **options)
    needed = sorted(name for name in facts["missing_keys"] if not name.startswith(unused))
    if needed:
        raise PixWizardError(
            f"{folder} lacks {len(needed)} of the network's tensors, such as {needed[0]}"
        )
    return network


def read_folder(loader: Any, folder: Path, **options: Any) -> Any:
    """Load a transformers model or tokenizer from a local folder. Raises PixWizardError when the
    folder does not contain one."""
    try:
        with quiet():
            return loader.from_pretrained(str(folder), local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise PixWizardError(f"{folder} cannot be loaded ({reason_of(error, 200)})") from error
