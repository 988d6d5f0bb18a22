"""Sampling nodes: the guider, the schedule, and both in one."""

from __future__ import annotations

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy_api.latest import io

from ..pixwizard_core.errors import SamplingError
from ..pixwizard_core.presets import SPEEDS
from ..pixwizard_core.sampling import GUIDED_CHANNELS, times
from .guider import DualGuider, Guidance
from .host import choice, schema
from .page_data import used_when
from .run_inputs import require_companions, require_latent, require_pixwizard

FIRST_CHANNELS, ALL_CHANNELS = f"first {GUIDED_CHANNELS}", "all"
CHANNELS = (FIRST_CHANNELS, ALL_CHANNELS)
AS_SET = "as set"
SPEED_CHOICES = (AS_SET, *SPEEDS)


def guidance_inputs() -> list:
    """Model, the three conditionings and the two scales: what every sampling node begins with."""
    return [
        io.Model.Input("model", tooltip="A PixWizard model from Load Tiny or Load Model."),
        io.Conditioning.Input("full", tooltip="Instruction and image, from Encode."),
        io.Conditioning.Input("image_only", tooltip="The image with an empty text, from Encode."),
        io.Conditioning.Input("none", tooltip="Neither image nor text, from Encode."),
        io.Float.Input(
            "text_guidance",
            default=4.0,
            min=0.0,
            max=30.0,
            step=0.1,
            tooltip="How strongly the instruction acts, 0 to 30 (no unit). 1 is no guidance and "
            "one model call fewer for each step; 4 suits the released model, 1 dense tasks such "
            "as depth.",
        ),
        io.Float.Input(
            "image_guidance",
            default=1.0,
            min=0.0,
            max=30.0,
            step=0.1,
            tooltip="How strongly the image acts, 0 to 30 (no unit). 1 is no guidance and spares "
            "a model call for each step.",
        ),
    ]


def channels_input():
    return io.Combo.Input(
        "guided_channels",
        options=list(CHANNELS),
        default=FIRST_CHANNELS,
        tooltip=f"Latent channels (of 4) that guidance acts on: the first {GUIDED_CHANNELS}, as "
        "the released model was sampled, or all.",
    )


def as_set(socket):
    """An input that speed replaces."""
    return used_when(socket, speed=[AS_SET])


def steps_input(default: int = 20):
    return as_set(
        io.Int.Input(
            "steps",
            default=default,
            min=1,
            max=1000,
            tooltip="Steps from noise to image, 1 to 1000. The reference's num_steps N is N - 1 "
            "steps here.",
        )
    )


def shift_input():
    return as_set(
        io.Float.Input(
            "time_shift",
            default=1.0,
            min=0.1,
            max=20.0,
            step=0.1,
            tooltip="1 = even steps; above 1 takes more of them near noise, below 1 near the "
            "image. 0.1 to 20.",
        )
    )


def speed_input(replaced: str):
    """The last input, and an optional one, so that older graphs go on as they are."""
    told = ", ".join(f"{name} {values['steps']}" for name, values in SPEEDS.items())
    return io.Combo.Input(
        "speed",
        options=list(SPEED_CHOICES),
        default=AS_SET,
        optional=True,
        tooltip=f"{AS_SET}: the widgets count. Otherwise {replaced} are replaced by a preset with "
        f"this many steps: {told}.",
    )


def at_speed(speed: str, steps: int, shift: float, sampler: str = "euler"):
    """Steps, time shift and sampler of a node, or those of the speed that was chosen."""
    if choice(speed, SPEED_CHOICES, "speed") == AS_SET:
        return steps, shift, sampler
    return tuple(SPEEDS[speed][name] for name in ("steps", "shift", "solver"))


def sigmas(steps: int, shift: float, denoise: float = 1.0) -> torch.Tensor:
    """The host's falling noise levels (float32, last 0) of the core's rising times.

    denoise < 1 starts later: the last `steps` of a finer grid. Raises SamplingError for denoise <=
    0.
    """
    if not 0 < denoise <= 1:
        raise SamplingError(f"denoise must be above 0 and at most 1. Got: {denoise}")
    whole = max(steps, int(steps / denoise))
    return (1.0 - times(whole, shift))[-(steps + 1) :].float()


def make_guider(model, full, image_only, none, guidance: Guidance) -> DualGuider:
    """A guider of the host with these branches. Raises CheckpointError for another model."""
    require_pixwizard(model, "this sampling node")
    guider = DualGuider(model)
    guider.set_branches(full, image_only, none)
    guider.set_guidance(guidance)
    return guider


def run_sampler(
    guider: DualGuider, latent: dict, levels: torch.Tensor, sampler: str, seed: int
) -> dict:
    """Sample a LATENT through the host: its previews, progress, masks and interruption apply.

    Raises SamplingError for a latent that cannot be sampled on.
    """
    model = guider.model_patcher
    require_latent(latent.get("samples"))
    require_companions(latent)
    start = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    noise = comfy.sample.prepare_noise(start, seed, latent.get("batch_index"))
    samples = guider.sample(
        noise,
        start,
        comfy.samplers.sampler_object(sampler),
        levels,
        denoise_mask=latent.get("noise_mask"),
        callback=latent_preview.prepare_callback(model, len(levels) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    return {**latent, "samples": samples.to(comfy.model_management.intermediate_device())}


class DualCFGGuider(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "DualCFGGuider",
            display_name="PixWizard Dual-CFG Guider",
            description="Guidance by instruction and by image at once, for Sampler Custom "
            "Advanced. Runs only the branches that do not cancel: 2 model calls for a step at "
            "image guidance 1, else 3.",
            search_aliases=["guidance", "cfg", "dual cfg"],
            inputs=[
                *guidance_inputs(),
                channels_input(),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Time from which guidance acts, 0 (noise) to 1 (image).",
                ),
                io.Float.Input(
                    "end",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Time until which guidance acts, 0 (noise) to 1 (image). Outside "
                    "start and end a step is a single model call.",
                ),
            ],
            outputs=[io.Guider.Output("guider", display_name="guider")],
        )

    @classmethod
    def execute(
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
    ):
        everything = choice(guided_channels, CHANNELS, "guided_channels") == ALL_CHANNELS
        guidance = Guidance(text_guidance, image_guidance, everything, start, end)
        return io.NodeOutput(make_guider(model, full, image_only, none, guidance))


class Schedule(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "Schedule",
            display_name="PixWizard Schedule",
            description="Noise levels for Sampler Custom Advanced: even times, moved by a shift.",
            search_aliases=["sigmas", "scheduler", "time shift"],
            inputs=[
                steps_input(),
                shift_input(),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Part of the way from noise to image that is sampled, 0.01 to 1. "
                    "Below 1 the latent handed to the sampler shines through.",
                ),
                speed_input("steps and time_shift"),
            ],
            outputs=[io.Sigmas.Output("sigmas", display_name="sigmas")],
        )

    @classmethod
    def execute(cls, steps, time_shift, denoise, speed=AS_SET):
        steps, time_shift, _ = at_speed(speed, steps, time_shift)
        return io.NodeOutput(sigmas(steps, time_shift, denoise))


class Sample(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "Sample",
            display_name="PixWizard Sample",
            description="The short way from Encode to a latent: guidance, schedule and sampler "
            "in one node.",
            search_aliases=["ksampler", "sampler"],
            inputs=[
                *guidance_inputs(),
                io.Latent.Input("latent", tooltip="From Encode. A noise mask on it is honoured."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the noise. The same seed gives the same picture in any "
                    "batch size.",
                ),
                steps_input(),
                shift_input(),
                channels_input(),
                as_set(
                    io.Combo.Input(
                        "sampler",
                        options=list(comfy.samplers.SAMPLER_NAMES),
                        default="euler",
                        tooltip="The host's solver. euler is the reference's; heun takes twice the "
                        "calls.",
                    )
                ),
                speed_input("steps, time_shift and sampler"),
            ],
            outputs=[io.Latent.Output("samples", display_name="latent")],
        )

    @classmethod
    def execute(
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
        steps, time_shift, sampler = at_speed(speed, steps, time_shift, sampler)
        choice(sampler, comfy.samplers.SAMPLER_NAMES, "sampler")
        everything = choice(guided_channels, CHANNELS, "guided_channels") == ALL_CHANNELS
        guidance = Guidance(text_guidance, image_guidance, everything)
        guider = make_guider(model, full, image_only, none, guidance)
        return io.NodeOutput(run_sampler(guider, latent, sigmas(steps, time_shift), sampler, seed))


NODES = (DualCFGGuider, Schedule, Sample)
