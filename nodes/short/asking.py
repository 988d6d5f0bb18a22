"""Asking a whole model directly, for nodes that ask more than once in a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import comfy.samplers
from torch import Tensor

from ...pixwizard_core.generate import SampleSettings
from ..conditions.asked import taught_with, worded
from ..encoders import conditioning
from ..loaders.bundle import WholeModel
from ..sampling.presets import require_sampler
from ..sampling.sample import guidance_of, make_guider, run_sampler
from ..sampling.schedule import model_shift, sigmas
from ..shared.layouts import to_image_01


@dataclass(frozen=True, slots=True)
class Asking:
    """One question to a model, about any number of pictures. words, empty: CONDITIONING of the
    sentence, with its task, and of the empty text."""

    whole: WholeModel
    words: list
    empty: list
    settings: SampleSettings
    levels: Tensor
    sampler: str

    @classmethod
    def of(cls, whole: WholeModel, instruction: str, task: str, settings: SampleSettings) -> Asking:
        """Encode the sentence and plan the steps, once for all pictures."""
        _, sentence = worded(instruction, taught_with(whole.clip))
        words = conditioning.with_task(conditioning.encode_text(whole.clip, sentence), task)
        shift = model_shift(whole.model, settings.shift)
        return cls(
            whole, words, conditioning.encode_text(whole.clip, ""), settings,
            sigmas(settings.steps, settings.shift, moved_by=shift),
            require_sampler(settings, comfy.samplers.SAMPLER_NAMES),
        )  # fmt: skip

    def paint(
        self, fitted_01: Tensor, noise: Tensor | None, seed: int,
        encoded: conditioning.EncodedPicture | None = None,
    ) -> Tensor:  # fmt: skip
        """Answers (B, 3, H, W) in 0..1 to fitted pictures. noise: None draws it from the seed, as
        Sample does. encoded: the pictures, where encode_once() has already been called."""
        whole = self.whole
        picture = encoded or encode_once(whole, fitted_01)
        guider = make_guider(
            whole.model, conditioning.with_picture(self.words, picture),
            conditioning.with_picture(self.empty, picture), self.empty, guidance_of(self.settings),
        )  # fmt: skip
        latent = conditioning.empty_latent(picture)
        painted = run_sampler(guider, latent, self.levels, self.sampler, seed, noise=noise)
        return to_image_01(whole.vae.decode(painted["samples"]))


def encode_once(whole: WholeModel, fitted_01: Tensor) -> conditioning.EncodedPicture:
    """Fitted pictures (B, 3, H, W) in 0..1 as the model takes them, for any question."""
    return conditioning.encode_picture(whole.clip_vision, whole.vae, fitted_01)


def steps_of(step: Callable[[], None]) -> Callable[[int], None]:
    """A function that takes how much is done, from one that takes one step at a time."""
    before = 0

    def to(done: int) -> None:
        nonlocal before
        while before < done:
            step()
            before += 1

    return to
