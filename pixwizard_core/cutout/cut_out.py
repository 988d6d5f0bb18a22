"""Ask the model where named things are and what is behind them, and take the picture apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..canvas import Canvas, centres_for, plan
from ..canvas.images import check_finite, ensure_rgb
from ..decode import at_source_size
from ..errors import InstructionError
from ..inpaint import prepare_inpaint
from ..pipeline import Bundle, EncodedPictures, answer, encode_pictures, settings_for
from ..seeds import later_seed
from ..tasks import instruction
from ..torch_types import ints
from .layers import Layer, make_layers, require_size, soft_edge

GROW = 0.02  # of the shorter side: how far beyond a thing the background is made new, for its halo
MOST = 32
FIND, FILL = "mask", "inpaint"  # the tasks that are asked
BETWEEN_NAMES = re.compile(r"[,;\n]")

OnProgress = Callable[[int, int], None]


class Paint(Protocol):
    """Asks a model about a fitted picture (1, 3, H, W) in 0..1 and gives what it paints, of the
    same size. task: FIND, with a target, or FILL, with an empty one."""

    def __call__(
        self, task: str, target: str, fitted_01: Tensor, canvas: Canvas, seed: int, /
    ) -> Tensor: ...


def names_in(text: str) -> list[str]:
    """The names in a text with commas, semicolons or new lines between them."""
    return [name.strip() for name in BETWEEN_NAMES.split(text) if name.strip()]


def require_few_names(names: Sequence[str]) -> None:
    """Raise InstructionError for no names, more than MOST, or one that comes twice."""
    if not 1 <= len(names) <= MOST:
        raise InstructionError(f"name 1 to {MOST} things to cut out. Got: {len(names)}")
    if doubled := [name for name, count in Counter(names).items() if count > 1]:
        raise InstructionError(
            f"name each thing once; the second layer of {doubled[0]!r} would lie under the first"
        )


@dataclass(frozen=True)
class CutOut:
    """background: (3, H, W) in 0..1, filled where things were cut out. layers: what was found, the
    first one on top. missing: names of what was not found."""

    background: Tensor
    layers: list[Layer]
    missing: list[str]

    def report(self) -> dict[str, Any]:
        """For a report: name, area in percent and box of each layer, and what was not found."""
        told = list[dict[str, Any]]()
        for layer in self.layers:
            shown = layer.alpha > 0
            rows, columns = (shown.any(axis).nonzero()[:, 0] for axis in (1, 0))
            (top, bottom), (left, right) = (ints(side[[0, -1]]) for side in (rows, columns))
            told.append({
                "name": layer.name,
                "area_percent": round(100 * float(layer.alpha.mean()), 2),
                "box_xyxy_px": [left, top, right + 1, bottom + 1],
            })  # fmt: skip
        return {"layers": told, "not_found": self.missing}


@torch.no_grad()
def cut_out(
    bundle: Bundle,
    image_01: Tensor,
    names: Sequence[str],
    *,
    seed: int = 0,
    centre: int | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> CutOut:
    """Cut named things out of one picture, with sharp edges, and fill the background.

    centre: as in pipeline.Request. The rest, and what is raised: see take_apart().
    """
    centres = centres_for(centre, bundle.centres)
    return take_apart(
        bundle_painter(bundle), image_01, names, centres, seed=seed, on_progress=on_progress
    )


def bundle_painter(bundle: Bundle) -> Paint:
    """Asks a bundle, which encodes a picture once for all questions about it in a row."""
    last = list[tuple[Tensor, EncodedPictures]]()

    def paint(task: str, target: str, fitted_01: Tensor, canvas: Canvas, seed: int) -> Tensor:
        if not last or last[0][0] is not fitted_01:
            last[:] = [(fitted_01, encode_pictures(bundle, fitted_01))]
        settings = settings_for(canvas, bundle.centres, bundle.settings_of(task))
        sentence = instruction(task, target=target, taught=bundle.taught)
        return answer(bundle, last[0][1], [sentence], [seed], settings)[1]

    return paint


def take_apart(
    paint: Paint,
    image_01: Tensor,
    names: Sequence[str],
    centres: Sequence[int],
    *,
    seed: int = 0,
    behind_01: Tensor | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> CutOut:
    """Cut named things out of one picture by what a model paints.

    image_01: (1, 1..4, H, W) in 0..1; transparency is ignored. names: phrases such as "the red
    ball", the frontmost first. centres: see canvas.plan(). seed: of the noise; each question takes
    the next one. behind_01: (3, H, W), what is behind the things; None asks for it. Raises
    InstructionError for no names or too many, CanvasError for a picture that cannot be used,
    DecodeError for a background of another size.
    """
    asked = [name.strip() for name in names if name.strip()]
    require_few_names(asked)
    image, _ = ensure_rgb(image_01)
    check_finite(image, "image")
    picture = image[0].float()
    if behind_01 is not None:
        require_size(behind_01, picture, "the background")
    canvas = plan(image.shape[-1], image.shape[-2], centres)
    fitted = canvas.fit_image(image)
    found, missing = list[tuple[str, Tensor]](), list[str]()
    total = len(asked) + (behind_01 is None)
    for number, name in enumerate(asked):
        white = paint(FIND, name, fitted, canvas, later_seed(seed, number))
        painted = at_source_size(FIND, white, image, canvas, sharp=True)
        alpha = soft_edge(painted[0].mean(0))
        if bool((alpha > 0).any()):
            found.append((name, alpha))
        else:
            missing.append(name)
        on_progress(number + 1, total)
    if not found:
        return CutOut(picture, [], missing)
    alphas = [alpha for _, alpha in found]
    if behind_01 is None:
        behind_01 = _filled(paint, image, alphas, centres, later_seed(seed, len(asked)))
        on_progress(total, total)
    background, layers = make_layers(picture, behind_01, alphas, [name for name, _ in found])
    return CutOut(background, layers, missing)


def _filled(
    paint: Paint, image: Tensor, alphas: Sequence[Tensor], centres: Sequence[int], seed: int
) -> Tensor:
    """The picture (3, H, W) with everything that has alpha painted over by the model."""
    hole = torch.stack([alpha > 0 for alpha in alphas]).any(0, keepdim=True)
    blanked = prepare_inpaint(
        image, hole, grow=max(1, round(GROW * min(image.shape[-2:]))), centres=centres
    )
    canvas = blanked.canvas.of(0)
    painted = paint(FILL, "", blanked.picture, canvas, seed)
    return canvas.restore_image(painted, image)[0].float()
