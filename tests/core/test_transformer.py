"""The transformer's own promises; its numbers are judged by the reference vectors (verify)."""

import dataclasses

import pytest
import torch

from pixwizard_core.conditioning import concatenate, trim_text
from pixwizard_core.config import PRESETS, ModelConfig
from pixwizard_core.errors import CheckpointError
from pixwizard_core.model import PixWizard, RopeScaling, gumbel_noise
from tests.support.tiny import tiny_condition, tiny_config, tiny_model

TIMES = torch.tensor([0.2, 0.7])


def test_prepared_path_equals_plain_path():
    model, condition, z = tiny_model(), tiny_condition(), torch.randn(2, 4, 6, 8)
    prepared = model.prepare(condition)
    for t in (TIMES, torch.tensor(0.5)):
        plain = model(z, t, condition)
        assert torch.equal(model.velocity(z, t, prepared), plain)


def test_result_of_a_row_does_not_depend_on_the_batch():
    model, condition, z = tiny_model(), tiny_condition(rows=3), torch.randn(3, 4, 6, 8)
    together = model(z, torch.tensor([0.1, 0.5, 0.9]), condition)
    alone = model(z[1:2], torch.tensor([0.5]), condition.rows(slice(1, 2)))
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_sizes_in_one_padded_batch_equal_sizes_alone():
    model = tiny_model()
    small, large = tiny_condition(1, 1, (4, 6)), tiny_condition(1, 2, (8, 10))
    both = dataclasses.replace(
        concatenate([small, dataclasses.replace(large, image_latent=small.image_latent)]),
        image_latent=[small.image_latent[0], large.image_latent[0]],
    )
    z = [torch.randn(4, 4, 6), torch.randn(4, 8, 10)]
    out = model(z, TIMES, both)
    assert [tuple(v.shape) for v in out] == [(4, 4, 6), (4, 8, 10)]
    assert torch.allclose(out[0], model(z[0][None], TIMES[:1], small)[0], atol=1e-5)
    assert torch.allclose(out[1], model(z[1][None], TIMES[1:], large)[0], atol=1e-5)


def test_padded_text_is_ignored():
    model, condition, z = tiny_model(), tiny_condition(), torch.randn(2, 4, 6, 8)
    text = condition.text.clone()
    text[1, -1] = 1e3  # masked
    dirty = dataclasses.replace(condition, text=text)
    assert torch.equal(model(z, TIMES, condition), model(z, TIMES, dirty))


def test_row_without_image_takes_nothing_from_image_attention():
    model = tiny_model()
    condition, z = tiny_condition(1), torch.randn(1, 4, 6, 8)
    none = condition.without_image(z)
    before = model(z, TIMES[:1], none)
    for block in model.layers:
        block.attention.gate_for_ii.data.fill_(9.0)
    assert torch.equal(before, model(z, TIMES[:1], none))
    assert not torch.allclose(before, model(z, TIMES[:1], condition), atol=1e-3)


def test_redraw_equals_preparing_with_that_noise():
    model, condition, z = tiny_model(), tiny_condition(), torch.randn(2, 4, 6, 8)
    noise = gumbel_noise((2, 2, 16), torch.Generator().manual_seed(3))
    drawn = model.prepare(condition, keep_candidates=True).redraw(noise)
    wanted = model(z, TIMES, condition, gumbel=noise)
    assert torch.allclose(model.velocity(z, TIMES, drawn), wanted, atol=1e-5)
    assert not torch.allclose(model(z, TIMES, condition), wanted, atol=1e-4)


@pytest.mark.parametrize("candidates", [False, True])
def test_prepare_keeps_as_many_image_tokens_as_asked(candidates):
    """As a model whose configuration says so, and redrawing keeps as many."""
    model, condition = tiny_model(), tiny_condition()
    prepared = model.prepare(condition, keep=3, keep_candidates=candidates)
    assert {layer.image[0].shape[2] for layer in prepared.layers} == {3}
    model.config = dataclasses.replace(model.config, sample_tokens=3)
    own = model.prepare(condition)
    for ours, theirs in zip(prepared.layers, own.layers, strict=True):
        assert torch.equal(ours.image[0], theirs.image[0])
    if candidates:
        again = prepared.redraw(torch.zeros(2, 2, 16))
        assert {layer.image[0].shape[2] for layer in again.layers} == {3}


def test_redraw_without_candidates_is_refused():
    model, condition = tiny_model(), tiny_condition()
    with pytest.raises(ValueError, match="keep_candidates"):
        model.prepare(condition).redraw(torch.zeros(2, 2, 16))


def test_extrapolation_changes_at_the_watershed_only():
    model, condition, z = tiny_model(), tiny_condition(), torch.randn(2, 4, 6, 8)
    plain = model.prepare(condition)
    scaled = model.prepare(condition, rope=RopeScaling(2.0, 0.5))
    for t in (0.2, 0.8):
        time = torch.tensor(t)
        assert not torch.allclose(
            model.velocity(z, time, plain), model.velocity(z, time, scaled), atol=1e-4
        )
    assert torch.equal(
        model.velocity(z, torch.tensor(0.2), scaled),
        model(z, torch.tensor(0.2), condition, rope=RopeScaling(2.0, 0.5)),
    )


def test_block_hook_can_skip_and_sees_every_block():
    model, condition, z = tiny_model(), tiny_condition(), torch.randn(2, 4, 6, 8)
    seen = []

    def watch(index, x, run):
        seen.append(index)
        return run(x)

    prepared = model.prepare(condition)
    assert torch.equal(
        model.velocity(z, TIMES, prepared, block_hook=watch), model.velocity(z, TIMES, prepared)
    )
    assert seen == [0, 1]
    skipped = model.velocity(z, TIMES, prepared, block_hook=lambda i, x, run: x)
    assert not torch.allclose(skipped, model.velocity(z, TIMES, prepared), atol=1e-3)


def test_gradient_reaches_every_parameter_in_training():
    model = tiny_model().requires_grad_(True)
    first, second = tiny_condition(1, 1, (4, 6)), tiny_condition(1, 2, (8, 8))
    condition = dataclasses.replace(
        concatenate([first, dataclasses.replace(second, image_latent=first.image_latent)]),
        image_latent=[first.image_latent[0], second.image_latent[0]],
    )
    noise = gumbel_noise((2, 2, 16), torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(1)
    out = model(
        [torch.randn(4, 4, 6, generator=draw), torch.randn(4, 8, 8, generator=draw)],
        TIMES,
        condition,
        gumbel=noise,
        straight_through=True,
    )
    sum(v.square().sum() for v in out).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # Padding is masked as a key and dropped as a query: no result can depend on its token. A bias
    # on all scores alike cancels in their softmax, up to rounding.
    bias = {name for name in silent if name.endswith("out_conv.4.bias")}
    assert set(silent) - bias == {"pad_token"}


def test_odd_latent_is_refused_with_what_to_do():
    model, condition = tiny_model(), tiny_condition(size=(5, 8))
    with pytest.raises(ValueError, match="latent 5x8 is not a whole number of 2x2 patches"):
        model(torch.randn(2, 4, 5, 8), TIMES, condition)


def test_text_without_any_token_is_refused():
    with pytest.raises(ValueError, match="row without any token"):
        trim_text(torch.zeros(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool))


def test_trim_cuts_padding_that_nobody_uses():
    text, mask = trim_text(torch.zeros(2, 8, 2), torch.tensor([[True] * 3 + [False] * 5] * 2))
    assert text.shape == (2, 3, 2)
    assert mask is None


@pytest.mark.parametrize(
    ("name", "count"),
    [("PixWizard_2B_GQA_patch2", 2_011_441_976), ("PixWizard_2B_patch2", 2_563_766_072)],
)
def test_released_configurations_have_the_published_size(name, count):
    with torch.device("meta"):
        model = PixWizard(PRESETS[name])
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_config_round_trip_and_refusals():
    config = tiny_config()
    assert ModelConfig.from_dict(config.to_dict()) == config
    with pytest.raises(CheckpointError, match=r"unknown entries \['colour'\]"):
        ModelConfig.from_dict({**config.to_dict(), "colour": 1})
    with pytest.raises(ValueError, match="dim 30 is not divisible by n_heads 4"):
        tiny_config(dim=30)
    with pytest.raises(ValueError, match="n_heads 4 is not divisible by n_kv_heads 3"):
        tiny_config(n_kv_heads=3)
    with pytest.raises(ValueError, match=r"n_layers must be a positive integer up to 1024. Got: 0"):
        tiny_config(n_layers=0)
