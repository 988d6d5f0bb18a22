"""What the header of a LoRA file says of its training: the words, the tasks, the base model.

The entries are texts. Files of other trainers may name their words in `modelspec.trigger_phrase`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import CheckpointError
from ..json_text import read_json
from .lora_use import LoraUse
from .weightfile import open_weights

WORDS_KEY = "pixwizard.words"  # JSON: the instructions of training, the most frequent first
WORDS_COUNT_KEY = "pixwizard.words_count"  # how many different ones there were
TASKS_KEY = "pixwizard.tasks"  # JSON: ids of tasks of the table
BASE_KEY = "pixwizard.base"  # the model it was trained on
LORAS_KEY = "pixwizard.loras"  # of a model: JSON list of the LoRA files that it contains
TRIGGER_KEY = "modelspec.trigger_phrase"
MOST_WORDS = 64
LONGEST = 400  # characters of a sentence in a list


@dataclass(frozen=True, slots=True)
class LoraHeader:
    """words: sentences that the LoRA was taught, the most frequent first, at most MOST_WORDS.
    count: how many different ones there were. tasks: ids. base: name of the model, "" if unsaid."""

    words: tuple[str, ...] = ()
    count: int = 0
    tasks: tuple[str, ...] = ()
    base: str = ""


def lora_header(
    words: Iterable[str], tasks: Iterable[str], base: str, settings: Mapping[str, object]
) -> dict[str, str]:
    """The entries from which header_of() reads the same. words: the instruction of each example.
    settings: of training, written under their own names."""
    counted = Counter(words)
    header = {name: str(value) for name, value in settings.items()}
    header[BASE_KEY] = base
    if counted:
        known = [sentence for sentence, _ in counted.most_common(MOST_WORDS)]
        header[WORDS_KEY] = json.dumps(known, ensure_ascii=False)
        header[WORDS_COUNT_KEY] = str(len(counted))
    if chosen := list(dict.fromkeys(tasks)):
        header[TASKS_KEY] = json.dumps(chosen)
    return header


def header_of(path: str | Path) -> LoraHeader:
    """What a LoRA file says of itself. Raises CheckpointError for a file that cannot be read and
    for damaged entries."""
    file = open_weights(Path(path))
    said, name = file.metadata, file.path.name
    words = _texts(said, WORDS_KEY, name)
    if not words and (trigger := one_line(said.get(TRIGGER_KEY, ""))):
        words = (trigger,)
    count = said.get(WORDS_COUNT_KEY, "")
    return LoraHeader(
        words[:MOST_WORDS],
        max(int(count) if count.isdecimal() and len(count) < 10 else 0, len(words)),
        _texts(said, TASKS_KEY, name),
        one_line(said.get(BASE_KEY, "")),
    )


def word_lines(name: str, header: LoraHeader) -> list[str]:
    """What a LoRA can be asked, a line each, beginning with its file's name. Says so where the
    header names nothing."""
    if not header.words and not header.tasks:
        return [f"{name} does not say which instructions it was trained on"]
    lines = [f"{name} was trained on the task {task}" for task in header.tasks]
    if header.words:
        more = header.count - len(header.words)
        rest = f" and {more} more" if more > 0 else ""
        lines.append(f"{name} was trained on {len(header.words)} instructions{rest}:")
        lines += [f"    {sentence}" for sentence in header.words]
    return lines


def first_words(header: LoraHeader) -> str:
    """The instruction that a LoRA was trained on most, or "" where the header names none."""
    return header.words[0] if header.words else ""


def one_line(text: str) -> str:
    """The text in one line, without signs that cannot be printed, at most LONGEST characters."""
    plain = " ".join(text[: 4 * LONGEST].split())
    return "".join(sign for sign in plain if sign.isprintable())[:LONGEST]


def tasks_taught(uses: Iterable[LoraUse]) -> frozenset[str]:
    """Ids of the tasks that LoRA files added with a positive strength were trained on. Raises
    CheckpointError."""
    return frozenset(task for use in uses if use.strength > 0 for task in header_of(use.path).tasks)


def _texts(header: Mapping[str, str], key: str, name: str) -> tuple[str, ...]:
    if key not in header:
        return ()
    values = read_json(header[key], f"{name}: the header entry {key} is", CheckpointError)
    listed = cast(list[Any], values) if isinstance(values, list) else [None]
    if not all(isinstance(one, str) for one in listed):
        raise CheckpointError(
            f"{name}: the header entry {key} must be a list of texts; train the LoRA again, or "
            "remove the entry"
        )
    return tuple(line for line in map(one_line, cast(list[str], listed)) if line)
