"""Score one answer against a dataset's truth, and a whole set from its pictures' scores.

The values for a picture can be summed, so it does not matter which worker scored it. The protocols
are the paper's (appendix D.1 to D.3); comments state our choice where the paper leaves one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import metrics
from ..canvas.images import resize_image
from ..decode import Hints, decode
from ..decode.depth import to_metres
from ..decode.palette import Palette, ade20k
from ..decode.polarity import DEFAULT_NEAR, WHITE, near_is_white
from .truths import read_truth

Metrics = dict[str, Any]
BEST_DB = 100.0  # of equal pictures, so that a mean exists
LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601, as deraining papers use it
LUMA_BLACK = 16 / 255


def score(truth: Metrics, answer_01: Tensor, source_01: Tensor, palette: Palette | None) -> Metrics:
    """Numbers for one picture. truth: its protocol and the place of its truth (see the layouts).

    answer_01, source_01: (1, 3, H, W) of the source's size. Raises CanvasError for a truth file
    that cannot be read.
    """
    found = SCORERS[truth["protocol"]](truth, answer_01, source_01, palette or ade20k())
    return {name: _plain(value) for name, value in found.items()}


def total(protocol: str, rows: Sequence[Metrics]) -> dict[str, float]:
    """Scores of a set, by name; NaN for a score without data."""
    return TOTALS[protocol](rows)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value


def _depth(truth: Metrics, answer_01: Tensor, source_01: Tensor, palette: Palette) -> Metrics:
    wanted = read_truth(truth).float()[None]  # metres, 0 unknown
    valid = (wanted > truth["min_m"]) & (wanted < truth["max_m"])
    if truth.get("crop"):
        top, bottom, left, right = truth["crop"]
        inside = torch.zeros_like(valid)
        inside[:, top:bottom, left:right] = True
        valid &= inside
    painted = _sized(answer_01, wanted).mean(1)
    depth, (read,) = near_is_white(painted, truth.get("near", DEFAULT_NEAR))
    metres = to_metres(depth, *truth["range_m"])
    if truth.get("align"):
        metres = metrics.align_scale_shift(metres, wanted, valid)
    metres = metres.clamp(truth["min_m"], truth["max_m"])
    pixels = int(valid.sum())
    rmse = metrics.rmse(metres, wanted, valid)
    return {
        "rmse_m": rmse,
        "abs_rel": metrics.abs_rel(metres, wanted, valid),
        "delta_1": metrics.delta_1(metres, wanted, valid),
        "squares": rmse**2 * pixels if pixels else 0.0,
        "pixels": pixels,
        "near_is_white": int(read.near == WHITE),
        "correlation": read.correlation,
    }


def _depth_total(rows: Sequence[Metrics]) -> dict[str, float]:
    # The usual score is the mean of each picture's RMSE; the one over all pixels is given too.
    pixels = sum(row["pixels"] for row in rows)
    squares = sum(row["squares"] for row in rows)
    return {
        "rmse_m": _mean(rows, "rmse_m"),
        "abs_rel": _mean(rows, "abs_rel"),
        "delta_1": _mean(rows, "delta_1"),
        "rmse_all_pixels_m": math.sqrt(squares / pixels) if pixels else math.nan,
    }


def _normal(truth: Metrics, answer_01: Tensor, source_01: Tensor, palette: Palette) -> Metrics:
    wanted = read_truth(truth)[None]  # (1, 3, H, W), length 0 unknown
    valid = wanted.norm(dim=1) > 0.5
    normals = decode("normal", _sized(answer_01, wanted))
    pixels = int(valid.sum())
    angle = metrics.mean_angle_deg(normals, wanted, valid)
    return {"mean_angle_deg": angle, "degrees": angle * pixels if pixels else 0.0, "pixels": pixels}


def _normal_total(rows: Sequence[Metrics]) -> dict[str, float]:
    pixels = sum(row["pixels"] for row in rows)
    degrees = sum(row["degrees"] for row in rows)
    return {"mean_angle_deg": degrees / pixels if pixels else math.nan}


def _segmentation(
    truth: Metrics, answer_01: Tensor, source_01: Tensor, palette: Palette
) -> Metrics:
    wanted = read_truth(truth)[None]  # class indices, 0 = not labelled
    labels = decode("segmentation", _sized(answer_01, wanted), Hints(palette=palette)).labels
    # Classes painted in one colour cannot be told apart; decoding gives the first of them.
    shown = torch.tensor([palette.shown_as(i) for i in range(len(palette))])
    counts = metrics.confusion(labels, shown[wanted], len(palette), ignore=0)
    both = counts.diag()
    either = counts.sum(0) + counts.sum(1) - both
    used = (either > 0).nonzero().flatten().tolist()
    return {
        "both": {str(i): int(both[i]) for i in used},
        "either": {str(i): int(either[i]) for i in used},
        "right": int(both.sum()),
        "pixels": int(counts.sum()),
    }


def _segmentation_total(rows: Sequence[Metrics]) -> dict[str, float]:
    both: dict[str, int] = {}
    either: dict[str, int] = {}
    for row in rows:
        for sums, part in ((both, row["both"]), (either, row["either"])):
            for index, count in part.items():
                sums[index] = sums.get(index, 0) + count
    shares = [both[index] / either[index] for index in either if index != "0"]
    pixels = sum(row["pixels"] for row in rows)
    return {
        "miou": sum(shares) / len(shares) if shares else math.nan,
        "pixel_accuracy": sum(row["right"] for row in rows) / pixels if pixels else math.nan,
    }


def _mask(truth: Metrics, answer_01: Tensor, source_01: Tensor, palette: Palette) -> Metrics:
    wanted = read_truth(truth)[None].bool()
    answer = _sized(answer_01, wanted)
    if truth["method"] == "hsv":  # a tint's hue alone, without the source: the paper's "w/ HSV"
        mask = decode("highlight", answer, Hints(None, truth["colour"]))
    else:
        mask = decode("mask", answer)
    both, either = int((mask & wanted).sum()), int((mask | wanted).sum())
    return {"both": both, "either": either, "iou": both / either if either else 1.0}


def _mask_total(rows: Sequence[Metrics]) -> dict[str, float]:
    either = sum(row["either"] for row in rows)
    both = sum(row["both"] for row in rows)
    return {"ciou": both / either if either else math.nan, "miou": _mean(rows, "iou")}


def _picture(truth: Metrics, answer_01: Tensor, source_01: Tensor, palette: Palette) -> Metrics:
    wanted = read_truth(truth)[None]
    answer, source = (_sized(picture, wanted) for picture in (answer_01, source_01))
    grey, wanted_grey = _luma(answer), _luma(wanted)
    return {
        "psnr_db": min(metrics.psnr(answer, wanted), BEST_DB),
        "ssim": metrics.ssim(answer, wanted),
        "psnr_y_db": min(metrics.psnr(grey, wanted_grey), BEST_DB),
        "ssim_y": metrics.ssim(grey, wanted_grey),
        "psnr_input_db": min(metrics.psnr(source, wanted), BEST_DB),
    }


def _picture_total(rows: Sequence[Metrics]) -> dict[str, float]:
    names = ("psnr_db", "ssim", "psnr_y_db", "ssim_y", "psnr_input_db")
    return {name: _mean(rows, name) for name in names}


def _measured(truth: Metrics, answer_01: Tensor, source_01: Tensor, palette: Palette) -> Metrics:
    """No numbers yet: such answers are measured together, from their files (see measuring)."""
    return {}


def _measured_total(rows: Sequence[Metrics]) -> dict[str, float]:
    return {}


def _luma(picture_01: Tensor) -> Tensor:
    weights = picture_01.new_tensor(LUMA)[:, None, None]
    return (picture_01 * weights).sum(1, keepdim=True) + LUMA_BLACK


def _sized(picture_01: Tensor, truth: Tensor) -> Tensor:
    """A picture resized to the truth's size, which differs from the picture's in some datasets."""
    height, width = truth.shape[-2:]
    if picture_01.shape[-2:] == (height, width):
        return picture_01[:, :3].float()
    return resize_image(picture_01[:, :3].float(), height, width)


def _mean(rows: Sequence[Metrics], name: str) -> float:
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) / len(known) if known else math.nan


Scorer = Callable[[Metrics, Tensor, Tensor, Palette], Metrics]
SCORERS: dict[str, Scorer] = {
    "depth": _depth,
    "normal": _normal,
    "segmentation": _segmentation,
    "mask": _mask,
    "picture": _picture,
    "measured": _measured,
}
TOTALS: dict[str, Callable[[Sequence[Metrics]], dict[str, float]]] = {
    "depth": _depth_total,
    "normal": _normal_total,
    "segmentation": _segmentation_total,
    "mask": _mask_total,
    "picture": _picture_total,
    "measured": _measured_total,
}
