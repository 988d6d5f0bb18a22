"""FID and Inception Score of a set of answers, from running sums kept on disk, so that an
interrupted run can resume and memory use does not grow with the number of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..files.picture_files import open_picture, replace_file
from ..fleet.items import digest
from .answer_files import AnswerFiles
from .frechet import FeatureSums, ScoreSums, frechet_distance
from .layouts.prepare import middle_square
from .networks.inception import CLASSES, FEATURES, Inception
from .networks.squares import resized

AT_ONCE = 16  # pictures; part of the method, since the sums depend on it in the last bits
KEEP_EVERY = 64  # batches between two writes of the sums
PARTS = 10  # of a set; the Inception Score is their mean
METHOD = 2  # raise it when sums of earlier runs become invalid
FEW = 2 * FEATURES  # a note warns that FID uses fewer pictures than this

Open = Callable[[], Tensor]  # a picture (1, 3, H, W) in 0..1
OnProgress = Callable[[int], None]


def eight_bit(picture_01: Tensor, crop: int = 0) -> Tensor:
    """Convert to (1, 3, H, W) uint8. crop: side in px of the middle square, cut after resizing the
    shorter side to it; 0 for the whole picture."""
    if crop:
        height, width = picture_01.shape[-2:]
        scale = crop / min(height, width)
        size = (max(crop, round(width * scale)), max(crop, round(height * scale)))
        picture_01 = middle_square(resized(picture_01, *size), crop)
    return (picture_01.clamp(0, 1) * 255).round().to(torch.uint8)


def part_of(places: Tensor, total: int) -> Tensor:
    """The part 0..PARTS-1 of each place (B,) in a set: part i begins at i * total // PARTS."""
    return ((places + 1) * PARTS - 1) // total


class SetSums:
    """Sums of one set of pictures, in a file. mark: identifies the set, its pictures in order, and
    how they are processed; a file with another mark is not used."""

    def __init__(self, path: Path, names: Sequence[str], mark: object) -> None:
        self.path = path.with_name(f"{path.name}-{digest([mark, METHOD, list(names)])[:16]}.sums")
        self.total = len(names)
        self.features = FeatureSums.empty(FEATURES)
        self.scores = ScoreSums.empty(CLASSES, PARTS)
        self._read()

    def _read(self) -> None:
        if not self.path.is_file():
            return
        try:
            stored = load_file(self.path)
            features = FeatureSums(int(stored["count"]), stored["total"], stored["outer"])
            scores = ScoreSums(stored["counts"], stored["probabilities"], stored["entropies"])
        except (SafetensorError, KeyError, OSError):
            return  # truncated or damaged: start over
        self.features, self.scores = features, scores

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        count = torch.tensor(self.features.count, dtype=torch.int64, device="cpu")
        stored = {
            "count": count, "total": self.features.total, "outer": self.features.outer,
            "counts": self.scores.counts, "probabilities": self.scores.probabilities,
            "entropies": self.scores.entropies,
        }  # fmt: skip
        replace_file(self.path, save(stored))

    def complete(self, pictures: Sequence[Open], network: Callable[[], Inception],
                 on_progress: OnProgress) -> None:  # fmt: skip
        """Add the pictures that are not counted yet. network: loaded only if there are any."""
        begin = self.features.count
        on_progress(begin)
        if begin >= self.total:
            return
        look = network()
        for number, at in enumerate(range(begin, self.total, AT_ONCE), 1):
            some = [one() for one in pictures[at : at + AT_ONCE]]
            features, logits = look(some)
            places = torch.arange(at, at + len(some), dtype=torch.int64, device="cpu")
            self.features.add(features)
            self.scores.add(logits, part_of(places, self.total))
            if number % KEEP_EVERY == 0:
                self._write()
            on_progress(len(some))
        self._write()


def measure_set(
    shown: Sequence[AnswerFiles],
    reference: Sequence[Path],
    weight: Path,
    mark: str,
    out: Path,
    *,
    device: str = "cpu",
    resize: str = "tf",
    crop: int = 0,
    on_progress: OnProgress = lambda count: None,
) -> dict[str, float]:
    """FID against reference pictures, and the Inception Score. With several draws for one question,
    the mean over the draws. reference: files; without any there is no FID. mark: identifies the
    weight.
    """
    loaded: list[Inception] = []

    def network() -> Inception:
        if not loaded:
            loaded.append(Inception(weight, device, resize))
        return loaded[0]

    how = [mark, resize, crop, torch.device(device).type]
    draws: dict[int, list[AnswerFiles]] = {}
    for one in shown:
        draws.setdefault(one.truth.get("draw", 0), []).append(one)
    real = None
    if reference:
        stats = [(str(path), path.stat().st_size) for path in reference]
        real = SetSums(out / "real", [f"{name}:{size}" for name, size in stats], how)
        real.complete(
            [lambda p=path: eight_bit(open_picture(p), crop) for path in reference],
            network, on_progress,
        )  # fmt: skip
    found: list[tuple[float, float, float]] = []
    for draw, answers in sorted(draws.items()):
        sums = SetSums(out / f"draw{draw}", [one.key for one in answers], how)
        opened = [lambda s=one: eight_bit(replace(s).answer, crop) for one in answers]
        sums.complete(opened, network, on_progress)
        distance = frechet_distance(sums.features, real.features) if real else float("nan")
        found.append((distance, *sums.scores.score()))
    fid, score, spread = (sum(column) / len(found) for column in zip(*found, strict=True))
    scores = {"is": score, "is_spread": spread}
    return {"fid": fid, **scores} if real else scores
