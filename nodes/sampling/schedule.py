"""When a run evaluates the network: steps, time shift and speed, and the noise levels they give."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...pixwizard_core.errors import SamplingError
from ...pixwizard_core.generate import SampleSettings
from ...pixwizard_core.presets import with_speed
from ...pixwizard_core.sampling import times
from ..host.versions import schema
from ..model.host_model import require_pixwizard
from ..model.patches import require_flow
from ..shared import auto
from ..shared.base import Node
from ..shared.inputs import AS_SET
from ..shared.page_data import used_when
from .presets import WHOLE, preset_settings, speed_input

EVEN = 1e-6  # tolerance of the middle level without a shift


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
            tooltip="0.1 to 20. 1 = even steps, or the model's own shift (ModelSamplingSD3). Above "
            "1 puts more steps near the noise, below 1 near the image.",
        )
    )


def at_speed(
    speed: str, steps: int, shift: float, sampler: str = "euler"
) -> tuple[int, float, str]:
    """Steps, time shift and sampler of a node, or those of the level of SPEEDS that was chosen."""
    if speed == AS_SET:
        return steps, shift, sampler
    chosen = with_speed(SampleSettings(), speed)
    return chosen.steps, chosen.shift, chosen.solver


def model_shift(model, shift: float):
    """The model_sampling of a MODEL if another node, such as ModelSamplingSD3, set a time shift on
    it, else None.

    Raises CheckpointError for another model. Raises SamplingError for a model_sampling that is not
    a flow, or when shift, a node's own, is set as well.
    """
    require_pixwizard(model, "the time shift")
    sampling = model.get_model_object("model_sampling")
    require_flow(sampling)
    half = torch.tensor([0.5], dtype=torch.float32, device="cpu")
    moved = float(sampling.sigma(sampling.timestep(half)))
    if abs(moved - 0.5) < EVEN:
        return None
    if shift != 1:
        raise SamplingError(
            f"time_shift is {shift:g}, but a node has also set a time shift on the model "
            f"(half way is at noise level {moved:.3g}); set time_shift to 1 to use the model's, or "
            "remove the node that set it, such as ModelSamplingSD3"
        )
    return sampling


def sigmas(steps: int, shift: float, denoise: float = 1.0, moved_by=None) -> torch.Tensor:
    """The host's falling noise levels (float32, last 0) of the core's rising times.

    denoise < 1 starts later: the last `steps` of a finer grid. moved_by: a model_sampling of the
    host whose time shift moves them. Raises SamplingError for denoise <= 0.
    """
    if not 0 < denoise <= 1:
        raise SamplingError(f"denoise must be above 0 and at most 1. Got: {denoise}")
    whole = max(steps, int(steps / denoise))
    levels = (1.0 - times(whole, shift))[-(steps + 1) :]
    if moved_by is not None:
        levels = moved_by.sigma(moved_by.timestep(levels))
    return levels.float()


class Schedule(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Schedule",
            display_name="PixWizard Schedule",
            description=(
                "Makes noise levels for Sampler Custom Advanced: even times, moved by a shift."
            ),
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
                    tooltip="Part of the way from noise to image that is sampled, 0.01 to 1. Below "
                    "1, the latent given to the sampler shows through.",
                ),
                speed_input("steps and time_shift"),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="A model with a time shift set by another node, such as "
                    "ModelSamplingSD3. Its shift is used, and time_shift must be 1. Presets of "
                    "speed that suit the model need it.",
                ),
                io.Conditioning.Input(
                    "full",
                    optional=True,
                    tooltip="From Encode: tells presets of speed the task that is asked for.",
                ),
            ],
            outputs=[io.Sigmas.Output("sigmas", display_name="sigmas")],
        )

    @classmethod
    def run(cls, steps, time_shift, denoise, speed=AS_SET, model=None, full=None):
        if speed in WHOLE:
            if model is None:
                raise SamplingError(
                    f"speed {speed} goes by the model; connect the model too, or choose another "
                    "speed"
                )
            chosen = preset_settings(speed, model, full or [])
            steps, time_shift = chosen.steps, chosen.shift
        else:
            steps, time_shift, _ = at_speed(speed, steps, time_shift)
        moved_by = None if model is None else model_shift(model, time_shift)
        values = {"steps": steps, "time_shift": time_shift}
        told = auto.meant("speed", speed, **values) if speed != AS_SET else None
        return io.NodeOutput(sigmas(steps, time_shift, denoise, moved_by), ui=told)
