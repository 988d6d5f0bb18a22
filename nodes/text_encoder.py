"""Gemma and CLIP text behind the host's CLIP type, so that CLIP Text Encode and the memory manager
work.

Both are the core's own layers, built from the host's casting layers, which it can keep in low
precision and stream from main memory. No model class of the host takes part in what is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ..pixwizard_core.encoders.architectures import build, require_fit, shapes
from ..pixwizard_core.encoders.text import Tokenizers
from .encoder_layers import attend, encoder_ops


class TextModel(torch.nn.Module):
    """What the host's CLIP object wraps. encode_token_weights gives features, pooled text and the
    mask."""

    def __init__(
        self, device="cpu", dtype=None, model_options=None, *, gemma: dict, clip: dict
    ) -> None:
        super().__init__()
        operations = (model_options or {}).get("custom_operations", comfy.ops.manual_cast)
        places = {"ops": encoder_ops(operations), "attention": attend}
        places |= {"device": device, "dtype": dtype}
        # The nesting gives the key names that LoRA loaders look for.
        self.gemma = torch.nn.ModuleDict({"transformer": build("gemma", gemma, **places)})
        self.clip_l = torch.nn.ModuleDict({"transformer": build("clip_text", clip, **places)})
        self.dtypes = {dtype}
        self.execution_device = None

    def set_clip_options(self, options: dict) -> None:
        self.execution_device = options.get("execution_device", self.execution_device)

    def reset_clip_options(self) -> None:
        self.execution_device = None

    def encode_token_weights(self, tokens: dict) -> tuple[Tensor, Tensor, dict]:
        """Tokens of one text, as Tokens.tokenize_with_weights makes them; of the weights only 0
        counts."""
        device = self.execution_device or getattr(self, "device", None)
        ids, mask = self._ids(tokens["gemma"], device)
        features = self.gemma["transformer"](ids, mask)
        pooled = self.clip_l["transformer"](self._ids(tokens["clip_l"], device)[0])
        output = comfy.model_management.intermediate_device()
        features, pooled, mask = (part.to(output) for part in (features, pooled, mask))
        return features.float(), pooled.float(), {"attention_mask": mask}

    def _ids(self, rows: list, device) -> tuple[Tensor, Tensor]:
        ids = torch.tensor([[token for token, _ in row] for row in rows], device=device)
        mask = torch.tensor([[int(weight > 0) for _, weight in row] for row in rows], device=device)
        return ids, mask

    def load_sd(self, sd: dict) -> tuple[list, list]:
        """Load a state dict with this module's own names; returns missing and unexpected names."""
        return self.load_state_dict(sd, strict=False)


class Tokens:
    """The host's tokenizer protocol. Parentheses and other prompt weighting stay plain
    characters."""

    def __init__(self, tokenizers: Tokenizers) -> None:
        self.tokenizers = tokenizers

    def tokenize_with_weights(self, text: str, return_word_ids: bool = False, **options) -> dict:
        """{"gemma": [[(id, weight), ...]], "clip_l": ...}; padding has weight 0, the rest 1."""
        batch = self.tokenizers.tokenize([text])
        return {
            "gemma": _pairs(batch.ids, batch.mask),
            "clip_l": _pairs(batch.clip_ids, batch.clip_mask),
        }

    def untokenize(self, token_weight_pair: list) -> list:
        return [(pair, self.tokenizers.gemma.text([pair[0]])) for pair in token_weight_pair]

    def state_dict(self) -> dict:
        return {}


def _pairs(ids: Tensor, mask: Tensor) -> list[list[tuple[int, float]]]:
    rows = zip(ids.tolist(), mask.tolist(), strict=True)
    return [[(i, float(m)) for i, m in zip(*row, strict=True)] for row in rows]


@dataclass(frozen=True)
class Part:
    """One half of the text encoder: Hugging Face's config, and weights by that library's names."""

    config: dict
    weights: dict[str, Tensor]


def make_clip(gemma: Part, clip: Part, tokenizers: Tokenizers, device: str | None = None):
    """The host's CLIP object of both halves. Weights keep the precision they are stored in.

    device: where it runs and stays, None = as the host decides.
    Raises EncoderError when weights are missing, unknown or misshapen.
    """
    tensors = [*gemma.weights.values(), *clip.weights.values()]
    dtype = comfy.utils.weight_dtype(gemma.weights)
    target = comfy.supported_models_base.ClipTarget(
        lambda **_: Tokens(tokenizers), partial(TextModel, gemma=gemma.config, clip=clip.config)
    )
    place = torch.device(device) if device else None
    places = {"load_device": place, "offload_device": place} if place else {}
    made = comfy.sd.CLIP(
        target,
        parameters=sum(tensor.numel() for tensor in tensors),
        model_options={"dtype": dtype, "initial_device": torch.device("cpu"), **places},
    )
    named = {f"gemma.transformer.{name}": tensor for name, tensor in gemma.weights.items()}
    named |= {f"clip_l.transformer.{name}": tensor for name, tensor in clip.weights.items()}
    model = made.cond_stage_model
    require_fit(shapes(model.state_dict()), shapes(named), "the text encoder")
    model.load_sd(named)
    return made
