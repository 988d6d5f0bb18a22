"""Our Gemma and CLIP against the transformers library, and what they promise by themselves."""

import math

import pytest
import torch
from torch import nn

from pixwizard_core.encoders.architectures import build
from pixwizard_core.encoders.clip import end_places
from pixwizard_core.encoders.gemma import causal_mask, rotary_table, rotate_halves
from pixwizard_core.encoders.initial import draw_weights
from pixwizard_core.encoders.settings import GemmaConfig, config_from
from tests.host.checks.published import (
    published_weights,
    reference,
    reference_pooled,
    reference_text,
    reference_tokens,
)

GEMMA = {
    "vocab_size": 90,
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
TEXT = {
    "vocab_size": 90,
    "hidden_size": 40,
    "intermediate_size": 56,
    "projection_dim": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 20,
    "hidden_act": "quick_gelu",
    "pad_token_id": 0,
    "bos_token_id": 88,
    "eos_token_id": 89,
}
VISION = {
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 7,
    "num_channels": 3,
    "hidden_act": "gelu",
}


def twins(kind, settings):
    """The library's model and ours with the same weights."""
    theirs = reference(kind, settings)
    ours = build(kind, settings, dtype=torch.float32).eval().requires_grad_(False)
    ours.load_state_dict(published_weights(kind, theirs))
    return theirs, ours


def apart(one, other):
    """Largest difference, relative to the spread of the second."""
    return float((one - other).abs().max() / other.std())


def test_gemma_agrees_with_the_library_on_every_valid_place():
    theirs, ours = twins("gemma", GEMMA)
    ids = torch.randint(3, 90, (3, 17), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 17, dtype=torch.bool)
    mask[1, 9:], mask[2, 1:] = False, False
    wanted = reference_text(theirs, ids, mask)
    assert apart(ours(ids, mask)[mask], wanted[mask]) < 2e-6
    assert apart(ours(ids), reference_text(theirs, ids, torch.ones(3, 17))) < 2e-6


@pytest.mark.parametrize(("dtype", "limit"), [(torch.bfloat16, 0.05), (torch.float16, 0.006)])
def test_gemma_in_low_precision_stays_as_near_as_the_library(dtype, limit):
    theirs, ours = twins("gemma", GEMMA)
    ids = torch.randint(3, 90, (2, 24), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 24, dtype=torch.bool)
    exact = ours(ids, mask)
    low = ours.to(dtype)(ids, mask)
    assert low.dtype == dtype
    spread = exact.std()
    mine = float((low.float() - exact).square().mean().sqrt() / spread)
    its = float(
        (reference_text(theirs.to(dtype), ids, mask).float() - exact).square().mean().sqrt()
        / spread
    )
    assert mine < limit
    assert mine < its * 1.2


@pytest.mark.parametrize("end", [89, 2])
def test_clip_text_agrees_with_the_library(end):
    settings = {**TEXT, "eos_token_id": end}
    theirs, ours = twins("clip_text", settings)
    ids = torch.randint(3, 80, (3, 20), generator=torch.Generator().manual_seed(1))
    ids[0, 7], ids[1, 19], ids[2, 1], ids[2, 2] = 89, 89, 89, 89
    assert apart(ours(ids), reference_pooled(theirs, ids)) < 2e-6


def test_clip_text_does_not_see_what_follows_its_end():
    _, ours = twins("clip_text", TEXT)
    ids = torch.randint(3, 80, (1, 20), generator=torch.Generator().manual_seed(1))
    ids[0, 6] = 89
    other = ids.clone()
    other[0, 7:] = 5
    assert torch.equal(ours(ids), ours(other))


def test_clip_vision_agrees_with_the_library():
    theirs, ours = twins("clip_vision", VISION)
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    tokens = ours(pixels)
    assert tokens.shape == (2, 16, 40)
    assert apart(tokens, reference_tokens(theirs, pixels)) < 2e-6


def test_ends_are_the_first_end_token_or_the_largest_id():
    ids = torch.tensor([[5, 9, 3, 9], [4, 4, 4, 4]])
    assert end_places(ids, 9).tolist() == [1, 0]
    assert end_places(torch.tensor([[5, 9, 3], [4, 4, 8]]), 2).tolist() == [1, 2]


def test_causal_mask_by_hand():
    ids, mask = torch.zeros(1, 3), torch.tensor([[False, True, True]])
    assert causal_mask(ids, None)[0, 0].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    # Left padding: the first place sees only itself, the others do not see it.
    assert causal_mask(ids, mask)[0, 0].int().tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_padding_on_either_side_gives_finite_numbers():
    _, ours = twins("gemma", GEMMA)
    ids = torch.randint(3, 90, (2, 6), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]])
    assert ours(ids, mask).isfinite().all()


def test_rotation_by_hand():
    table = rotary_table(2, 4, 100.0)  # frequencies 1 and 1/10
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(1, 1, 2, 4)
    turned = rotate_halves(x, table)[0, 0]
    assert turned[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    cos, sin = math.cos(1), math.sin(1)
    small_cos, small_sin = math.cos(0.1), math.sin(0.1)
    wanted = [
        cos * 1 - sin * 3,
        small_cos * 2 - small_sin * 4,
        cos * 3 + sin * 1,
        small_cos * 4 + small_sin * 2,
    ]
    torch.testing.assert_close(turned[1], torch.tensor(wanted))


def test_settings_leave_out_what_changes_no_number():
    config = config_from(GemmaConfig, {**GEMMA, "attention_dropout": 0.1, "bos_token_id": 2})
    assert (config.head_dim, config.num_key_value_heads) == (12, 2)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("gemma", {**GEMMA, "head_dim": 5}, "head_dim 5 is not a multiple of 2"),
        ("gemma", {**GEMMA, "num_key_value_heads": 3}, "num_attention_heads 4 is not a multiple"),
        ("clip_text", {**TEXT, "hidden_size": 42}, "hidden_size 42 is not a multiple of 4"),
        ("clip_vision", {**VISION, "hidden_size": 42}, "hidden_size 42 is not a multiple of 4"),
    ],
)
def test_sizes_that_cannot_be_shared_out_are_refused(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        build(kind, settings, device="meta")


@pytest.mark.parametrize(
    ("kind", "settings"), [("gemma", GEMMA), ("clip_text", TEXT), ("clip_vision", VISION)]
)
def test_first_weights_have_the_spread_of_the_library(kind, settings):
    """Compared by the spread of each tensor, since the library draws from another generator."""
    import transformers

    config = {"gemma": "GemmaConfig", "clip_text": "CLIPTextConfig"}.get(kind, "CLIPVisionConfig")
    model = {"gemma": "GemmaModel", "clip_text": "CLIPTextModelWithProjection"}
    wide = {**settings, "hidden_size": 96, "vocab_size": 400, "intermediate_size": 200}
    torch.manual_seed(0)
    theirs = getattr(transformers, model.get(kind, "CLIPVisionModel"))(
        getattr(transformers, config).from_dict(wide)
    )
    ours = build(kind, wide, dtype=torch.float32)
    for parameter in ours.parameters():
        nn.init.constant_(parameter, 7.0)  # whatever is not drawn shows
    draw_weights(ours, torch.Generator().manual_seed(3))
    wanted = published_weights(kind, theirs)
    assert {k: tuple(v.shape) for k, v in wanted.items()} == {
        k: tuple(v.shape) for k, v in ours.state_dict().items()
    }
    for name, weight in ours.state_dict().items():
        torch.testing.assert_close(weight.std(), wanted[name].std(), rtol=0.25, atol=1e-6)
        torch.testing.assert_close(weight.mean(), wanted[name].mean(), rtol=0.2, atol=0.02)
