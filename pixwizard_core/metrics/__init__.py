"""How accurate an answer is: arrays in, numbers out. A number without any data is NaN.

`measures` has one function for each number, `compare` returns all numbers for one kind of answer by
name, `flicker` measures change between frames.
"""

from __future__ import annotations

from .measures import (
    abs_rel,
    align_scale_shift,
    box_iou,
    confusion,
    cumulative_iou,
    delta_1,
    edge_f1,
    l1,
    mask_iou,
    mean_angle_deg,
    mean_iou,
    mean_iou_of,
    pixel_accuracy,
    psnr,
    rmse,
    ssim,
)

__all__ = [
    "abs_rel",
    "align_scale_shift",
    "box_iou",
    "confusion",
    "cumulative_iou",
    "delta_1",
    "edge_f1",
    "l1",
    "mask_iou",
    "mean_angle_deg",
    "mean_iou",
    "mean_iou_of",
    "pixel_accuracy",
    "psnr",
    "rmse",
    "ssim",
]
