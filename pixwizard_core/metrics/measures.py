"""Scores of dense predictions: arrays in, one float out. `truth` always comes second.

Arrays are torch tensors, NumPy arrays or lists of numbers, of one shape; they may differ in type
and device. Different shapes, and whole numbers where a measure needs values in 0..1, raise
MetricError.
`valid` is a bool mask of the pixels that count; without it all count. A score without any pixel or
class is NaN, never 0 or 1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .arrays import Array, floats, labels, mask

NOTHING = math.nan
DELTA_1 = 1.25
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # for values in 0..1


def rmse(prediction: Array, truth: Array, valid: Array | None = None) -> float:
    """Root mean square error, in the unit of the input."""
    prediction, truth = floats(prediction, truth)
    (error,) = _select(mask(valid, truth), prediction - truth)
    return math.sqrt(_mean(error**2)) if error.numel() else NOTHING


def l1(prediction: Array, truth: Array, valid: Array | None = None) -> float:
    """Mean absolute error."""
    prediction, truth = floats(prediction, truth)
    (error,) = _select(mask(valid, truth), prediction - truth)
    return _mean(error.abs())


def abs_rel(prediction: Array, truth: Array, valid: Array | None = None) -> float:
    """Mean of |prediction - truth| / truth; pixels with truth <= 0 do not count. For depth in
    metres."""
    prediction, truth = floats(prediction, truth)
    prediction, truth = _select(mask(valid, truth), prediction, truth)
    known = truth > 0
    return _mean((prediction[known] - truth[known]).abs() / truth[known])


def delta_1(prediction: Array, truth: Array, valid: Array | None = None) -> float:
    """Share of pixels whose depth is within a factor of 1.25; truth <= 0 does not count, prediction
    <= 0 fails."""
    prediction, truth = floats(prediction, truth)
    prediction, truth = _select(mask(valid, truth), prediction, truth)
    known = truth > 0
    prediction, truth = prediction[known], truth[known]
    ratio = torch.maximum(prediction / truth, truth / prediction.clamp(min=1e-12))
    return _mean(((ratio < DELTA_1) & (prediction > 0)).double())


def align_scale_shift(prediction: Array, truth: Array, valid: Array | None = None) -> Tensor:
    """Fit a * prediction + b to the truth by least squares and return it; used to compare relative
    depth with truth."""
    prediction, truth = floats(prediction, truth)
    x, y = _select(mask(valid, truth), prediction, truth)
    x, y = x.double(), y.double()
    spread = ((x - x.mean()) ** 2).sum()
    scale = ((x - x.mean()) * (y - y.mean())).sum() / spread if spread > 0 else x.new_zeros(())
    return (scale * (prediction.double() - x.mean()) + y.mean()).to(prediction.dtype)


def pixel_accuracy(prediction: Array, truth: Array, ignore: int | None = None) -> float:
    """Share of pixels with the right label; those whose truth is `ignore` do not count."""
    prediction, truth = labels(prediction, truth)
    counted = None if ignore is None else truth != ignore
    (right,) = _select(counted, prediction == truth)
    return _mean(right.double())


def mean_iou(prediction: Array, truth: Array, classes: int, ignore: int | None = None) -> float:
    """Intersection over union, averaged over the classes present in prediction or truth.

    Counts are taken over the whole input, so give all pictures of a set at once (or see
    confusion()).
    """
    return mean_iou_of(confusion(prediction, truth, classes, ignore))


def confusion(prediction: Array, truth: Array, classes: int, ignore: int | None = None) -> Tensor:
    """(classes, classes) long: rows truth, columns prediction. Sum over batches, then
    mean_iou_of()."""
    prediction, truth = labels(prediction, truth)
    counted = None if ignore is None else truth != ignore
    prediction, truth = _select(counted, prediction, truth)
    return (
        (truth.long() * classes + prediction.long())
        .bincount(minlength=classes**2)
        .view(classes, classes)
    )


def mean_iou_of(counts: Tensor) -> float:
    """mIoU of a confusion matrix; classes absent from both sides are left out."""
    both = counts.diag().double()
    union = (counts.sum(0) + counts.sum(1)).double() - both
    return _mean((both / union)[union > 0])


def mask_iou(prediction: Array, truth: Array) -> float:
    """IoU of bool masks (B, H, W), averaged over pictures; two empty masks agree (1)."""
    prediction, truth = labels(prediction, truth)
    both, either = _overlap(prediction, truth)
    return _mean(torch.where(either > 0, both / either.clamp(min=1), 1.0))


def cumulative_iou(prediction: Array, truth: Array) -> float:
    """cIoU of bool masks (B, H, W): all intersections over all unions, so large objects weigh
    more."""
    prediction, truth = labels(prediction, truth)
    both, either = _overlap(prediction, truth)
    return float(both.sum() / either.sum()) if either.sum() else NOTHING


def box_iou(prediction_xyxy: Array, truth_xyxy: Array) -> float:
    """Mean IoU of boxes (N, 4) xyxy with exclusive ends, row by row; an empty or reversed box has
    no area."""
    prediction, truth = floats(prediction_xyxy, truth_xyxy)
    low = torch.maximum(prediction[:, :2], truth[:, :2])
    high = torch.minimum(prediction[:, 2:], truth[:, 2:])
    both = (high - low).clamp(min=0).double().prod(1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=0).double().prod(1) for b in (prediction, truth)]
    union = areas[0] + areas[1] - both
    return _mean(torch.where(union > 0, both / union.clamp(min=1e-12), 0.0))


def mean_angle_deg(prediction: Array, truth: Array, valid: Array | None = None) -> float:
    """Mean angle in degrees between vectors (B, 3, H, W) of any length; valid: (B, H, W)."""
    prediction, truth = floats(prediction, truth)
    cross = torch.cross(prediction.double(), truth.double(), dim=1).square().sum(1).sqrt()
    dot = (prediction.double() * truth.double()).sum(1)
    angles = torch.rad2deg(torch.atan2(cross, dot))  # exact near 0, unlike arccos
    (angle,) = _select(mask(valid, truth), angles)
    return _mean(angle)


def psnr(prediction: Array, truth: Array, valid: Array | None = None) -> float:
    """Peak signal to noise ratio in dB for values in 0..1; infinite when equal. valid broadcasts
    over channels."""
    prediction, truth = floats(prediction, truth, unit=True)
    counted = mask(valid, truth)
    error = prediction.double() - truth.double()
    if counted is not None and counted.ndim == error.ndim - 1:
        counted = counted.unsqueeze(-3)
    (error,) = _select(None if counted is None else counted.expand_as(error), error)
    if not error.numel():
        return NOTHING
    square = _mean(error**2)
    return 10 * math.log10(1 / square) if square > 0 else math.inf


def ssim(prediction: Array, truth: Array) -> float:
    """Structural similarity of (B, C, H, W) in 0..1: Gaussian window of 11 px, mean over all
    channels.

    Only where the window fits; a side below 11 px gives NaN.
    """
    prediction, truth = floats(prediction, truth, unit=True)
    if min(truth.shape[-2:]) < SSIM_WINDOW:
        return NOTHING
    x, y = prediction.double().flatten(0, 1)[:, None], truth.double().flatten(0, 1)[:, None]
    offsets = torch.arange(SSIM_WINDOW, dtype=torch.float64, device=x.device) - SSIM_WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    weights = weights / weights.sum()
    window = torch.outer(weights, weights)[None, None]
    mean_x, mean_y, xx, yy, xy = (F.conv2d(v, window) for v in (x, y, x * x, y * y, x * y))
    cov = xy - mean_x * mean_y
    spread = xx - mean_x**2 + yy - mean_y**2
    score = ((2 * mean_x * mean_y + SSIM_C1) * (2 * cov + SSIM_C2)) / (
        (mean_x**2 + mean_y**2 + SSIM_C1) * (spread + SSIM_C2)
    )
    return _mean(score)


def edge_f1(prediction: Array, truth: Array, tolerance_px: int = 2) -> float:
    """F1 of bool edge maps (B, H, W): a pixel is right when the other map has one at most
    tolerance_px off in x and y.

    Counted over the whole batch; two empty maps give NaN, one empty map 0.
    """
    prediction, truth = labels(prediction, truth)
    prediction, truth = prediction.bool(), truth.bool()
    precision = _near_share(prediction, truth, tolerance_px)
    recall = _near_share(truth, prediction, tolerance_px)
    if math.isnan(precision) and math.isnan(recall):
        return NOTHING
    if math.isnan(precision) or math.isnan(recall) or precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def _near_share(of: Tensor, to: Tensor, tolerance_px: int) -> float:
    if not of.any():
        return NOTHING
    side = 2 * tolerance_px + 1
    near = F.max_pool2d(to.float()[:, None], side, stride=1, padding=tolerance_px)[:, 0] > 0
    return float((of & near).sum() / of.sum())


def _overlap(prediction: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels in both masks and in either, (B,) float64 each."""
    prediction, truth = prediction.bool(), truth.bool()
    both, either = prediction & truth, prediction | truth
    return both.flatten(1).sum(1).double(), either.flatten(1).sum(1).double()


def _select(counted: Tensor | None, *values: Tensor) -> tuple[Tensor, ...]:
    """The values of the pixels that count, flat."""
    return tuple(v.flatten() if counted is None else v[counted] for v in values)


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if values.numel() else NOTHING
