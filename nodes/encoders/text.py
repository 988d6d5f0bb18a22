"""Gemma and CLIP text as the host's CLIP type, so that CLIP Text Encode and the memory manager
work.

Both are the core's own models, built from the host's casting layers, which can keep weights in low
precision and stream them from main memory. No model class of the host computes anything.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import partial

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ...pixwizard_core.encoders.architectures import build, expected_shapes, require_fit, shapes
from ...pixwizard_core.encoders.text import Tokenizers
from ...pixwizard_core.taught import Taught
from ...pixwizard_core.weights.dtypes import FP8_DTYPES
from ...pixwizard_core.weights.finite import TEXT_ENCODER, finite_output
from ..host.patchers import apply_every_patch, layers_for, take_weights
from ..host.versions import supported
from .layers import encoder_attention, encoder_ops

CPU = torch.device("cpu")
# The host loads an encoder at once that is built where it computes, when layers for quantised
# weights have none yet. This is the CPU too, and not equal to the host's.
CPU_LATER = torch.device("cpu", 0)


@dataclass(frozen=True)
class EncoderWeights:
    """One half of the text encoder: Hugging Face's config, and weights by that library's names."""

    config: dict
    weights: dict[str, Tensor]


class TextModel(torch.nn.Module):
    """What the host's CLIP object wraps. encode_token_weights gives features, pooled text and the
    mask."""

    def __init__(
        self,
        device="cpu",
        dtype=None,
        model_options=None,
        *,
        gemma: EncoderWeights,
        clip: EncoderWeights,
    ) -> None:
        super().__init__()
        operations = (model_options or {}).get("custom_operations", comfy.ops.manual_cast)
        places = {"attention": encoder_attention, "device": device, "dtype": dtype}

        def built(kind: str, part: EncoderWeights) -> torch.nn.ModuleDict:
            own = layers_for(part.weights, dtype) or operations
            made = build(kind, part.config, ops=encoder_ops(own), **places)
            return torch.nn.ModuleDict({"transformer": made})

        # The nesting gives the key names that LoRA loaders look for.
        self.gemma, self.clip_l = built("gemma", gemma), built("clip_text", clip)
        self.dtypes = {dtype}
        self.execution_device = None
        self.taught: Taught | None = None  # of the model that this belongs to, if it is known

    def set_clip_options(self, options: dict) -> None:
        self.execution_device = options.get("execution_device", self.execution_device)

    def reset_clip_options(self) -> None:
        self.execution_device = None

    def encode_token_weights(self, tokens: dict) -> tuple[Tensor, Tensor, dict]:
        """Encode the tokens of one text, as Tokens.tokenize_with_weights makes them. A weight of 0
        marks padding; other weights change nothing. Features of padding are zero, so that it can be
        recognised after the mask is lost. Raises EncoderError for numbers that are not finite."""
        device = self.execution_device or getattr(self, "device", None)
        ids, mask = self._ids(tokens["gemma"], device)
        features = self.gemma["transformer"](ids, mask)
        features = features.masked_fill(mask[..., None] == 0, 0)
        pooled = self.clip_l["transformer"](self._ids(tokens["clip_l"], device)[0])
        for values in (features, pooled):
            finite_output(values, TEXT_ENCODER, values.dtype)
        output = comfy.model_management.intermediate_device()
        features, pooled, mask = (part.to(output) for part in (features, pooled, mask))
        return features.float(), pooled.float(), {"attention_mask": mask}

    def _ids(self, rows: list, device) -> tuple[Tensor, Tensor]:
        ids = torch.tensor(
            [[token for token, _ in row] for row in rows], device=device, dtype=torch.int64
        )
        mask = torch.tensor(
            [[int(weight > 0) for _, weight in row] for row in rows],
            device=device,
            dtype=torch.int64,
        )
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


class HostClip(comfy.sd.CLIP):
    """The host's CLIP, which always encodes with the model that its patcher loads.

    The host's own class keeps the first model when a clone or a device node gives it the patcher of
    another one. A LoRA on that one would then do nothing.
    """

    @property
    def cond_stage_model(self) -> TextModel:
        patcher = getattr(self, "patcher", None)
        return self.__dict__["_built"] if patcher is None else patcher.model

    @cond_stage_model.setter
    def cond_stage_model(self, model: TextModel) -> None:
        self._built = None if hasattr(self, "patcher") else model  # from then on the patcher has it

    def clone(self, *arguments, **named) -> HostClip:
        """As the host's clone, which would return a plain CLIP."""
        made = type(self)(no_init=True)
        made.__dict__.update(super().clone(*arguments, **named).__dict__)
        return made


def make_clip(
    gemma: EncoderWeights,
    clip: EncoderWeights,
    tokenizers: Tokenizers,
    device: str | None = None,
    *,
    disable_dynamic: bool = False,
) -> HostClip:
    """The host's CLIP object of both halves. Weights keep the precision they are stored in.

    device: where it runs and stays; None lets the host decide. disable_dynamic: use the plain
    patcher even if the host's dynamic one is on. Raises EncoderError when weights are missing,
    unknown or have the wrong shape.
    """
    for kind, part in (("gemma", gemma), ("clip_text", clip)):
        wanted = expected_shapes(kind, part.config)
        require_fit(wanted, shapes(part.weights), f"the {kind} half of the text encoder")
    dtype = comfy.utils.weight_dtype(gemma.weights)
    target = comfy.supported_models_base.ClipTarget(
        lambda **_: Tokens(tokenizers), partial(TextModel, gemma=gemma, clip=clip)
    )
    place = torch.device(device) if device else None
    places = {"load_device": place, "offload_device": place} if place else {}
    quantised = any(layers_for(part.weights, dtype) for part in (gemma, clip))
    places["initial_device"] = CPU_LATER if quantised else CPU
    made = HostClip(
        target,
        parameters=sum(
            tensor.numel() for part in (gemma, clip) for tensor in part.weights.values()
        ),
        model_options={"dtype": dtype, **places},
        **supported(comfy.sd.CLIP, {"disable_dynamic": disable_dynamic}),
    )
    model = made.cond_stage_model
    halves = (("gemma", model.gemma, gemma), ("clip_text", model.clip_l, clip))
    for kind, module, part in halves:
        stored = comfy.utils.weight_dtype(part.weights)
        kept = stored if dtype in FP8_DTYPES else dtype  # Gemma in fp8 leaves CLIP as it is
        take_weights(module["transformer"], copy(part.weights), kept, made.patcher, kind)
    apply_every_patch(made.patcher)
    return made
