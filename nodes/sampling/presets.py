"""Which sampler settings a preset means for a model and a task."""

from __future__ import annotations

import logging

from comfy_api.latest import io

from ...pixwizard_core.errors import SamplingError
from ...pixwizard_core.generate import SampleSettings
from ...pixwizard_core.presets import AUTO, OWN, PRESETS, SPEEDS, misses, with_preset
from ..model.host_model import TASK, own_settings_of
from ..shared.inputs import AS_SET
from ..shared.page_data import for_new_nodes

WHOLE = (AUTO, OWN, "paper-dense")  # choices of speed that set the guidance as well
GUIDING = (AS_SET, AUTO, OWN, "reference", "paper-dense")
SPEED_CHOICES = (AS_SET, *SPEEDS, *WHOLE)
DENSE = PRESETS["paper-dense"].purpose
FREE_GUIDANCE = [name for name in SPEED_CHOICES if name not in WHOLE]


def task_of(conditioning: list) -> str:
    """The id of the task that a CONDITIONING asks for, as far as it is known."""
    return next((str(values[TASK]) for _, values in conditioning if values.get(TASK)), "")


def preset_settings(name: str, model, conditioning: list) -> SampleSettings:
    """The settings of a preset for this MODEL and the task of this CONDITIONING. What is chosen is
    logged. Raises CheckpointError for another model."""
    task = task_of(conditioning)
    own = own_settings_of(model, "this preset").of(task)
    chosen = with_preset(own, name)
    told = f"{chosen.steps} steps of {chosen.solver}, shift {chosen.shift:g}, text guidance "
    told += f"{chosen.w_text:g}, image guidance {chosen.w_image:g}"
    logging.info("PixWizard: preset %s for %s: %s", name, task or "a free instruction", told)
    if note := misses(name, task):
        logging.warning("PixWizard: %s", note)
    if chosen.tokens != SampleSettings().tokens:
        logging.warning(
            "PixWizard: the model asks for token selection %s; set it in Model Options",
            chosen.tokens,
        )
    return chosen


def require_sampler(settings: SampleSettings, known: list[str]) -> str:
    """The host's sampler for a solver. Raises SamplingError when it has none of this name."""
    if settings.solver not in known:
        raise SamplingError(
            f"this model's own settings name the solver {settings.solver}, which ComfyUI does not "
            f"have; set speed to {AS_SET} and choose a sampler"
        )
    return settings.solver


def speed_input(replaced: str, more: str = ""):
    """An optional input behind the others, so that older graphs still work. more: what the presets
    of WHOLE set beside what the levels of speed replace."""
    told = ", ".join(f"{name} {values['steps']}" for name, values in SPEEDS.items())
    return io.Combo.Input(
        "speed",
        options=list(SPEED_CHOICES),
        default=AS_SET,
        optional=True,
        tooltip=f"{AS_SET}: uses the widgets. fast, balanced and reference replace {replaced}, "
        f"with this many steps: {told}. The others replace these{more}: {AUTO} and {OWN} by "
        f"what suits the model and the task, paper-dense by what suits {DENSE}.",
    )


def preset_input():
    """Guidance by a preset, as the guider's last input."""
    return for_new_nodes(
        io.Combo.Input(
            "preset",
            options=list(GUIDING),
            default=AS_SET,
            optional=True,
            tooltip=f"{AS_SET}: uses the widgets. Otherwise sets both scales of guidance and the "
            f"guided channels: {AUTO} and {OWN} as suits the model and the task, reference as the "
            f"released model was published, paper-dense for {DENSE}.",
        ),
        AUTO,
    )
