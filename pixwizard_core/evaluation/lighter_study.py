"""What lighter weights cost: the errors of weights, of what layers give and of text features, the
pictures of a few tasks, and the sizes of the released model's files.

Each way of storing is tried by rounding the weights to it and back. Everything else stays the same:
rooms, seeds, and products in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ..config import PRESETS
from ..encoders.architectures import CLIP_L_TEXT, GEMMA_2B
from ..encoders.architectures import expected_shapes as encoder_shapes
from ..encoders.text import TextEncoder
from ..pipeline import Bundle, Request, run
from ..weights.checkpoint import expected_shapes
from ..weights.layer_choice import IN_8_BITS
from ..weights.quantised import (
    FP8_SCALED,
    INT8,
    PLAIN,
    Format,
    in_format,
    scale_of,
    scale_shape,
    unpacked,
)
from ..world.held_out import SQUARE, examples_of
from .scorers import SCORERS, mean, psnr
from .scoring import Known, as_trained, paint

TASKS = {"depth": "rmse", "mask": "iou", "segmentation": "accuracy", "denoise": "psnr"}
BATCH = 12
Module = TypeVar("Module", bound=nn.Module)
OnBatch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class StoredWay:
    """A way to store weights. change: weight in float32 -> what is left of it, for the weights of
    IN_8_BITS, or for all matrices with everywhere; other weights are rounded to bfloat16."""

    title: str
    change: Callable[[Tensor], Tensor]
    everywhere: bool = False


def _rounded(weight: Tensor) -> Tensor:
    return weight.to(PLAIN).float()


def _in(format: Format) -> Callable[[Tensor], Tensor]:
    def change(weight: Tensor) -> Tensor:
        scale = scale_of(weight, format)
        return unpacked(in_format(weight, scale, format), scale, torch.float32)

    return change


INT8_WHOLE = replace(INT8, by_row=False)
WAYS = (
    StoredWay("bf16", _rounded),
    StoredWay("fp8", lambda weight: weight.to(FP8_SCALED.dtype).float()),
    StoredWay("fp8_scaled", _in(FP8_SCALED)),
    StoredWay("int8, one scale", _in(INT8_WHOLE)),
    StoredWay("int8", _in(INT8)),
    StoredWay("int8 everywhere", _in(INT8), everywhere=True),
)


def lightened(kind: str, module: Module, way: StoredWay) -> Module:
    """A copy of a model with weights stored in a way. kind: a key of IN_8_BITS."""
    made = copy.deepcopy(module)
    for name, weight in made.named_parameters():
        packed = weight.dim() == 2 if way.everywhere else IN_8_BITS[kind].fullmatch(name)
        weight.data = (way.change if packed else _rounded)(weight.data)
    return made


@dataclass(frozen=True, slots=True)
class LayerErrors:
    """Relative RMS errors over the layers in 8 bits: (mean, worst) of weights and of what layers
    give. worst: the layer with the largest of these. input: largest input of a layer."""

    weights: tuple[float, float]
    given: tuple[float, float]
    worst: str
    input: float


def relative_rms(found: Tensor, wanted: Tensor) -> float:
    """Root of the mean square error over that of what is wanted."""
    return float((found - wanted).square().sum().sqrt() / wanted.square().sum().sqrt())


@torch.no_grad()
def layer_errors(bundle: Bundle, seed: int) -> dict[str, LayerErrors]:
    """The errors of each way, with the inputs that layers meet in one room of each task."""
    layers = {
        name: module
        for name, module in cast(nn.Module, bundle.model).named_modules()
        if isinstance(module, nn.Linear) and IN_8_BITS["model"].fullmatch(f"{name}.weight")
    }
    changed = {
        way.title: {name: way.change(layer.weight) for name, layer in layers.items()}
        for way in WAYS if not way.everywhere
    }  # fmt: skip
    sums = {title: {name: [0.0, 0.0] for name in layers} for title in changed}
    largest = 0.0

    def meet(name: str, given: Tensor, made: Tensor) -> None:
        nonlocal largest
        largest = max(largest, float(given.abs().max()))
        for title, weights in changed.items():
            off = torch.nn.functional.linear(given, weights[name]) - made
            sums[title][name][0] += float(off.square().sum())
            sums[title][name][1] += float(made.square().sum())

    def met_by(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda module, inputs, output: meet(name, inputs[0], output)

    handles = [layer.register_forward_hook(met_by(name)) for name, layer in layers.items()]
    try:
        for task in TASKS:
            examples = as_trained(examples_of(task, 1, SQUARE, seed, False), bundle.taught)
            request = Request(examples.inputs, examples.instructions, seeds=0,
                              settings=bundle.settings_of(task))  # fmt: skip
            run(bundle, request)
    finally:
        for handle in handles:
            handle.remove()
    return {
        title: _errors(layers, weights, sums[title], largest) for title, weights in changed.items()
    }


def _errors(
    layers: dict[str, nn.Linear], weights: dict[str, Tensor], sums: dict[str, list[float]],
    largest: float,
) -> LayerErrors:  # fmt: skip
    own = [relative_rms(weights[name], layer.weight) for name, layer in layers.items()]
    given = {name: (off / whole) ** 0.5 for name, (off, whole) in sums.items() if whole}
    worst = max(given, key=given.__getitem__)
    return LayerErrors(
        (mean(own), max(own)), (mean(list(given.values())), given[worst]), worst, largest
    )


@torch.no_grad()
def text_errors(bundle: Bundle, count: int, seed: int) -> dict[str, tuple[float, float]]:
    """The relative RMS error of Gemma's features and of CLIP's pooled text, of each way, over the
    sentences of count rooms of each task."""
    sentences = [
        sentence
        for task in TASKS
        for sentence in as_trained(
            examples_of(task, count, SQUARE, seed, False), bundle.taught
        ).instructions
    ]
    wanted = bundle.text.encode(sentences)
    found: dict[str, tuple[float, float]] = {}
    for way in WAYS:
        made = _text(bundle.text, way).encode(sentences)
        own = wanted.mask[..., None]
        found[way.title] = (
            relative_rms(made.text * own, wanted.text * own),
            relative_rms(made.pooled, wanted.pooled),
        )
    return found


def _text(text: TextEncoder, way: StoredWay) -> TextEncoder:
    return TextEncoder(
        lightened("gemma", text.gemma, way), lightened("clip_text", text.clip, way),
        text.tokenizers,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task painted with weights of each way. scores: by way, and "as it is". near: PSNR in dB
    against the pictures of the weights as they are."""

    task: str
    score: str
    scores: dict[str, float]
    near: dict[str, float]


AS_IT_IS, WITH_TEXT = "as it is", "int8, text too"


def study_tasks(
    bundle: Bundle, count: int, seed: int, on_batch: OnBatch = lambda count: None
) -> list[TaskRow]:
    """Paint count rooms of each task with weights of each way."""
    bundles = {AS_IT_IS: bundle}
    for way in WAYS:
        bundles[way.title] = replace(bundle, model=lightened("model", bundle.model, way))
    int8 = next(way for way in WAYS if way.title == INT8.title)
    bundles[WITH_TEXT] = replace(bundles[INT8.title], text=_text(bundle.text, int8))
    rows: list[TaskRow] = []
    for task, name in TASKS.items():
        examples = as_trained(examples_of(task, count, SQUARE, seed, False), bundle.taught)
        known: Known = {}
        painted = {
            title: paint(one, examples, bundle.settings_of(task), BATCH, on_batch, known)
            for title, one in bundles.items()
        }
        exact = painted[AS_IT_IS]
        rows.append(TaskRow(
            task, name,
            {title: SCORERS[task](made, examples)[name] for title, made in painted.items()},
            {
                title: mean([psnr(a, b) for a, b in zip(made, exact, strict=True)])
                for title, made in painted.items() if title != AS_IT_IS
            },
        ))  # fmt: skip
    return rows


def released_sizes() -> dict[str, dict[str, int]]:
    """Bytes of the weights of the released model's parts, by part and format. Nothing is
    allocated."""
    parts = {
        "transformer": ("model", expected_shapes(PRESETS["PixWizard_2B_GQA_patch2"])),
        "Gemma 2B": ("gemma", encoder_shapes("gemma", GEMMA_2B)),
        "CLIP text": ("clip_text", encoder_shapes("clip_text", CLIP_L_TEXT)),
    }
    return {
        part: {
            "bf16": sum(prod(shape) for shape in shapes.values()) * PLAIN.itemsize,
            **{one.title: _bytes(kind, one, shapes) for one in (FP8_SCALED, INT8)},
        }
        for part, (kind, shapes) in parts.items()
    }


def _bytes(kind: str, format: Format, shapes: dict[str, tuple[int, ...]]) -> int:
    total = 0
    for name, shape in shapes.items():
        if IN_8_BITS[kind].fullmatch(name):
            total += prod(shape) * format.dtype.itemsize
            total += prod(scale_shape(shape, format)) * torch.float32.itemsize
        else:
            total += prod(shape) * PLAIN.itemsize
    return total
