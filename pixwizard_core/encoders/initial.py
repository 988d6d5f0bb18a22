"""Initial weights of an encoder to train from scratch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..torch_types import named_modules
from .clip import ClipText, ClipVision
from .gemma import Gemma, GemmaNorm

CLIP_SPREAD = 0.02  # of CLIP's embeddings


@torch.no_grad()
def draw_weights(model: Gemma | ClipText | ClipVision, generator: torch.Generator) -> None:
    """Draw all weights of an encoder, in the order of its modules; norms start neutral.

    Gemma: one spread, its config's initializer_range, and a padding row of zeros. CLIP: spreads by
    width and depth, as its authors do.
    """
    spreads = gemma_spreads(model) if isinstance(model, Gemma) else clip_spreads(model)
    for name, module in named_modules(model):
        if isinstance(module, nn.LayerNorm):
            module.weight.fill_(1)
            module.bias.zero_()
        elif isinstance(module, GemmaNorm):
            module.weight.zero_()
        elif isinstance(module, (nn.Linear, nn.Embedding, nn.Conv2d)):
            draw(module.weight, spreads(name), generator)
            bias = getattr(module, "bias", None)
            if isinstance(bias, Tensor):
                bias.zero_()
    if isinstance(model, Gemma):
        model.embed_tokens.weight[model.config.pad_token_id] = 0
    if isinstance(model, ClipVision):
        width = model.config.hidden_size
        draw(model.vision_model.embeddings.class_embedding, width**-0.5, generator)


def draw(weight: Tensor, spread: float, generator: torch.Generator) -> None:
    """Fill a weight with normal noise of this standard deviation, drawn on the CPU."""
    values = torch.randn(weight.shape, generator=generator, dtype=torch.float32, device="cpu")
    weight.copy_(values * spread)


def gemma_spreads(model: Gemma) -> Callable[[str], float]:
    """The standard deviation of a module's weights by its name."""
    return lambda name: model.config.initializer_range


def clip_spreads(model: ClipText | ClipVision) -> Callable[[str], float]:
    """The standard deviation of a module's weights by its name."""
    width, depth = model.config.hidden_size, model.config.num_hidden_layers
    by_ending = {
        "_embedding": CLIP_SPREAD,
        "q_proj": width**-0.5 * (2 * depth) ** -0.5,
        "k_proj": width**-0.5 * (2 * depth) ** -0.5,
        "v_proj": width**-0.5 * (2 * depth) ** -0.5,
        "out_proj": width**-0.5,
        "fc1": (2 * width) ** -0.5,
        "fc2": width**-0.5 * (2 * depth) ** -0.5,
        "text_projection": width**-0.5,
    }
    return lambda name: next(v for ending, v in by_ending.items() if name.endswith(ending))
