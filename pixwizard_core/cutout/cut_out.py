"""Ask the model where named things are and what is behind them, and take the picture apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..canvas import centres_for
from ..canvas.images import ensure_rgb
from ..decode import at_source_size
from ..errors import InstructionError
from ..inpaint import prepare_inpaint
from ..pipeline import Bundle, EncodedPictures, Request, answer, encode_pictures, run, settings_for
from ..seeds import later_seed
from ..tasks import instruction
from ..torch_types import ints
from .layers import Layer, make_layers, soft_edge

GROW = 0.02  # of the shorter side: how far beyond a thing the background is made new, for its halo
MOST = 32

OnProgress = Callable[[int, int], None]


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

    image_01: (1, 1..4, H, W) in 0..1; transparency is ignored. names: phrases such as "the red
    ball", the frontmost first. seed: of the noise; each question takes the next one. centre: as in
    pipeline.Request. Raises InstructionError for no names or too many, CanvasError for a picture
    that cannot be used.
    """
    asked = [name.strip() for name in names if name.strip()]
    if not 1 <= len(asked) <= MOST:
        raise InstructionError(f"name 1 to {MOST} things to cut out. Got: {len(asked)}")
    image, _ = ensure_rgb(image_01)
    picture = image[0].float()
    found, missing = list[tuple[str, Tensor]](), list[str]()
    encoded: EncodedPictures | None = None
    for number, name in enumerate(asked):
        sentence = instruction("mask", target=name, taught=bundle.taught)
        result = run(bundle, Request(
            image, sentence, later_seed(seed, number), bundle.settings_of("mask"), centre=centre,
            encoded=encoded,
        ))  # fmt: skip
        encoded = result.encoded
        painted = at_source_size("mask", result.model_image_01, image, result.canvas, sharp=True)
        alpha = soft_edge(painted[0].mean(0))
        if bool((alpha > 0).any()):
            found.append((name, alpha))
        else:
            missing.append(name)
        on_progress(number + 1, len(asked) + 1)
    if not found:
        return CutOut(picture, [], missing)
    alphas = [alpha for _, alpha in found]
    behind = _filled(bundle, image, alphas, later_seed(seed, len(asked)), centre)
    on_progress(len(asked) + 1, len(asked) + 1)
    background, layers = make_layers(picture, behind, alphas, [name for name, _ in found])
    return CutOut(background, layers, missing)


def _filled(
    bundle: Bundle, image: Tensor, alphas: Sequence[Tensor], seed: int, centre: int | None
) -> Tensor:
    """The picture (3, H, W) with everything that has alpha painted over by the model."""
    hole = torch.stack([alpha > 0 for alpha in alphas]).any(0, keepdim=True)
    blanked = prepare_inpaint(
        image, hole, grow=max(1, round(GROW * min(image.shape[-2:]))),
        centres=centres_for(centre, bundle.centres),
    )  # fmt: skip
    canvas = blanked.canvas.of(0)
    settings = settings_for(canvas, bundle.centres, bundle.settings_of("inpaint"))
    sentence = instruction("inpaint", taught=bundle.taught)
    encoded = encode_pictures(bundle, blanked.picture)
    _, painted = answer(bundle, encoded, [sentence], [seed], settings)
    return canvas.restore_image(painted, image)[0].float()
