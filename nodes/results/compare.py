"""Score an answer against the truth, for the page and for /history."""

from __future__ import annotations

import json
import math

from comfy_api.latest import io
from torch import Tensor

from ...pixwizard_core.decode.depth import METRES, to_metres
from ...pixwizard_core.decode.masks import decode_mask
from ...pixwizard_core.decode.normals import decode_normals
from ...pixwizard_core.decode.read_boxes import XYXY, read_pictures
from ...pixwizard_core.decode.segments import decode_segments
from ...pixwizard_core.errors import CanvasError
from ...pixwizard_core.metrics import compare as scores
from ..host.versions import schema
from ..shared import sockets, views
from ..shared.base import Node
from ..shared.inputs import (
    metres_input,
    near_combo,
    palette_combo,
    palette_of,
    palette_text,
    read_format,
)
from ..shared.layouts import as_masks, size_of, to_image_01, to_mask
from ..shared.page_data import used_when

KINDS = ("depth", "normals", "segmentation", "mask", "boxes", "edges", "picture")
SCHEMA_VERSION = 1
DECIMALS = {"psnr_db": 1, "mean_angle_deg": 1}  # on the node; others get 4


def two_pictures(prediction, truth, kind):
    """Both as (B, 3, H, W) of one size and batch."""
    if prediction is None or truth is None:
        raise CanvasError(f"comparing {kind} needs the images prediction and truth; connect both")
    return of_one_size(to_image_01(prediction), to_image_01(truth))


def of_one_size(one, other):
    sizes = [f"{len(x)} of {x.shape[-1]} x {x.shape[-2]} px" for x in (one, other)]
    count = max(len(one), len(other))
    counts_fit = len(one) in (1, count) and len(other) in (1, count)
    if one.shape[-2:] != other.shape[-2:] or not counts_fit:
        raise CanvasError(
            f"the prediction is {sizes[0]}, the truth {sizes[1]}; bring the prediction back to the "
            "source's size with its canvas"
        )
    rest = (-1,) * (one.ndim - 1)
    return one.expand(count, *rest), other.expand(count, *rest)


def two_masks(prediction, truth, prediction_mask, truth_mask, kind):
    """Two bool masks (B, H, W): the masks if both are given, else white in the pictures."""
    if prediction_mask is not None and truth_mask is not None:
        return of_one_size(as_masks(prediction_mask) > 0.5, as_masks(truth_mask) > 0.5)
    if prediction is None or truth is None:
        raise CanvasError(
            f"comparing {kind} needs two masks or two images; connect prediction_mask and "
            "truth_mask, or prediction and truth"
        )
    return tuple(decode_mask(x) for x in two_pictures(prediction, truth, kind))


def readable(value: float):
    """A number that JSON can hold: NaN becomes null, infinity a word."""
    if math.isnan(value):
        return None
    return round(value, 6) if math.isfinite(value) else str(value)


def for_reading(name: str, value):
    """A score as the node shows it: as many decimals as mean something."""
    return round(value, DECIMALS.get(name, 4)) if isinstance(value, float) else value


class Compare(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Compare",
            display_name="PixWizard Compare",
            description="Measures how close an answer is to the truth. depth: RMSE, AbsRel, delta "
            "1. normals: mean angle. segmentation: mIoU. mask: cIoU. boxes: IoU. edges: F1. "
            "picture: PSNR, SSIM, L1. The numbers are also in the run's history.",
            search_aliases=["metric", "psnr", "ssim", "iou", "rmse", "evaluate"],
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "kind", options=list(KINDS), default=KINDS[0], tooltip="What to compare."
                ),
                used_when(metres_input("near", METRES[0]), kind=["depth"]),
                used_when(metres_input("far", METRES[1]), kind=["depth"]),
                used_when(near_combo(), kind=["depth"]),
                used_when(
                    io.Boolean.Input(
                        "align",
                        default=False,
                        tooltip="Depth only: first fit each prediction by scale and shift, as is "
                        "usual for relative depth.",
                    ),
                    kind=["depth"],
                ),
                used_when(
                    palette_combo("Segmentation only: the colours of the classes."),
                    kind=["segmentation"],
                ),
                io.Image.Input("prediction", optional=True, tooltip="Picture to judge, 0 to 1."),
                io.Image.Input(
                    "truth",
                    optional=True,
                    tooltip=(
                        "True picture of the same size; a single one is used for all predictions."
                    ),
                ),
                io.Mask.Input("prediction_mask", optional=True, tooltip="Mask or lines to judge."),
                io.Mask.Input("truth_mask", optional=True, tooltip="True mask or lines."),
                sockets.BoxesOrText.Input(
                    "prediction_boxes",
                    optional=True,
                    tooltip="Boxes to judge: BBOX in px, BOUNDING_BOX, or JSON text. A list of "
                    "lists has one list per picture.",
                ),
                sockets.BoxesOrText.Input(
                    "truth_boxes", optional=True, tooltip="True boxes, in any of these formats."
                ),
                io.Mask.Input(
                    "valid",
                    optional=True,
                    tooltip="Pixels to include, 1 = include; for depth, normals, segmentation and "
                    "pictures.",
                ),
                used_when(palette_text(), kind=["segmentation"]),
                *(
                    used_when(read_format(f"{side}_format", f"{side}_boxes"), kind=["boxes"])
                    for side in ("prediction", "truth")
                ),
            ],
            outputs=[
                io.String.Output("report", display_name="report"),
                io.Float.Output("score", display_name="score"),
            ],
        )

    @classmethod
    def run(
        cls, kind, near_m, far_m, near, align, palette, prediction=None, truth=None,
        prediction_mask=None, truth_mask=None, prediction_boxes=None, truth_boxes=None, valid=None,
        palette_text="", prediction_format=XYXY, truth_format=XYXY,
    ):  # fmt: skip
        if kind == "boxes":
            if prediction_boxes is None or truth_boxes is None:
                raise CanvasError(
                    "comparing boxes needs both; connect prediction_boxes and truth_boxes"
                )
            around = prediction if truth is None else truth
            size = None if around is None else size_of(to_image_01(around))
            found = (
                read_pictures(prediction_boxes, prediction_format, size),
                read_pictures(truth_boxes, truth_format, size),
            )
            return score_output(kind, scores.compare_boxes(*found))
        if kind in ("mask", "edges"):
            one, other = two_masks(prediction, truth, prediction_mask, truth_mask, kind)
            compare = scores.compare_masks if kind == "mask" else scores.compare_edges
            shown = (one[:, None].float(), other[:, None].float())
            return score_output(kind, compare(one, other), shown)
        one, other = two_pictures(prediction, truth, kind)
        seen = to_mask(valid, one)
        seen = None if seen is None else seen > 0.5
        if kind == "depth":
            white = near == "white"
            metres = [
                to_metres(x.mean(1), near_m, far_m, white_is_near=white) for x in (one, other)
            ]
            found = scores.compare_depth(metres[0], metres[1], seen, align=align)
        elif kind == "normals":
            found = scores.compare_normals(decode_normals(one), decode_normals(other), seen)
        elif kind == "segmentation":
            colours = palette_of(palette, palette_text)
            labels = [decode_segments(x, colours).labels for x in (one, other)]
            found = scores.compare_labels(labels[0], labels[1], len(colours), seen)
        else:
            found = scores.compare_pictures(one, other, seen)
        return score_output(kind, found, (one, other))


def score_output(
    kind: str, found: dict[str, float], shown: tuple[Tensor, Tensor] | None = None
) -> io.NodeOutput:
    """The scores as text and as the first number, and both for /history.

    shown: prediction and truth (B, 3, H, W), to be shown with a divider between them.
    """
    data = {"schema_version": SCHEMA_VERSION, "kind": kind}
    data |= {name: readable(value) for name, value in found.items()}
    text = json.dumps(data)
    first = next(iter(found.values()))
    view = views.pair(*shown, ("prediction", "truth")) if shown else {}
    read = {name: for_reading(name, value) for name, value in data.items()}
    ui = {"text": [text], "pixwizard_scores": [read], **view}
    return io.NodeOutput(text, float(first), ui=ui)
