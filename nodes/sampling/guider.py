"""PixWizard's two-scale guidance as a guider of the host (paper C.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import comfy.samplers
import node_helpers
import torch
from torch import Tensor

from ...pixwizard_core.pipeline import LATENT_CELL
from ...pixwizard_core.sampling import GUIDED_CHANNELS, combine, needed_branches
from ..host.memory import memory_advice
from ..model import patches
from ..model.latents import require_channels, require_latent
from .run_inputs import require_areas

BRANCHES = ("full", "image_only", "none")
# The host looks for control and regions under "positive"; the other names are free.
COND_KEYS = {"full": "positive", "image_only": "image_only", "none": "negative"}


@dataclass(frozen=True, slots=True)
class Guidance:
    """How the branches are weighed.

    text, image: scales of the instruction and of the image, 1 = no guidance. all_channels: guide
    the last latent channel too (the paper) or take it from the full branch (the reference). start,
    end: times in 0..1 (0 = noise, 1 = image) between which guidance acts; outside, only the full
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
    """Runs only the branches that do not cancel, and combines them in the host's x0 space.

    The factors of the branches sum to 1, so combining predictions of the image is the same as
    combining velocities. If other nodes patch the guidance, the host itself guides between
    image_only and full, so that the patches act as with a KSampler; see _patched.
    """

    def set_guidance(self, guidance: Guidance) -> None:
        self.guidance = guidance
        self.cfg = guidance.text  # other nodes read and change the scale of a guider

    @property
    def guides_all_channels(self) -> bool:
        return self.guidance.all_channels

    def set_branches(self, full, image_only, none) -> None:
        image_only = node_helpers.conditioning_set_values(image_only, {"prompt_type": "negative"})
        named = dict(zip(BRANCHES, (full, image_only, none), strict=True))
        self.inner_set_conds({COND_KEYS[name]: conds for name, conds in named.items()})

    def sample(self, *args, **kwargs) -> Tensor:
        """Run the host's sampler on noise and latent, its first two arguments.

        Raises SamplingError when their shape cannot be sampled, a conditioning's area lies outside,
        or memory runs out.
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
            # An interrupted run leaves its conds behind, and everything prepared from them.
            self.__dict__.pop("conds", None)

    def predict_noise(self, x: Tensor, timestep: Tensor, model_options=None, seed=None) -> Tensor:
        options = model_options or {}
        guidance = replace(self.guidance, text=self.cfg)
        # Rounded, because sigma is float32: sigma 0.8 must count as time 0.2.
        scales = guidance.scales(round(1.0 - float(timestep.flatten()[0]), 6))
        if patches.guidance_is_patched(options):
            return self._patched(x, timestep, *scales, options, seed)
        needed = needed_branches(*scales, guidance.all_channels)
        predictions = dict(zip(needed, self._run(needed, x, timestep, options), strict=True))
        return combine(predictions, *scales, guidance.all_channels)

    def _run(self, branches, x: Tensor, timestep: Tensor, options: dict) -> list[Tensor]:
        """Predictions of these branches from one call of the host. None in branches stands for a
        branch to skip."""
        conds = [name and self.conds[COND_KEYS[name]] for name in branches]
        return comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, options)

    def _patched(
        self, x: Tensor, timestep: Tensor, text: float, image: float, options: dict, seed
    ) -> Tensor:
        """The host's guidance with cond = full, uncond = image_only and the text scale, including
        patches of other nodes, plus (image - 1) (image_only - none)."""
        channels = slice(None)
        if not patches.replaces_reference(options):
            options = {key: value for key, value in options.items() if key != patches.CFG}
            if not self.guides_all_channels:
                options[patches.CFG] = patches.reference_cfg
                channels = slice(GUIDED_CHANNELS)
        image_step = None
        if image != 1:
            options, image_step = self._with_image_step(x, timestep, options)
        guided = comfy.samplers.sampling_function(
            self.inner_model,
            x,
            timestep,
            self.conds[COND_KEYS["image_only"]],
            self.conds[COND_KEYS["full"]],
            text,
            model_options=options,
            seed=seed,
        )
        if image_step is not None:
            guided = guided.clone()
            guided[:, channels] += (image - 1) * image_step[0][:, channels]
        return guided

    def _with_image_step(self, x: Tensor, timestep: Tensor, options: dict):
        """Options that make the host's guidance also compute image_only - none, and the list that
        then holds it. It is computed in the forward pass of the other branches unless a patch
        computes those."""
        found: list[Tensor] = []
        patch = options.get(patches.BRANCH_FUNCTION)

        def branches(args: dict) -> list[Tensor]:
            if patch is not None:
                text_step = patch({**args, "model_options": options})
                _, image_only, none = self._run((None, *BRANCHES[1:]), x, timestep, options)
            else:
                full, image_only, none = self._run(BRANCHES, x, timestep, options)
                # As with a KSampler, patches see zeros for a branch that the host skips.
                used = args["conds"][1] is not None
                text_step = [full, image_only if used else torch.zeros_like(image_only)]
            found.append(image_only - none)
            return text_step

        return {**options, patches.BRANCH_FUNCTION: branches}, found
