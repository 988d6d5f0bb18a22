"""Pictures, captions and maps that measures are compared on."""

from __future__ import annotations

from pathlib import Path

from pixwizard_core.evaluation.answer_files import AnswerFiles
from pixwizard_core.files.picture_files import save_grey16, save_picture
from tests.support.metric_networks import picture

CAPTIONS = ("a red ball on the floor", "two cats", "a street at night")
SHAPES = ((96, 128), (120, 80), (90, 90))  # of inputs and truths
DRAWN = 24  # answers for FID and IS


def write_files(folder: Path) -> list[AnswerFiles]:
    """Three answers of 100 x 140 px with inputs, truths, captions and depth maps."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for n, (height, width) in enumerate(SHAPES):
        for kind, seed, size in (("answer", 0, (100, 140)), ("source", 10, (height, width)),
                                 ("true", 20, (height, width))):  # fmt: skip
            save_picture(folder / f"{n}_{kind}.png", picture(seed + n, *size)[0])
        save_grey16(folder / f"{n}_depth.png", picture(30 + n, 64, 64)[0].mean(0))
        truth = {"file": str(folder / f"{n}_true.png"), "caption": CAPTIONS[n], "question": "q",
                 "source_caption": CAPTIONS[n - 1], "depth": str(folder / f"{n}_depth.png")}
        found.append(AnswerFiles(str(n), f"key {n}", folder / f"{n}_answer.png",
                                 folder / f"{n}_source.png", truth))  # fmt: skip
    return found


def write_set(folder: Path) -> list[AnswerFiles]:
    """DRAWN answers and truths for FID and IS, in folders of their own."""
    found = []
    for n in range(DRAWN):
        for kind, seed in (("answers", 100), ("truths", 200)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            save_picture(folder / kind / f"{n:02}.png", picture(seed + n, 96, 96)[0])
        answer, true = (folder / kind / f"{n:02}.png" for kind in ("answers", "truths"))
        found.append(AnswerFiles(f"{n:02}", f"key {n}", answer, answer, {"file": str(true)}))
    return found
