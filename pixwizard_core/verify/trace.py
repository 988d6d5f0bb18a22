"""Intermediate values of a forward, taken with hooks and compared where a case records them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..conditioning import Condition
from ..model import PixWizard
from ..model.layers import time_sinusoid
from ..model.patch import Grid, patchify, unpatchify
from ..model.rope import RopeScaling, rope_table
from ..model.token_sampler import keep_indices
from ..torch_types import ints
from .checks import Check, allowed, close, equal
from .vectors import Case, VectorFile, Vectors

ForwardHook = Callable[[nn.Module, tuple[Any, ...], Tensor], None]


@dataclass
class Trace:
    """x_embed and c as the first block gets them, each block's output, task embedding, scores."""

    x_embed: Tensor | None = None
    condition_vector: Tensor | None = None
    task: Tensor | None = None
    blocks: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    scores: dict[int, Tensor] = field(default_factory=dict[int, Tensor])


@contextmanager
def record(model: PixWizard) -> Generator[Trace]:
    """Fill a Trace during the forward that runs inside."""
    trace = Trace()

    def first_block(_module: nn.Module, args: tuple[Any, ...]) -> None:
        trace.x_embed, trace.condition_vector = args[0], args[1]

    def task(_module: nn.Module, _args: tuple[Any, ...], output: Tensor) -> None:
        trace.task = output

    def block(index: int) -> ForwardHook:
        return lambda _module, _args, output: trace.blocks.__setitem__(index, output)

    def score(index: int) -> ForwardHook:
        return lambda _module, _args, output: trace.scores.__setitem__(index, output[..., 0])

    handles = [
        model.layers[0].register_forward_pre_hook(first_block),
        model.task_embedder.register_forward_hook(task),
    ]
    for index, layer in enumerate(model.layers):
        handles.append(layer.register_forward_hook(block(index)))
        handles.append(layer.out_conv.register_forward_hook(score(index)))
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()


def magnitude(wanted: Tensor) -> float:
    """Largest absolute value, at least 1: where numbers are larger, so is their noise."""
    return max(1.0, float(wanted.abs().max()))


def trace_checks(
    vectors: Vectors,
    file: VectorFile,
    case: Case,
    model: PixWizard,
    condition: Condition,
    trace: Trace,
    noise: Tensor | None,
) -> list[Check]:
    """Compare what the case records: intermediates on valid tokens, scores, chosen tokens."""
    tolerance = allowed("forward", vectors.dtype)
    outputs, tensors = case["outputs"], file.tensors
    latents = condition.image_latent
    layout = model.layout(list(latents), RopeScaling(), None)
    lengths = [grid.length for grid in layout.grids]
    checks: list[Check] = []

    def valid(tokens: Tensor) -> Tensor:
        return torch.cat([row[:length] for row, length in zip(tokens, lengths, strict=True)])

    def compare(label: str, found: Tensor | None, wanted: Tensor) -> None:
        if found is not None:
            checks.append(close(label, found, wanted, tolerance * magnitude(wanted)))

    per_token = {"x_embed": trace.x_embed}
    for name in outputs:
        match = re.fullmatch(r"layer(\d+)_out", name)
        if match:
            per_token[name] = trace.blocks.get(int(match[1]))
    for name, found in per_token.items():
        if name in outputs and found is not None:
            compare(name, valid(found), valid(tensors[outputs[name]]))
    if "adaln_input" in outputs:
        compare("adaln_input", trace.condition_vector, tensors[outputs["adaln_input"]])
    if "task_emb" in outputs:
        compare("task_emb", trace.task, tensors[outputs["task_emb"]])
    if "x_mask" in outputs:
        wanted = [int(count) for count in tensors[outputs["x_mask"]].sum(1)]
        checks.append(equal("x_mask", lengths, wanted))
    return checks + _score_checks(vectors, file, case, model, condition, trace, noise)


def _score_checks(
    vectors: Vectors,
    file: VectorFile,
    case: Case,
    model: PixWizard,
    condition: Condition,
    trace: Trace,
    noise: Tensor | None,
) -> list[Check]:
    outputs, tensors = case["outputs"], file.tensors
    checks: list[Check] = []
    if not trace.scores:
        return checks
    active = condition.has_image
    scores = [trace.scores[index] for index in sorted(trace.scores)]
    recorded = outputs.get("logits") or f"{case.get('name')}.logits"
    if recorded in tensors:
        found = torch.stack([layer[active] for layer in scores])
        tolerance = allowed("forward", vectors.dtype) * magnitude(tensors[recorded])
        checks.append(close("scores", found, tensors[recorded], tolerance))
    recorded = case.get("selected") or outputs.get("selected")
    # Half precision may swap neighbours at the edge of the choice; outputs then say how it matters.
    if recorded in tensors and vectors.dtype in (torch.float32, torch.float64):
        kept = [
            keep_indices(layer, model.config.sample_tokens, None if noise is None else noise[index])
            for index, layer in enumerate(scores)
        ]
        pair = torch.stack([layer[active] for layer in kept]).cpu(), tensors[recorded]
        found, wanted = ((one.shape, ints(one.flatten())) for one in pair)
        checks.append(equal("chosen tokens", found, wanted))
    return checks


def patch_checks(vectors: Vectors, file: VectorFile, model: PixWizard) -> list[Check]:
    """Patchify and unpatchify of a batch, with its rotary table."""
    tensors, config = file.tensors, model.config
    x, image = (vectors.place(tensors[f"tensor_path.{name}"]) for name in ("x", "input_x"))
    patch = config.patch_size
    grid = Grid(x.shape[-2] // patch, x.shape[-1] // patch)
    tolerance = allowed("forward", vectors.dtype)
    checks: list[Check] = []
    if "tensor_path.embed" in tensors:
        embedded = model.x_embedder(patchify(torch.cat([x, image], dim=1), patch))
        checks.append(close("embed", embedded, tensors["tensor_path.embed"], tolerance))
    if "tensor_path.mask" in tensors:
        wanted = tensors["tensor_path.mask"]
        checks.append(equal("mask", [grid.length] * len(x), ints(wanted.sum(1))))
    if "tensor_path.freqs_real" in tensors:
        table = rope_table(*grid, config.head_dim, RopeScaling(), 1.0, vectors.device)
        for name, part in zip(("freqs_real", "freqs_imag"), table.unbind(-1), strict=True):
            wanted = tensors[f"tensor_path.{name}"][0]
            checks.append(close(name, part, wanted, allowed("rope", torch.float32)))
    if "tensor_path.tokens" in tensors:
        tokens = vectors.place(tensors["tensor_path.tokens"])
        found = unpatchify(tokens, grid, patch, config.out_channels)
        wanted = vectors.place(tensors["tensor_path.unpatchified"])
        checks.append(close("unpatchify", found, wanted, 0.0))
    return checks


def time_checks(vectors: Vectors, file: VectorFile, model: PixWizard) -> list[Check]:
    """Sinusoid and embedding of recorded times."""
    tensors = file.tensors
    t = tensors["t_embed.t"].to(vectors.device)
    checks: list[Check] = []
    if "t_embed.freq" in tensors:
        tolerance = allowed("forward", torch.float32)
        checks.append(close("sinusoid", time_sinusoid(t), tensors["t_embed.freq"], tolerance))
    if "t_embed.out" in tensors:
        tolerance = allowed("forward", vectors.dtype)
        found = model.t_embedder(t, vectors.dtype)
        checks.append(close("embedding", found, tensors["t_embed.out"], tolerance))
    return checks
