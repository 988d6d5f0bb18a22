"""Cases of one forward, and how the inputs of any case with a transformer are read.

Each case is computed in two ways. "plain" is what the reference does: everything recomputed, every
branch run. "prepared" is what this project runs: conditions prepared once, cancelling branches
skipped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..conditioning import Condition
from ..model import PixWizard, RopeScaling
from .checks import Check, allowed, close
from .trace import record, trace_checks
from .vectors import NO_IMAGE, Case, VectorFile, Vectors


def read_condition(
    vectors: Vectors, file: VectorFile, case: Case, model: PixWizard, image_latent: Any
) -> Condition:
    """The conditions of a case; image_latent in the structure of its latents."""
    inputs, tensors = case["inputs"], file.tensors
    names = inputs["input_clip_x"]
    tokens = [vectors.image_tokens(file, name, model.config) for name in names]
    present = [name != NO_IMAGE and bool(t.any()) for name, t in zip(names, tokens, strict=True)]
    return Condition(
        text=vectors.place(tensors[inputs["cap_feats"]]),
        text_mask=vectors.place(tensors[inputs["cap_mask"]]).bool(),
        pooled=vectors.place(tensors[inputs["cap_pooled_feats"]]),
        image_tokens=vectors.place(torch.stack(tokens)),
        has_image=torch.tensor(present, device=vectors.device),
        image_latent=image_latent,
    )


def read_options(args: Case) -> dict[str, Any]:
    """Rotary scaling and proportional attention as the model takes them."""
    base = args.get("base_seqlen") if args.get("proportional_attn") else None
    factor, watershed = args.get("scale_factor"), args.get("scale_watershed")
    return {
        "rope": RopeScaling(
            1.0 if factor is None else factor, 1.0 if watershed is None else watershed
        ),
        "base_seqlen": base,
    }


def spread_noise(noise: Tensor, has_image: Tensor) -> Tensor:
    """Recorded Gumbel noise (layers, rows with an image, N) -> (layers, all rows, N)."""
    spread = noise.new_zeros(noise.shape[0], len(has_image), noise.shape[-1])
    spread[:, has_image.to(noise.device)] = noise
    return spread


def forward_case(vectors: Vectors, file: VectorFile, case: Case) -> list[Check]:
    """One forward: outputs by both ways, and the intermediates the case records."""
    model = vectors.model(file, case)
    inputs, options = case["inputs"], read_options(case.get("args", {}))
    latents = _read_latents(vectors, file, inputs["x"])
    image_latents = _read_latents(vectors, file, inputs["input_x"])
    condition = read_condition(vectors, file, case, model, image_latents)
    t = _read_times(vectors, file, inputs["t"], len(latents))
    noise = None
    if "gumbel" in case:
        noise = spread_noise(file.tensors[case["gumbel"]][0], condition.has_image)
        noise = noise.to(vectors.device)
    with record(model) as trace:
        plain = model(latents, t, condition, gumbel=noise, **options)
    # Latents of one size go through the prepared way as one tensor, which takes no padding.
    stacked = len({latent.shape for latent in latents}) == 1
    if stacked:
        latents = torch.stack(list(latents))
        condition = replace(condition, image_latent=torch.stack(list(image_latents)))
    prepared = model.prepare(condition, keep_candidates=noise is not None, **options)
    if noise is not None:
        prepared = prepared.redraw(noise)
    results = {"plain": plain, "prepared": model.velocity(latents, t, prepared)}
    tolerance = allowed("forward", vectors.dtype)
    checks: list[Check] = []
    for label, outputs in results.items():
        wanted = _recorded_outputs(file, case, len(outputs))
        found = [
            close(label, output, one, tolerance)
            for output, one in zip(outputs, wanted, strict=True)
        ]
        checks.append(max(found, key=lambda check: check.ratio))
    return checks + trace_checks(vectors, file, case, model, condition, trace, noise)


def _read_latents(vectors: Vectors, file: VectorFile, names: list[str] | str) -> list[Tensor]:
    """Latents as a list of (C, h, w), from a list of names or one name of a batch."""
    if isinstance(names, str):
        return list(vectors.place(file.tensors[names]))
    return [vectors.place(file.tensors[name]) for name in names]


def _read_times(vectors: Vectors, file: VectorFile, t: str | float, rows: int) -> Tensor:
    # Times stay float32: half precision would move them.
    if isinstance(t, str):
        return file.tensors[t].to(vectors.device)
    return torch.full((rows,), float(t), device=vectors.device)


def _recorded_outputs(file: VectorFile, case: Case, rows: int) -> list[Tensor]:
    """One (C, h, w) per sample: out0, out1, …, or the rows of one tensor called out."""
    outputs = case["outputs"]
    if "out" in outputs:
        return list(file.tensors[outputs["out"]])
    names = [f"out{index}" for index in range(rows)]
    return [file.tensors[outputs[name]] for name in names]
