"""Lines that say what a set's numbers depend on; the paper leaves most of it open."""

from __future__ import annotations

from ..fleet.job import Job
from .evaluate_set import SetPlan
from .layouts import LAYOUTS

DEPTH = ("nyuv2", "sunrgbd")
INCEPTION = ("fid", "is")


def protocol_lines(plan: SetPlan, job: Job) -> list[str]:
    """Resizing, colour space, crops, wording, guidance, seeds and polarity of one set."""
    layout, options = LAYOUTS[plan.data], plan.options
    lines = [f"{plan.data}: {layout.choices}"] if layout.choices else []
    if plan.data in DEPTH:
        near, far = options.range_m
        lines.append(
            f"depth from {near:g} to {far:g} m, "
            f"{'fitted by scale and shift' if options.align else 'as painted'}; mean of each "
            "picture's RMSE"
        )
    if any(name in INCEPTION for name in plan.wanted):
        crop = f"middle squares of {layout.crop} px, " if layout.crop else ""
        lines.append(f"FID and IS: {crop}resized to 299 px the way {layout.fid!r}, float64 sums")
    wording = options.instruction or f"phrasing {plan.phrasing or 'trained'}"
    changed = ", ".join(f"{name} {value}" for name, value in job.overrides.items())
    lines.append(
        f"words: {wording}; preset {job.preset}, {changed or 'nothing else'} given; answers in the "
        f"picture's own size, fit {job.fit}, centre {job.centre or 'auto'}; seed {job.seed}"
    )
    if job.model.loras:
        lines.append(f"LoRA: {', '.join(map(str, job.model.loras))}")
    return lines
