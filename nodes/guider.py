"""PixWizard's two-scale guidance as a guider of the host (paper C.3)."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.samplers
import node_helpers
from torch import Tensor

from ..pixwizard_core.pipeline import LATENT_CELL
from ..pixwizard_core.sampling import combine, needed_branches
from .memory import memory_advice
from .run_inputs import require_areas, require_channels, require_latent

BRANCHES = ("full", "image_only", "none")
# The host looks for control and regions under "positive"; the other names are free.
COND_KEYS = {"full": "positive", "image_only": "image_only", "none": "negative"}


@dataclass(frozen=True, slots=True)
class Guidance:
    """How the branches are weighed.

    text, image: scales of the instruction and of the image, 1 = no guidance. all_channels: guide
    the last latent channel too (the paper) or take it from the full branch (the reference). start,
    end: times in 0..1 (0 = noise, 1 = image) between which guidance acts; outside only the full
    branch runs.
    """

    text: float = 4.0
    image: float = 1.0
    all_channels: bool = False
    start: float = 0.0
    end: float = 1.0

    def scales(self, t: float) -> tuple[float, float]:
        """Text and image scale at time t."""
        return (self.text, self.image) if self.start <= t <= self.end else (1.0, 1.0)


class DualGuider(comfy.samplers.CFGGuider):
    """Runs only the branches that do not cancel and combines them in the host's x0 space.

    The factors of the branches sum to 1, so combining predictions of the image is the same as
    combining velocities.
    """

    def set_guidance(self, guidance: Guidance) -> None:
        self.guidance = guidance
        self.cfg = guidance.text  # some nodes read the scale of a guider

    def set_branches(self, full, image_only, none) -> None:
        image_only = node_helpers.conditioning_set_values(image_only, {"prompt_type": "negative"})
        named = dict(zip(BRANCHES, (full, image_only, none), strict=True))
        self.inner_set_conds({COND_KEYS[name]: conds for name, conds in named.items()})

    def sample(self, *args, **kwargs) -> Tensor:
        """What the host's sampler makes of noise and latent, its first two arguments.

        Raises SamplingError when they are of a shape that cannot be sampled, a conditioning's area
        lies outside, or memory runs out.
        """
        noise, latent = args[:2]
        require_latent(latent)
        require_channels(latent)
        batch, _, height, width = noise.shape
        for conditions in self.original_conds.values():
            require_areas(conditions, height, width)
        try:
            with memory_advice("sampling", width * LATENT_CELL, height * LATENT_CELL, batch):
                return super().sample(*args, **kwargs)
        finally:
            # An interrupted run leaves its conds behind, and with them what was prepared from them.
            self.__dict__.pop("conds", None)

    def predict_noise(self, x: Tensor, timestep: Tensor, model_options=None, seed=None) -> Tensor:
        options = model_options or {}
        # Rounded, for sigma is float32: 0.8 must be inside an interval from time 0.2 on.
        text, image = self.guidance.scales(round(1.0 - float(timestep.flatten()[0]), 6))
        all_channels = self.guidance.all_channels
        needed = needed_branches(text, image, all_channels)
        run = BRANCHES if options.get("disable_cfg1_optimization") else needed
        conds = [self.conds[COND_KEYS[name]] for name in run]
        outputs = comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, options)
        predictions = dict(zip(run, outputs, strict=True))
        guided = combine({name: predictions[name] for name in needed}, text, image, all_channels)
        return self._post(guided, predictions, text, x, timestep, options)

    def _post(self, guided, predictions, scale, x, timestep, options) -> Tensor:
        """Functions that other nodes hung behind the guidance, with the arguments the host gives
        them."""
        for function in options.get("sampler_post_cfg_function", []):
            guided = function(
                {
                    "denoised": guided,
                    "cond": self.conds[COND_KEYS["full"]],
                    "uncond": self.conds[COND_KEYS["image_only"]],
                    "cond_scale": scale,
                    "model": self.inner_model,
                    "cond_denoised": predictions.get("full", guided),
                    "uncond_denoised": predictions.get("image_only", guided),
                    "sigma": timestep,
                    "model_options": options,
                    "input": x,
                }
            )
        return guided
