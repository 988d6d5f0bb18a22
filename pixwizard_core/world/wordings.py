"""Many ways to ask for the same task, for training: besides the table's own phrasings, sentences
composed of verbs, nouns and frames, so that the model learns which words matter.

The patterns are in `sentence_patterns`. A sentence that the table keeps out of training is never
made.
"""

from __future__ import annotations

import random
import re
from typing import cast

from ..tasks import TASKS, Fields, fill_fields, instruction
from ..taught import Taught
from .sentence_patterns import PATTERNS, PICTURE

FORM_SHARE = 0.5  # of sentences that are trained forms, for tasks that have any
TABLE_SHARE = 0.4  # of the other sentences that are the table's own phrasings
BARE_TARGET_SHARE = 0.12  # of sentences with "red ball" instead of "the red ball"
POLITE_SHARE = 0.15
PLAIN_END_SHARE = 0.3  # of sentences without their full stop

_GROUP = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]")
_FIELD = re.compile(r"\{(\w+)\}")


def expand(pattern: str, rng: random.Random) -> str:
    """Draw one sentence from a pattern; leaves its fields unfilled."""
    pattern = pattern.replace("{PICTURE}", PICTURE)

    def choose(group: re.Match) -> str:
        if group.group(2) is None:
            return rng.choice(group.group(1).split("|"))
        return rng.choice((*group.group(2).split("|"), *[""] * (group.group(2).count("|") + 1)))

    while True:
        expanded = _GROUP.sub(choose, pattern)
        if expanded == pattern:
            return re.sub(r" (?=[.,:?])", "", " ".join(pattern.split()))
        pattern = expanded


def composed(task_id: str, words: dict[str, str], rng: random.Random) -> str:
    """A sentence from the task's patterns, filled with these words."""
    fits = [pattern for pattern in PATTERNS[task_id] if set(_required(pattern)) <= set(words)]
    pattern = rng.choice(fits)
    if "caption" not in words:
        pattern = pattern.replace("[: {caption}]", "")
    words = dict(words)
    if "target" in words and rng.random() < BARE_TARGET_SHARE:
        words["target"] = words["target"].removeprefix("the ")
    sentence = expand(pattern, rng)
    if rng.random() < POLITE_SHARE:
        sentence = f"please {sentence}"
    if rng.random() < PLAIN_END_SHARE:
        sentence = sentence.removesuffix(".")
    return fill_fields(sentence, words)


def _required(pattern: str) -> list[str]:
    return [f for f in _FIELD.findall(pattern.replace("[: {caption}]", "")) if f != "PICTURE"]


def same(a: str, b: str) -> bool:
    """Whether two sentences have the same words, ignoring capitals and full stops."""
    return re.findall(r"\w+", a.lower()) == re.findall(r"\w+", b.lower())


def form_sentence(task_id: str, form: str, words: dict[str, str]) -> str:
    """One of the task's trained forms, filled with these words."""
    return instruction(task_id, taught=Taught(forms={task_id: (form,)}), **cast(Fields, words))


def ask(task_id: str, words: dict[str, str], rng: random.Random) -> str:
    """An instruction for training: a trained form, one of the table's phrasings, or a composed one;
    never one that the table keeps out. words: the task's fields, as in `Examples.words`."""
    task = TASKS[task_id]
    if task.forms and rng.random() < FORM_SHARE:
        return form_sentence(task_id, rng.choice(task.forms), words)
    if rng.random() < TABLE_SHARE:
        return instruction(task_id, phrasing=rng.choice(task.seen), **cast(Fields, words))
    kept_out = [instruction(task_id, phrasing=i, **cast(Fields, words)) for i in task.held_out]
    while True:
        sentence = composed(task_id, words, rng)
        if not any(same(sentence, other) for other in kept_out):
            return sentence
