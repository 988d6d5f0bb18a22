"""Our encoders on the host's layers give what the transformers library gives."""

from __future__ import annotations

import comfy.model_management
import torch
from published import (
    published_weights,
    reference,
    reference_pooled,
    reference_text,
    reference_tokens,
)
from small import apart, close, refused

import nodes

GEMMA = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_act": "gelu_pytorch_tanh",
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
CLIP = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
    "projection_dim": 40,
    "hidden_act": "quick_gelu",
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "hidden_act": "quick_gelu",
    "num_channels": 3,
    "patch_size": 14,
    "image_size": 336,
}
NEAR = 2e-5


class Words:
    """A tokenizer of one id for each character, in place of a trained one."""

    def __init__(self) -> None:
        self.bos, self.eos, self.pad = 2, 1, 0

    def ids(self, sentences):
        return [[3 + ord(letter) % 297 for letter in sentence] for sentence in sentences]

    def text(self, ids):
        return "".join(map(str, ids))


def fresh(kind: str, config: dict):
    """A transformers model, and its weights under their published names."""
    model = reference(kind, config)
    return model, published_weights(kind, model)


class Published:
    """The transformers library's two text encoders behind our tokenizers."""

    def __init__(self, gemma, clip, tokenizers) -> None:
        self.gemma, self.clip, self.tokenizers = gemma, clip, tokenizers

    def encode(self, sentences):
        batch = self.tokenizers.tokenize(sentences)
        text = reference_text(self.gemma, batch.ids, batch.mask)
        return text, batch.mask, reference_pooled(self.clip, batch.clip_ids)


def encoders(setup, dtype=torch.float32, device=None):
    """Our CLIP and the transformers library's encoders with the same weights and tokenizers."""
    text, ours = setup.module("pixwizard_core.encoders.text"), setup.module("nodes.encoders.text")
    tokenizers = text.Tokenizers(Words(), Words(), CLIP["max_position_embeddings"])
    gemma, gemma_weights = fresh("gemma", GEMMA)
    clip, clip_weights = fresh("clip_text", CLIP)
    parts = [
        ours.EncoderWeights(config, {name: tensor.to(dtype) for name, tensor in weights.items()})
        for config, weights in ((GEMMA, gemma_weights), (CLIP, clip_weights))
    ]
    host = ours.make_clip(*parts, tokenizers, device)
    return host, Published(gemma, clip, tokenizers)


def check_text_features_are_those_of_transformers(setup):
    host, core = encoders(setup)
    found = {}
    for sentence in ("", "remove the red ball", "a longer sentence with (many:1.3) words in it"):
        features, values = nodes.CLIPTextEncode().encode(host, sentence)[0][0]
        text, mask, pooled = core.encode([sentence])
        length = int(mask.sum())
        assert torch.equal(values["attention_mask"].bool(), mask), sentence
        assert features.shape[1] % 8 == 0, features.shape
        assert not features[:, length:].any(), "padding is zero, also where a mask is lost"
        found[sentence] = [
            close(features[:, :length], text[:, :length], NEAR, f"features of {sentence!r}"),
            close(values["pooled_output"], pooled, NEAR, f"pooled text of {sentence!r}"),
        ]
    return found


def check_parentheses_are_plain_characters(setup):
    host, _ = encoders(setup)
    plain = nodes.CLIPTextEncode().encode(host, "ball")[0][0][0]
    weighted = nodes.CLIPTextEncode().encode(host, "(ball:1.3)")[0][0][0]
    assert int(host.tokenize("(ball:1.3)")["gemma"][0][1][1]) == 1
    assert plain.shape != weighted.shape or apart(plain, weighted) > 1e-3


def check_low_precision_text_weights_stay_near(setup):
    exact, found = encoders(setup)[0], {}
    wanted = nodes.CLIPTextEncode().encode(exact, "remove the red ball")[0][0]
    for dtype, limit in ((torch.float16, 2e-3), (torch.bfloat16, 2e-2)):
        host, _ = encoders(setup, dtype)
        assert (
            host.cond_stage_model.gemma["transformer"].layers[0].mlp.up_proj.weight.dtype == dtype
        )
        met = nodes.CLIPTextEncode().encode(host, "remove the red ball")[0][0]
        found[str(dtype)] = close(met[0][:, :20], wanted[0][:, :20], limit, str(dtype))
    return found


def check_text_encoder_can_be_kept_on_the_cpu(setup):
    """On a machine that would encode elsewhere nothing must get there."""
    wanted = nodes.CLIPTextEncode().encode(encoders(setup)[0], "remove the red ball")[0][0]
    management, elsewhere = comfy.model_management, torch.device("meta")
    names = ("text_encoder_device", "text_encoder_offload_device")
    chosen = {name: getattr(management, name) for name in names}
    for name in names:
        setattr(management, name, lambda: elsewhere)
    try:
        kept, free = encoders(setup, device="cpu")[0], encoders(setup)[0]
        found = nodes.CLIPTextEncode().encode(kept, "remove the red ball")[0][0]
    finally:
        for name, function in chosen.items():
            setattr(management, name, function)
    assert free.patcher.load_device == elsewhere
    assert kept.patcher.load_device == kept.patcher.offload_device == torch.device("cpu")
    return close(found[0], wanted[0], 0.0, "kept on the CPU")


def check_incomplete_text_weights_are_refused(setup):
    ours = setup.module("nodes.encoders.text")
    _, gemma = fresh("gemma", GEMMA)
    _, clip = fresh("clip_text", CLIP)
    gemma.pop("layers.1.mlp.up_proj.weight")
    error = setup.module("pixwizard_core.errors").EncoderError
    parts = ours.EncoderWeights(GEMMA, gemma), ours.EncoderWeights(CLIP, clip)
    return refused(error, ("layers.1.mlp.up_proj.weight",), ours.make_clip, *parts, None)


def check_image_tokens_are_those_of_transformers(setup):
    vision = setup.module("nodes.encoders.vision")
    encode = setup.module("nodes.encoders.conditioning")
    model, weights = fresh("clip_vision", VISION)
    # The host keeps these weights in half precision: compare with weights that survive that.
    halves = {name: tensor.half().float() for name, tensor in weights.items()}
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    host = vision.make_clip_vision(VISION, halves)
    image_01 = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(2))
    preprocess = setup.module("pixwizard_core.encoders.vision").preprocess
    tokens = encode.image_tokens(host, image_01)
    assert tokens.shape == (2, 576, VISION["hidden_size"]), tokens.shape
    wanted = reference_tokens(model, preprocess(image_01 * 2 - 1))
    return close(tokens, wanted, NEAR, "image tokens")


def check_vision_of_another_size_is_refused(setup):
    vision = setup.module("nodes.encoders.vision")
    encode = setup.module("nodes.encoders.conditioning")
    smaller = {**VISION, "image_size": 224}
    _, weights = fresh("clip_vision", smaller)
    host = vision.make_clip_vision(smaller, weights)
    error = setup.module("pixwizard_core.errors").EncoderError
    return refused(error, ("336", "224"), encode.image_tokens, host, torch.rand(1, 3, 64, 64))
