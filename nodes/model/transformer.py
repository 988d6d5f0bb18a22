"""The core's transformer behind the host's calling convention.

The host's time runs from sigma 1 (noise) to 0 (image) and its networks return noise minus image, so
this file turns t = 1 - sigma and gives back the negated velocity. Everything else is the core's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ParamSpec, TypeVar, cast

import comfy.patcher_extension
import torch
from comfy.ldm.common_dit import pad_to_patch_size
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ...pixwizard_core.conditioning import Condition
from ...pixwizard_core.config import ModelConfig
from ...pixwizard_core.generate import PIXELS_PER_TOKEN_SIDE, extrapolation, trained_centre
from ...pixwizard_core.model import NO_SCALING, PixWizard, Prepared, RopeScaling
from ...pixwizard_core.own_settings import RELEASED
from ...pixwizard_core.taught import UNKNOWN
from .patches import ROPE, RunLog, warn_unused
from .prepared_cache import PreparedCache
from .region_conds import HostRegions
from .token_draws import TokenDraws

P = ParamSpec("P")
T = TypeVar("T")
OPTIONS_KEY = "pixwizard"  # in transformer_options: RunOptions that take the model's place


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a MODEL.

    centres: sides in px of the squares whose areas it was trained at. proportional: scale
    self-attention by the number of tokens relative to the trained size. rope: scaling of positions;
    None scales them if the picture is larger than every trained size. keep: image tokens that each
    block keeps, None = as many as the model was trained with. draws: None keeps the best ones;
    otherwise they are drawn again at each evaluation.
    """

    centres: tuple[int, ...]
    proportional: bool = True
    rope: RopeScaling | None = None
    keep: int | None = None
    draws: TokenDraws | None = None

    def for_tokens(self, count: int) -> tuple[RopeScaling, int | None]:
        """Position scaling and attention base for a picture of this many tokens."""
        if not self.centres:
            return self.rope or NO_SCALING, None
        rope = extrapolation(count, self.centres) if self.rope is None else self.rope
        side = trained_centre(count, self.centres) // PIXELS_PER_TOKEN_SIDE
        return rope, side**2 if self.proportional else None


def run_attention(
    function, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, **named
) -> Tensor:
    """Call one of the host's attention functions in the form that the core needs (see
    pixwizard_core.model.attention)."""
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    if mask is not None:  # several of the host's backends accept only additive masks
        mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, torch.finfo(q.dtype).min)
    return function(q, k, v, q.shape[1], mask=mask, skip_reshape=True, **named)


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, transformer_options: dict
) -> Tensor:
    """The attention that the user chose for the host."""
    options = {"transformer_options": transformer_options}
    return run_attention(optimized_attention, q, k, v, mask, **options)


def run_block(options: dict, text: Tensor, index: int, x: Tensor, run) -> Tensor:
    """One block with the host's hooks: a replacement if any, then patches on the output."""
    options["block_index"] = index
    entry = {"img": x, "txt": text, "vec": None, "pe": None, "transformer_options": options}
    replacement = options.get("patches_replace", {}).get("dit", {}).get(("double_block", index))
    if replacement is None:
        x = run(x)
    else:

        def original(arguments: dict) -> dict:
            return {"img": run(arguments["img"]), "txt": arguments["txt"]}

        x = replacement(entry, {"original_block": original})["img"]
    for patch in options.get("patches", {}).get("double_block", []):
        x = patch({**entry, "img": x, "img_input": entry["img"], "block_index": index}).get(
            "img", x
        )
    return x


def outside_the_graph(function: Callable[P, T]) -> Callable[P, T]:
    """torch.compiler.disable, with the function's own type."""
    return cast("Callable[P, T]", torch.compiler.disable(function))


class Transformer(PixWizard):
    """The core's transformer with the host's forward."""

    def __init__(self, *, dtype=None, device=None, operations, **config) -> None:
        super().__init__(
            ModelConfig(**config),
            ops=operations,
            attention=partial(attend, transformer_options={}),
            device=device,
            dtype=dtype,
        )
        self.dtype = dtype
        self.options = RunOptions(())  # make_patcher sets the model's own, and what its file says
        self.own_settings, self.taught = RELEASED, UNKNOWN
        self.patch_size = self.config.patch_size
        self.in_channels = self.config.in_channels  # RenormCFG reads it
        self.run_log = RunLog()

    def forward(self, x, timesteps, context=None, transformer_options=None, **conds):
        options = transformer_options or {}
        wrappers = comfy.patcher_extension.get_all_wrappers(
            comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options
        )
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(
            self._forward, self, wrappers
        )
        # Step-caching wrappers change x in place, and in float32 it is the sampler's own tensor.
        return executor.execute(x.clone(), timesteps, context, options, **conds)

    def _forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        transformer_options: dict,
        *,
        text_mask: Tensor,
        pooled: Tensor,
        image_tokens: Tensor,
        has_image: Tensor,
        image_latent: Tensor,
        prepared_cache: PreparedCache | None = None,
        regions: HostRegions | None = None,
        control=None,
        **unused,
    ) -> Tensor:
        options = {**transformer_options, "block_type": "double", "total_blocks": len(self.layers)}
        if has_hooks(options) or options.get(ROPE) or control is not None:
            self._warn_unused(options, control)
        height, width = x.shape[-2:]
        patch = (self.patch_size, self.patch_size)
        x, image_latent = pad_to_patch_size(x, patch), pad_to_patch_size(image_latent, patch)
        condition = Condition(
            context, text_mask.bool(), pooled, image_tokens, has_image.bool(), image_latent
        )
        if regions is not None:
            marked = regions.to(x, partial(pad_to_patch_size, patch_size=patch))
            condition = replace(condition, regions=marked, regions_apart=regions.apart)
        tokens = math.prod(x.shape[-2:]) // self.patch_size**2
        chosen = options.get(OPTIONS_KEY, self.options)
        prepared = self._prepared(condition, chosen, tokens, prepared_cache)
        if chosen.draws is not None and prepared.candidates is not None:
            branches = options.get("cond_or_uncond") or [0]
            shape = len(self.layers), image_tokens.shape[1]
            prepared = prepared.redraw(chosen.draws.of_batch(branches, condition.has_image, shape))
        velocity = self.velocity(
            x,
            1.0 - timesteps,
            prepared,
            attention=partial(attend, transformer_options=options),
            block_hook=partial(run_block, options, context) if has_hooks(options) else None,
        )
        return -cast(Tensor, velocity)[..., :height, :width]

    @outside_the_graph
    def _warn_unused(self, options: dict, control) -> None:
        warn_unused(self.run_log, options, len(self.layers), control)

    # The lookup compares the content of conditions, and preparing happens once per run. Outside
    # the compiled graph, both together break it in only one place.
    @outside_the_graph
    def _prepared(
        self,
        condition: Condition,
        chosen: RunOptions,
        tokens: int,
        cache: PreparedCache | None,
    ) -> Prepared:
        rope, base = chosen.for_tokens(tokens)
        drawn, keep = chosen.draws is not None, chosen.keep

        def prepare() -> Prepared:
            return self.prepare(
                condition,
                keep=keep,
                keep_candidates=drawn,
                # In training, gradients also reach the token scores.
                straight_through=torch.is_grad_enabled(),
                rope=rope,
                base_seqlen=base,
            )

        return prepare() if cache is None else cache.get(condition, (rope, base, keep), prepare)


def has_hooks(options: dict) -> bool:
    """Whether any node patched the blocks of this model."""
    return bool(options.get("patches_replace") or options.get("patches"))
