"""Edits by instruction: the test sets of MagicBrush and Emu Edit.

truth holds what a measure needs besides the answer: the true picture's file, if there is one, and
captions of the pictures before and after.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import PixWizardError
from ...files.contents import contents
from ...files.walk import natural
from ...fleet.items import safe_name
from ...fleet.sources import SourcePicture
from ...json_text import read_json_file
from .common import DatasetLayout, DatasetOptions, asked, folder_with
from .prepare import as_file, prepared_folder
from .rows import has_table, rows_of_table

TURNS, SESSIONS = "edit_turns.json", "edit_sessions.json"
CAPTIONS = "global_descriptions.json"
_NUMBER = re.compile(r"(\d+)$")


def edit_truth(truth: Path | None, before: str, after: str) -> dict[str, Any]:
    """What to compare an edit with. before, after: captions, empty if there are none."""
    found: dict[str, Any] = {"protocol": "measured"}
    if truth is not None:
        found |= {"kind": "picture", "file": str(truth.absolute())}
    return found | {key: text for key, text in
                    (("caption", after), ("source_caption", before)) if text}  # fmt: skip


def magicbrush(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """test/images/<id>/<id>-input.png, -output1.png …, edit_turns.json or edit_sessions.json, and
    global_descriptions.json; or a table with source_img, target_img, instruction, img_id and
    turn_index, which has no captions.

    Each turn is asked on the true picture before it. With turns "multi", each picture names the one
    it follows; see chained().
    """
    place = folder_with(root, "images", TURNS) or folder_with(root, "images", SESSIONS)
    if place is None and has_table(root, options.split):
        return _magicbrush_table(root, options)
    if place is None:
        raise PixWizardError(
            f"{root} holds no MagicBrush: looked for images/ beside {TURNS} or {SESSIONS}, and for "
            f"a table. Found there: {contents(root)}"
        )
    turns = _turns(place)
    captions = {}
    if (place / CAPTIONS).is_file():
        captions = read_json_file(place / CAPTIONS, PixWizardError)
    found = []
    for turn in turns:
        session = turn["input"].split("-")[0]
        folder = place / "images" / session
        texts = captions.get(session, {})
        truth = edit_truth(
            folder / turn["output"], texts.get(turn["input"], ""), texts.get(turn["output"], "")
        )
        number = _turn_number(turn["output"])
        found.append(_turn(folder / turn["input"], session, number, turn["instruction"],
                           truth, options))  # fmt: skip
    return sorted(found, key=lambda one: natural(Path(one.name)))


def _turns(place: Path) -> list[dict[str, str]]:
    """The turns of all sessions, from either list."""
    if (place / TURNS).is_file():
        return read_json_file(place / TURNS, PixWizardError)
    sessions = read_json_file(place / SESSIONS, PixWizardError)
    return [turn for turns in sessions.values() for turn in turns]


def _turn(path: Path, session: str, number: int, instruction: str, truth, options) -> SourcePicture:
    words = asked(options, "edit", caption=instruction)
    truth = {**truth, "session": session, "turn": number}
    return SourcePicture(f"{safe_name(session)}-turn{number}", path, words=words, truth=truth)


def _turn_number(output: str) -> int:
    number = _NUMBER.search(Path(output).stem)
    if number is None:
        raise PixWizardError(f"{output} in {TURNS} ends in no number of a turn")
    return int(number[1])


def _magicbrush_table(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    folder = prepared_folder(options.prepared, "magicbrush", root)
    found = []
    texts, pictures = ("instruction", "img_id", "turn_index"), ("source_img", "target_img")
    for row in rows_of_table(root, options.split, texts, pictures):
        session, number = str(row["img_id"]), int(row["turn_index"])
        stem = f"{safe_name(session)}-{number}"
        before, after = (as_file(row[name], folder, f"{stem}-{name}") for name in pictures)
        found.append(_turn(before, session, number, row["instruction"],
                           edit_truth(after, "", ""), options))  # fmt: skip
        if options.count and len(found) >= options.count:
            break
    return found


def chained(found: list[SourcePicture]) -> list[list[SourcePicture]]:
    """Pictures grouped by turn, first turns first. The answers to one turn are the input of the
    next; see follow()."""
    turns: dict[int, list[SourcePicture]] = defaultdict(list)
    for one in found:
        turns[one.truth["turn"]].append(one)
    return [turns[number] for number in sorted(turns)]


def follow(turn: list[SourcePicture], answers: dict[str, Path]) -> list[SourcePicture]:
    """A turn's pictures with the answers to the previous turn, by session, as input. Leaves out
    sessions without an answer, because they failed."""
    return [
        replace(one, path=answers[one.truth["session"]])
        for one in turn
        if one.truth["session"] in answers
    ]


def emu_edit(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """A table with instruction, image, input_caption and output_caption. If there is a column
    split, leaves out rows of another split. There is no true picture."""
    folder = prepared_folder(options.prepared, "emu-edit", root, options.split)
    texts = ("instruction", "input_caption", "output_caption")
    found, others = [], Counter[str]()
    rows = rows_of_table(root, options.split, texts, ("image",), ("split", "idx"))
    for number, row in enumerate(rows):
        if row.get("split") not in (None, "", options.split):
            others[row["split"]] += 1
            continue
        stem = f"{number:06}"
        truth = edit_truth(None, row["input_caption"], row["output_caption"])
        words = asked(options, "edit", caption=row["instruction"])
        path = as_file(row["image"], folder, stem)
        found.append(SourcePicture(stem, path, words=words, truth=truth))
        if options.count and len(found) >= options.count:
            break
    if others and not found:
        told = ", ".join(f"{count} of {split}" for split, count in others.items())
        raise PixWizardError(
            f"no row of the table in {root} is of the split {options.split}: its column split has "
            f"{told}; choose with --split"
        )
    return found


EDITS = ("l1", "clip", "dino")
LAYOUTS = {
    "magicbrush": DatasetLayout(
        "measured", magicbrush, ("test", "dev"),
        f"test/images/<id>/<id>-input.png and -output1.png …, {TURNS} and {CAPTIONS}; or a table",
        folders=("magicbrush", "MagicBrush"), source="github.com/OSU-NLP-Group/MagicBrush",
        metrics=EDITS,
        choices="each turn edits the true picture before it; scores against the input, as Emu Edit "
        "defines them, and against the true picture, as MagicBrush does; answers in its size",
    ),
    "emu-edit": DatasetLayout(
        "measured", emu_edit, ("test", "validation"),
        "a table with instruction, image, input_caption, output_caption",
        folders=("emu-edit", "emu_edit", "emu_edit_test_set"),
        source="huggingface.co/datasets/facebook/emu_edit_test_set", metrics=EDITS,
        choices="no true picture: L1, CLIP image and DINO compare the answer with the input; rows "
        "with equal captions stay in",
    ),
}  # fmt: skip
