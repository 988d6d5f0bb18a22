"""All scores for one kind of answer against the truth, by name, as the paper reports them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import DecodeError
from . import measures

Scores = dict[str, float]


def compare_depth(
    prediction: Tensor, truth: Tensor, valid: Tensor | None = None, *, align: bool = False
) -> Scores:
    """RMSE, AbsRel and delta 1 of depth (B, H, W) in metres. align: for relative depth, first fit
    each picture to the truth by scale and shift."""
    if align:
        prediction = torch.stack(
            [
                measures.align_scale_shift(p, t, None if valid is None else v)
                for p, t, v in zip(
                    prediction, truth, truth if valid is None else valid, strict=True
                )
            ]
        )
    return {
        "rmse_m": measures.rmse(prediction, truth, valid),
        "abs_rel": measures.abs_rel(prediction, truth, valid),
        "delta_1": measures.delta_1(prediction, truth, valid),
    }


def compare_normals(prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> Scores:
    """Mean angle in degrees between normals (B, 3, H, W)."""
    return {"mean_angle_deg": measures.mean_angle_deg(prediction, truth, valid)}


def compare_labels(
    prediction: Tensor, truth: Tensor, classes: int, valid: Tensor | None = None
) -> Scores:
    """mIoU and pixel accuracy of class indices (B, H, W); classes in neither do not count."""
    if valid is not None:
        prediction, truth = prediction[valid.bool()], truth[valid.bool()]
    return {
        "miou": measures.mean_iou(prediction, truth, classes),
        "pixel_accuracy": measures.pixel_accuracy(prediction, truth),
    }


def compare_masks(prediction: Tensor, truth: Tensor) -> Scores:
    """cIoU and the mean IoU of bool masks (B, H, W)."""
    return {
        "ciou": measures.cumulative_iou(prediction, truth),
        "miou": measures.mask_iou(prediction, truth),
    }


def compare_pictures(prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> Scores:
    """PSNR in dB, SSIM, L1 and RMSE of pictures (B, C, H, W) in 0..1. SSIM takes all pixels."""
    spread = None if valid is None else valid.bool()[:, None].expand_as(truth)
    return {
        "psnr_db": measures.psnr(prediction, truth, valid),
        "ssim": measures.ssim(prediction, truth),
        "l1": measures.l1(prediction, truth, spread),
        "rmse": measures.rmse(prediction, truth, spread),
    }


def compare_edges(prediction: Tensor, truth: Tensor, tolerance_px: int = 2) -> Scores:
    """F1 of bool lines (B, H, W), which may be off by tolerance_px."""
    return {"edge_f1": measures.edge_f1(prediction, truth, tolerance_px)}


def compare_boxes(
    prediction_xyxy: Sequence[Tensor], truth_xyxy: Sequence[Tensor], enough: float = 0.5
) -> Scores:
    """Compare boxes (N, 4) and (M, 4) of each picture, xyxy, paired within it, best pair first.

    The boxes of a single picture are compared with those of every picture. box_iou: mean over the
    true boxes, 0 for a missed one. precision and recall: pairs with an IoU of at least `enough`.
    Without boxes on either side all three are NaN. Raises DecodeError when the numbers of pictures
    differ.
    """
    count = max(len(prediction_xyxy), len(truth_xyxy))
    if any(len(side) not in (1, count) for side in (prediction_xyxy, truth_xyxy)):
        raise DecodeError(
            f"boxes of {len(prediction_xyxy)} pictures cannot be compared with boxes of "
            f"{len(truth_xyxy)}; give as many, or those of one"
        )
    total, good, predicted, wanted = 0.0, 0, 0, 0
    for i in range(count):
        overlaps = pairwise_iou(
            prediction_xyxy[i % len(prediction_xyxy)], truth_xyxy[i % len(truth_xyxy)]
        )
        found = _matched(overlaps)
        total += float(found.sum())
        good += int((found >= enough).sum())
        predicted += overlaps.shape[0]
        wanted += overlaps.shape[1]
    nothing = 0.0 if predicted or wanted else measures.NOTHING
    return {
        "box_iou": total / wanted if wanted else nothing,
        "precision": good / predicted if predicted else nothing,
        "recall": good / wanted if wanted else nothing,
    }


def pairwise_iou(one_xyxy: Tensor, other_xyxy: Tensor) -> Tensor:
    """IoU of each of (N, 4) with each of (M, 4) boxes: (N, M) float64."""
    one, other = one_xyxy.double()[:, None], other_xyxy.double()[None]
    low = torch.maximum(one[..., :2], other[..., :2])
    high = torch.minimum(one[..., 2:], other[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1) for box in (one, other)]
    union = areas[0] + areas[1] - both
    return torch.where(union > 0, both / union.clamp(min=1e-12), 0.0)


def _matched(overlaps: Tensor) -> Tensor:
    """IoU of each pair, pairing greedily from the best overlap down."""
    left, found = overlaps.clone(), list[float]()
    for _ in range(min(overlaps.shape)):
        best = int(left.argmax())
        row, column = divmod(best, left.shape[1])
        if left[row, column] <= 0:
            break
        found.append(float(left[row, column]))
        left[row], left[:, column] = -1, -1
    return torch.tensor(found, dtype=torch.float64, device="cpu")
