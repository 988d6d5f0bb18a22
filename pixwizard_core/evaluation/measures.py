"""Measures of single answers: what each needs, how to compute it, and the total for a set.

FID and IS apply to sets; see set_measures. A picture without the data that a value needs (a
caption, a true picture) gets no such value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from .. import metrics
from .answer_files import AnswerFiles
from .layouts.prepare import canny_lines

Values = dict[str, Any]  # numbers, and a text to group them by
Take = Callable[[Sequence[AnswerFiles]], list[Values]]
HPS_PART = 80  # pictures; the benchmark computes its spread over parts of this size
BEST_DB = 100.0


@dataclass(frozen=True, slots=True)
class Measure:
    """weight: a name in networks.weight_files, "" for none. build: makes a function of answers from
    the weight's file (None without) and a device. total: turns the values by picture, in order,
    into a set's scores. method: a version; raise it when values of earlier runs become invalid.
    at_once: answers in one batch."""

    weight: str
    build: Callable[[Path, str], Take]
    total: Callable[[Sequence[Values]], Values]
    method: int = 1
    at_once: int = 8


def mean_of_each(rows: Sequence[Values]) -> Values:
    """The mean of each value over the pictures that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: math.fsum(values) / len(values) for name, values in found.items()}


def _l1(path: Path, device: str) -> Take:
    def one(shown: AnswerFiles) -> Values:
        found = {"l1_source": metrics.l1(shown.as_large_as(shown.source), shown.source)}
        if shown.has("file"):
            found["l1"] = metrics.l1(shown.as_large_as(shown.true), shown.true)
        return found

    return lambda several: [one(shown) for shown in several]


def _fidelity(path: Path, device: str) -> Take:
    def one(shown: AnswerFiles) -> Values:
        if not shown.has("file"):
            return {}
        answer = shown.as_large_as(shown.true)
        psnr = min(metrics.psnr(answer, shown.true), BEST_DB)
        return {"psnr_8bit_db": psnr, "ssim_8bit": metrics.ssim(answer, shown.true)}

    return lambda several: [one(shown) for shown in several]


def _lpips(kind: str) -> Callable[[Path, str], Take]:
    def build(path: Path, device: str) -> Take:
        from .networks.lpips import Lpips

        network = Lpips(path, kind, device)

        def one(shown: AnswerFiles) -> Values:
            if not shown.has("file"):
                return {}
            return {f"lpips_{kind}": network(shown.as_large_as(shown.true), shown.true)}

        return lambda several: [one(shown) for shown in several]

    return build


def _clip(path: Path, device: str) -> Take:
    from .networks.clip import Clip, cosine, direction

    network = Clip(path, device)

    def take(several: Sequence[AnswerFiles]) -> list[Values]:
        rows, before, after = _likeness(network.pictures, several, "clip_source", "clip_image")
        if told := _that_have(several, "caption"):
            words = network.texts([several[i].truth["caption"] for i in told])
            _put(rows, told, "clip_out", cosine(after[told], words))
        if both := _that_have(several, "caption", "source_caption"):
            words = network.texts([several[i].truth["caption"] for i in both])
            first = network.texts([several[i].truth["source_caption"] for i in both])
            _put(rows, both, "clip_dir", direction(before[both], after[both], first, words))
        return rows

    return take


def _likeness(
    features: Callable[..., Tensor], several: Sequence[AnswerFiles], source: str, truth: str
) -> tuple[list[Values], Tensor, Tensor]:
    """Rows with the cosine of each answer to its source, and to its truth where there is one, under
    these names; also the features of the sources and of the answers."""
    from .networks.clip import cosine

    after = features([shown.answer for shown in several])
    before = features([shown.source for shown in several])
    rows: list[Values] = [{source: value} for value in cosine(after, before)]
    if truths := _that_have(several, "file"):
        true = features([several[i].true for i in truths])
        _put(rows, truths, truth, cosine(after[truths], true))
    return rows, before, after


def _that_have(several: Sequence[AnswerFiles], *what: str) -> list[int]:
    return [i for i, shown in enumerate(several) if all(shown.has(one) for one in what)]


def _put(rows: list[Values], at: list[int], name: str, values: Sequence[float]) -> None:
    for i, value in zip(at, values, strict=True):
        rows[i][name] = value


def _clip_s(path: Path, device: str) -> Take:
    from .networks.clip import Clip, cosine

    network = Clip(path, device)

    def take(several: Sequence[AnswerFiles]) -> list[Values]:
        rows: list[Values] = [{} for _ in several]
        if told := _that_have(several, "caption"):
            seen = network.pictures([several[i].answer for i in told])
            said = network.texts([several[i].truth["caption"] for i in told])
            _put(rows, told, "clip_s", [100 * value for value in cosine(seen, said)])
        return rows

    return take


def _clip_s_total(rows: Sequence[Values]) -> Values:
    """The mean, never below 0."""
    return {name: max(value, 0.0) for name, value in mean_of_each(rows).items()}


def _dino(path: Path, device: str) -> Take:
    from .networks.dino import Dino

    network = Dino(path, device)

    def take(several: Sequence[AnswerFiles]) -> list[Values]:
        return _likeness(network.pictures, several, "dino_source", "dino")[0]

    return take


def _canny(path: Path, device: str) -> Take:
    def one(shown: AnswerFiles) -> Values:
        if not shown.has("file"):
            return {}
        wanted = canny_lines(shown.true)
        ours = canny_lines(shown.as_large_as(shown.true))
        both = int((ours & wanted).sum())
        return {"both": both, "ours": int(ours.sum()), "wanted": int(wanted.sum())}

    def take(several: Sequence[AnswerFiles]) -> list[Values]:
        return [{**one(s), "question": s.truth.get("question", s.name)} for s in several]

    return take


def _canny_total(rows: Sequence[Values]) -> Values:
    """F1 over all answers to one question, then the mean; 0 if neither side has an edge."""
    sums: dict[object, Tensor] = {}
    for row in rows:
        if "both" in row:
            counts = [row["both"], row["ours"] + row["wanted"]]
            sums[row["question"]] = sums.get(row["question"], 0) + torch.tensor(
                counts, dtype=torch.float64, device="cpu"
            )
    each = [float(2 * both / total) if total else 0.0 for both, total in sums.values()]
    return {"canny_f1": sum(each) / len(each)} if each else {}


def _depth(path: Path, device: str) -> Take:
    from .networks.dpt import Dpt, depth_error

    network = Dpt(path, device)

    def one(shown: AnswerFiles) -> Values:
        if not shown.has("depth"):
            return {}
        side = shown.answer.shape[-1]
        return {"depth_rmse": depth_error(network(shown.answer), shown.depth, side)}

    return lambda several: [one(shown) for shown in several]


def _hps(version: str) -> Callable[[Path, str], Take]:
    def build(path: Path, device: str) -> Take:
        from .networks.hps import Hps

        network = Hps(path, device)

        def take(several: Sequence[AnswerFiles]) -> list[Values]:
            rows: list[Values] = [{} for _ in several]
            if told := _that_have(several, "caption"):
                values = network([several[i].answer for i in told],
                                 [several[i].truth["caption"] for i in told])  # fmt: skip
                _put(rows, told, version, values)
            return rows

        return take

    return build


def hps_total(version: str) -> Callable[[Sequence[Values]], Values]:
    """Make a total: the mean over parts of HPS_PART pictures, and the spread of their means."""

    def total(rows: Sequence[Values]) -> Values:
        values = [row[version] for row in rows if version in row]
        parts = [values[at : at + HPS_PART] for at in range(0, len(values), HPS_PART)]
        means = torch.tensor([sum(part) / len(part) for part in parts], dtype=torch.float64,
                             device="cpu")  # fmt: skip
        if not parts:
            return {}
        return {version: float(means.mean()), f"{version}_spread": float(means.std(correction=0))}

    return total


MEASURES: Mapping[str, Measure] = MappingProxyType({
    "l1": Measure("", _l1, mean_of_each),
    "fidelity": Measure("", _fidelity, mean_of_each),
    "lpips_vgg": Measure("vgg16", _lpips("vgg"), mean_of_each),
    "lpips_alex": Measure("alexnet", _lpips("alex"), mean_of_each),
    "clip": Measure("clip-vit-base-patch32", _clip, mean_of_each),
    "clip_s": Measure("clip-vit-base-patch16", _clip_s, _clip_s_total, method=2),
    "dino": Measure("dino-vits16", _dino, mean_of_each),
    "canny_f1": Measure("", _canny, _canny_total),
    "depth_rmse": Measure("dpt-large", _depth, mean_of_each),
    "hps_v2": Measure("hps_v2", _hps("hps_v2"), hps_total("hps_v2"), method=2),
    "hps_v2.1": Measure("hps_v2.1", _hps("hps_v2.1"), hps_total("hps_v2.1"), method=2),
})  # fmt: skip
