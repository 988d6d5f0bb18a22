"""Gemma and CLIP text behind the host's CLIP type, so that CLIP Text Encode and the memory manager
work.

Both are built from the host's own layers, which it can keep in low precision and stream from main
memory. Gemma of the first generation is the host's Llama with three attributes changed; a host test
compares it with the transformers library.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import comfy.clip_model
import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.supported_models_base
import comfy.utils
import torch
from comfy.text_encoders import llama
from torch import Tensor

from ..pixwizard_core.encoders.text import Tokenizers
from ..pixwizard_core.errors import EncoderError

LEGACY_EOS = (
    2  # older CLIP configs carry this wrong id; their real end token is the last of the vocabulary
)
PENULTIMATE = -2  # the layer whose output the model was trained on


def build_gemma(config: dict, device, dtype, operations) -> torch.nn.Module:
    """Gemma (first generation) of a Hugging Face config, with that library's key names less
    "model."."""
    settings = llama.Llama2Config(
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        num_hidden_layers=config["num_hidden_layers"],
        num_attention_heads=config["num_attention_heads"],
        num_key_value_heads=config["num_key_value_heads"],
        max_position_embeddings=config.get("max_position_embeddings", 8192),
        rms_norm_eps=config.get("rms_norm_eps", 1e-6),
        rope_theta=config.get("rope_theta", 10000.0),
    )
    settings.head_dim = config["head_dim"]
    settings.rms_norm_add, settings.mlp_activation = True, "gelu_pytorch_tanh"
    model = llama.Llama2_(settings, device=device, dtype=dtype, ops=operations)
    model.normalize_in = True
    for norm in (m for m in model.modules() if isinstance(m, llama.RMSNorm)):
        norm.add = True
        # The norm adds 1 to its weight, which low precision would round away.
        norm.weight = torch.nn.Parameter(norm.weight.float(), requires_grad=False)
    return model


class ClipText(torch.nn.Module):
    """CLIP's text model with its projection, of any vocabulary and width."""

    def __init__(self, config: dict, device, dtype, operations) -> None:
        super().__init__()
        end = config["eos_token_id"]
        end = config["vocab_size"] - 1 if end == LEGACY_EOS else end
        width, positions = config["hidden_size"], config["max_position_embeddings"]
        self.text_model = comfy.clip_model.CLIPTextModel_(
            {**config, "eos_token_id": end}, dtype, device, operations
        )
        self.text_model.embeddings = comfy.clip_model.CLIPEmbeddings(
            width,
            config["vocab_size"],
            positions,
            dtype=dtype,
            device=device,
            operations=operations,
        )
        self.text_projection = operations.Linear(
            width, config["projection_dim"], bias=False, dtype=dtype, device=device
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (B, positions) -> projected text (B, projection_dim) float32."""
        return self.text_projection(self.text_model(ids, dtype=torch.float32)[2])


class TextModel(torch.nn.Module):
    """What the host's CLIP object wraps. encode_token_weights gives features, pooled text and the
    mask."""

    def __init__(
        self, device="cpu", dtype=None, model_options=None, *, gemma: dict, clip: dict
    ) -> None:
        super().__init__()
        operations = (model_options or {}).get("custom_operations", comfy.ops.manual_cast)
        # The nesting gives the key names that LoRA loaders look for.
        self.gemma = torch.nn.ModuleDict(
            {"transformer": build_gemma(gemma, device, dtype, operations)}
        )
        self.clip_l = torch.nn.ModuleDict(
            {"transformer": ClipText(clip, device, dtype, operations)}
        )
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
        features = self.gemma["transformer"](
            ids,
            attention_mask=mask,
            intermediate_output=PENULTIMATE,
            final_layer_norm_intermediate=False,
            dtype=torch.float32,
        )[1]
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
    Raises EncoderError when weights are missing or unknown.
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
    missing, unknown = made.cond_stage_model.load_sd(named)
    if missing or unknown:
        raise EncoderError(
            f"the text encoder's weights do not fit: {len(missing)} missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}"
        )
    return made
