"""Answers at the source's size with the source's edges, in place of plain enlarging.

The model answers at its own size. Enlarged to a larger source, outlines are soft and up to a model
pixel off. Here values follow the source's edges instead, for the kinds of answers in SHARPENED.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..canvas import Canvas, CanvasBatch
from ..canvas.images import resize_image
from ..errors import DecodeError
from .common import Rgb, picture
from .guided import guided_resize
from .masks import HIGHLIGHT_OPACITY, tint_share
from .overlay import overlay

SHARPENED = ("mask", "highlight", "depth", "normal", "segmentation")
MAPS = ("depth", "normal", "segmentation", "edge", "pose", "mask")  # show nothing of the source


def not_sharpened(kind: str, canvas: Canvas | CanvasBatch, answer_01: Tensor | None = None) -> str:
    """Why an answer is enlarged plainly instead, or "" when it is sharpened.

    kind: the task's decoder. answer_01: (B, C, H, W), for an enlargement of the answer; raises
    CanvasError when it does not fit the canvas.
    """
    if kind not in SHARPENED:
        return f"only answers of these kinds can be sharpened: {', '.join(SHARPENED)}"
    canvas = canvas.of(0)
    content = canvas.content if answer_01 is None else canvas.content_of(answer_01)
    if canvas.view.width * canvas.view.height <= content.width * content.height:
        return "the source is no larger than the answer, so there is nothing to sharpen"
    return ""


def at_source_size(
    kind: str,
    answer_01: Tensor,
    source_01: Tensor,
    canvas: Canvas | CanvasBatch,
    colour: str | Rgb = "red",
    *,
    sharp: bool = False,
) -> Tensor:
    """An answer at the source's size, to be decoded as the kind: (B, 3, H, W) in 0..1.

    kind: the task's decoder. answer_01: (B, 3, model), what the model painted, or an enlargement.
    source_01: (B or 1, 1..4, source), what it was asked about. canvas: how that was fitted. colour:
    of a highlight. sharp: follow the source's edges, except where not_sharpened() gives a reason.
    Outside a crop, where the model saw nothing: black in MAPS, else the source. Raises DecodeError
    when the source has another size, CanvasError when the answer does not fit the canvas.
    """
    answer, source = picture(answer_01), picture(source_01, "source picture")
    count = max(len(answer), len(source))
    if any(len(given) not in (1, count) for given in (answer, source)):
        raise DecodeError(
            f"{len(source)} sources for {len(answer)} answers; give one, or one for each"
        )
    if tuple(source.shape[-2:]) != (canvas.source.height, canvas.source.width):
        raise DecodeError(
            f"the source is {source.shape[-1]} x {source.shape[-2]} px, but its canvas was made "
            f"for {canvas.source.width} x {canvas.source.height} px; give the picture that was "
            "fitted"
        )
    if not sharp or not_sharpened(kind, canvas, answer):
        return canvas.restore_image(answer, None if kind in MAPS else source)
    pairs = [
        (one[None], behind[None].to(answer.device))
        for one, behind in zip(
            answer.expand(count, -1, -1, -1), source.expand(count, -1, -1, -1), strict=True
        )
    ]
    return torch.cat(
        [_sharpened(kind, *pair, canvas.of(i), colour) for i, pair in enumerate(pairs)]
    )


def _sharpened(
    kind: str, answer: Tensor, source: Tensor, canvas: Canvas, colour: str | Rgb
) -> Tensor:
    """The same for one picture."""
    content = canvas.content_of(answer)
    shown, large = content.cut(answer), canvas.view.cut(source)
    small = resize_image(large, content.height, content.width)
    if kind == "highlight":
        # The tint is laid on the large source anew, so that decoding finds the enlarged share.
        share = tint_share(shown, small, colour).clamp(0, HIGHLIGHT_OPACITY)
        result = overlay(large, guided_resize(share[:, None], small, large)[:, 0], colour, 1.0)
    else:
        result = guided_resize(shown, small, large).clamp(0, 1)
    whole = torch.zeros_like(source) if kind in MAPS else source.clone()
    canvas.view.cut(whole)[:] = result
    return whole
