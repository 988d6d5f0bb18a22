"""Sampling nodes: the guider, and guider, schedule and sampler in one."""

from __future__ import annotations

from dataclasses import replace

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy_api.latest import io

from ...pixwizard_core.generate import SampleSettings
from ...pixwizard_core.pipeline import LATENT_CELL
from ...pixwizard_core.presets import AUTO
from ...pixwizard_core.sampling import GUIDED_CHANNELS
from ..host.versions import schema
from ..model.host_model import require_pixwizard, trained_centres
from ..model.latents import require_latent
from ..shared import auto, notes
from ..shared.base import Node
from ..shared.inputs import AS_SET, seed_input
from ..shared.page_data import for_new_nodes, used_when
from .guider import DualGuider, Guidance
from .presets import (
    FREE_GUIDANCE,
    WHOLE,
    preset_input,
    preset_settings,
    require_sampler,
    speed_input,
)
from .run_inputs import require_companions
from .schedule import (
    as_set,
    at_speed,
    model_shift,
    shift_input,
    sigmas,
    steps_input,
)

FIRST_CHANNELS, ALL_CHANNELS = f"first {GUIDED_CHANNELS}", "all"
CHANNELS = (FIRST_CHANNELS, ALL_CHANNELS)
FAR = 2.0  # times an area that a model was trained at, or as much below


def guidance_inputs(**used: list) -> list:
    """Model, the three conditionings and the two scales: the first inputs of every sampling node.
    used: the choices of another input with which the scales have a meaning."""
    return [
        io.Model.Input("model", tooltip="A PixWizard model from Load Tiny or Load Model."),
        io.Conditioning.Input("full", tooltip="Instruction and image, from Encode."),
        io.Conditioning.Input("image_only", tooltip="The image with an empty text, from Encode."),
        io.Conditioning.Input("none", tooltip="Neither image nor text, from Encode."),
        used_when(
            io.Float.Input(
                "text_guidance",
                default=4.0,
                min=0.0,
                max=30.0,
                step=0.1,
                tooltip="Strength of the instruction, 0 to 30 (no unit). 1 means no guidance and "
                "saves one model call per step. 4 suits the released model; 1 suits dense tasks "
                "such as depth.",
            ),
            **used,
        ),
        used_when(
            io.Float.Input(
                "image_guidance",
                default=1.0,
                min=0.0,
                max=30.0,
                step=0.1,
                tooltip="Strength of the image, 0 to 30 (no unit). 1 means no guidance and saves "
                "one model call per step.",
            ),
            **used,
        ),
    ]


def channels_input(**used: list):
    return used_when(
        io.Combo.Input(
            "guided_channels",
            options=list(CHANNELS),
            default=FIRST_CHANNELS,
            tooltip="Latent channels (of 4) that guidance applies to: the first "
            f"{GUIDED_CHANNELS}, as in the reference's sampling of the released model, or all.",
        ),
        **used,
    )


def guidance_of(settings: SampleSettings) -> Guidance:
    """The guidance of sampler settings, acting from their start to their end."""
    return Guidance(settings.w_text, settings.w_image, settings.all_channels, *settings.interval)


def shown_guidance(guidance: Guidance) -> dict[str, float | str]:
    """A guidance by the names of the inputs."""
    channels = ALL_CHANNELS if guidance.all_channels else FIRST_CHANNELS
    return {
        "text_guidance": guidance.text, "image_guidance": guidance.image,
        "guided_channels": channels,
    }  # fmt: skip


def far_from_trained(model, latent: torch.Tensor) -> list[notes.Note]:
    """A warning if a latent's area is far from every area that a MODEL was trained at."""
    width, height = (side * LATENT_CELL for side in (latent.shape[-1], latent.shape[-2]))
    centres = trained_centres(model)
    ratios = [width * height / centre**2 for centre in centres]
    if any(1 / FAR <= ratio <= FAR for ratio in ratios):
        return []
    trained = ", ".join(map(str, centres))
    text = (
        f"the picture is sampled at {width} x {height} px, and the model was trained at squares of "
        f"{trained} px; connect the model to Fit to Canvas and set centre_by to auto"
    )
    return [notes.warning(text, "far_from_trained", width=width, height=height, centres=trained)]


def make_guider(model, full, image_only, none, guidance: Guidance) -> DualGuider:
    """A guider of the host with these branches. Raises CheckpointError for another model."""
    require_pixwizard(model, "this sampling node")
    guider = DualGuider(model)
    guider.set_branches(full, image_only, none)
    guider.set_guidance(guidance)
    return guider


def run_sampler(
    guider: DualGuider,
    latent: dict,
    levels: torch.Tensor,
    sampler: str,
    seed: int,
    noise: torch.Tensor | None = None,
) -> dict:
    """Sample a LATENT through the host, with its previews, progress, masks and interruption.

    noise: unit noise of the latent's shape, from a run that shows its own progress; None draws it
    from the seed. Raises SamplingError for a latent that cannot be sampled.
    """
    model = guider.model_patcher
    require_latent(latent.get("samples"))
    require_companions(latent)
    start = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    callback = None
    if noise is None:
        noise = comfy.sample.prepare_noise(start, seed, latent.get("batch_index"))
        callback = latent_preview.prepare_callback(model, len(levels) - 1)
    samples = guider.sample(
        noise,
        start,
        comfy.samplers.sampler_object(sampler),
        levels,
        denoise_mask=latent.get("noise_mask"),
        callback=callback,
        disable_pbar=callback is None or not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    return {**latent, "samples": samples.to(comfy.model_management.intermediate_device())}


class DualCFGGuider(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DualCFGGuider",
            display_name="PixWizard Dual-CFG Guider",
            description="Guides by instruction and by image at once, for Sampler Custom Advanced. "
            "Runs only the branches that do not cancel: 2 model calls per step at image guidance "
            "1, otherwise 3.",
            search_aliases=["guidance", "cfg", "dual cfg"],
            inputs=[
                *guidance_inputs(preset=[AS_SET]),
                channels_input(preset=[AS_SET]),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Time at which guidance starts, 0 (noise) to 1 (image).",
                ),
                io.Float.Input(
                    "end",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Time at which guidance ends, 0 (noise) to 1 (image). Before start and "
                    "after end, a step takes a single model call.",
                ),
                preset_input(),
            ],
            outputs=[io.Guider.Output("guider", display_name="guider")],
        )

    @classmethod
    def run(
        cls,
        model,
        full,
        image_only,
        none,
        text_guidance,
        image_guidance,
        guided_channels,
        start,
        end,
        preset=AS_SET,
    ):
        guidance = Guidance(text_guidance, image_guidance, guided_channels == ALL_CHANNELS)
        if preset != AS_SET:
            guidance = guidance_of(preset_settings(preset, model, full))
        guidance = replace(guidance, start=start, end=end)
        guider = make_guider(model, full, image_only, none, guidance)
        told = auto.meant("preset", preset, **shown_guidance(guidance))
        return io.NodeOutput(guider, ui=told if preset != AS_SET else None)


class Sample(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Sample",
            display_name="PixWizard Sample",
            description="Goes from Encode to a latent in one node: guidance, schedule and sampler.",
            search_aliases=["ksampler", "sampler"],
            inputs=[
                *guidance_inputs(speed=FREE_GUIDANCE),
                io.Latent.Input("latent", tooltip="From Encode. A noise mask on it is respected."),
                seed_input(
                    "Seed of the noise. The same seed gives the same picture in any batch size."
                ),
                steps_input(),
                shift_input(),
                channels_input(speed=FREE_GUIDANCE),
                as_set(
                    io.Combo.Input(
                        "sampler",
                        options=list(comfy.samplers.SAMPLER_NAMES),
                        default="euler",
                        tooltip="ComfyUI's solver. euler is the reference's; heun takes twice as "
                        "many model calls.",
                    )
                ),
                for_new_nodes(speed_input("steps, time_shift and sampler", " and guidance"), AUTO),
            ],
            outputs=[io.Latent.Output("samples", display_name="latent")],
        )

    @classmethod
    def run(
        cls,
        model,
        full,
        image_only,
        none,
        text_guidance,
        image_guidance,
        latent,
        seed,
        steps,
        time_shift,
        guided_channels,
        sampler,
        speed=AS_SET,
    ):
        guidance = Guidance(text_guidance, image_guidance, guided_channels == ALL_CHANNELS)
        if speed in WHOLE:
            chosen = preset_settings(speed, model, full)
            steps, time_shift, guidance = chosen.steps, chosen.shift, guidance_of(chosen)
            sampler = require_sampler(chosen, comfy.samplers.SAMPLER_NAMES)
        else:
            steps, time_shift, sampler = at_speed(speed, steps, time_shift, sampler)
        guider = make_guider(model, full, image_only, none, guidance)
        levels = sigmas(steps, time_shift, moved_by=model_shift(model, time_shift))
        require_latent(latent.get("samples"))
        shown = notes.shown(far_from_trained(model, latent["samples"]))  # before a long wait
        painted = run_sampler(guider, latent, levels, sampler, seed)
        if speed != AS_SET:
            whole = shown_guidance(guidance) if speed in WHOLE else {}
            values = {"steps": steps, "time_shift": time_shift, "sampler": sampler}
            shown |= auto.meant("speed", speed, **values, **whole)
        return io.NodeOutput(painted, ui=shown)
