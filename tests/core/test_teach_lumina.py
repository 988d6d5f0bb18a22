"""Beginning with Lumina-Next: its weights stay, and what is new is silent at first."""

import dataclasses
import re

import pytest
import torch
from safetensors.torch import save_file

from pixwizard_core.config import PRESETS, ModelConfig
from pixwizard_core.errors import CheckpointError
from pixwizard_core.model import PixWizard
from pixwizard_core.training.teach.lumina import (
    DRAWN,
    FIRST,
    ONE,
    SAME,
    ZERO,
    first_weights,
    open_lumina,
    starts,
)
from tests.support.tiny import tiny_condition

# Lumina-Next has Gemma's width and no picture; here it is small.
SMALL = ModelConfig.build(dim=32, n_layers=2, n_heads=4, n_kv_heads=2, multiple_of=32,
                          cap_feat_dim=12)  # fmt: skip


def lumina_weights() -> dict[str, torch.Tensor]:
    """Random weights under Lumina-Next's names."""
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn((shape[0], shape[1] // 2) if start == FIRST else shape,
                          generator=generator) * 0.3
        for name, (start, shape) in starts(SMALL).items()
        if start in (SAME, FIRST)
    }  # fmt: skip
    weights["cap_embedder.0.weight"] = torch.ones(12)
    weights["cap_embedder.1.weight"] = torch.ones(32, 12)
    return weights


@pytest.fixture
def lumina(tmp_path):
    path = tmp_path / "lumina.safetensors"
    save_file(lumina_weights(), path)
    return path


def test_every_weight_of_the_released_model_has_a_start():
    table = starts(PRESETS["PixWizard_2B_GQA_patch2"])
    names = {
        kind: {re.sub(r"\.\d+\.", ".N.", name, count=1) for name, (start, _) in table.items()
               if start == kind}
        for kind in (SAME, FIRST, ZERO, ONE, DRAWN)
    }  # fmt: skip
    assert names[FIRST] == {"x_embedder.weight"}
    assert "layers.N.attention.gate_for_ii" in names[ZERO]
    assert "layers.N.attention.gate" in names[SAME]
    assert names[DRAWN] >= {"layers.N.attention.wk_ii.weight", "layers.N.input_image_proj.weight"}
    assert table["x_embedder.weight"][1] == (2304, 32)


def test_configuration_comes_from_the_shapes(lumina):
    config = open_lumina(lumina).config
    assert (config.dim, config.n_layers, config.n_heads, config.n_kv_heads) == (32, 2, 4, 2)
    assert (config.ffn_dim, config.cap_feat_dim) == (SMALL.ffn_dim, 12)


def test_picture_and_task_do_nothing_at_first_and_can_be_learned(lumina):
    model = PixWizard(SMALL)
    model.load_state_dict(first_weights(open_lumina(lumina)))

    def velocity(seed: int) -> torch.Tensor:
        condition = tiny_condition(seed=seed, tokens=576)
        generator = torch.Generator().manual_seed(1)
        other = torch.randn(2, 576, 1024, generator=torch.Generator().manual_seed(seed))
        pooled = torch.randn(2, 768, generator=torch.Generator().manual_seed(seed))
        same = tiny_condition()
        condition = dataclasses.replace(
            condition, text=same.text, text_mask=same.text_mask, image_tokens=other, pooled=pooled
        )
        latent = torch.randn(2, 4, 6, 8, generator=generator)
        return model(latent, torch.tensor([0.2, 0.7]), condition)

    first = velocity(0)
    assert float(first.detach().abs().max()) > 0.01
    assert torch.equal(first, velocity(1))
    first.square().mean().backward()
    learned = dict(model.named_parameters())
    for name in ("layers.0.attention.gate_for_ii", "task_embedder.1.weight",
                 "global_semantic_embedder.1.weight"):  # fmt: skip
        assert float(learned[name].grad.abs().max()) > 0, name
    assert float(learned["x_embedder.weight"].grad[:, 16:].abs().max()) > 0


def test_weights_that_are_shared_stay_as_they_are(lumina):
    given, made = lumina_weights(), first_weights(open_lumina(lumina))
    assert torch.equal(
        made["layers.1.attention.wk_y.weight"], given["layers.1.attention.wk_y.weight"]
    )
    assert torch.equal(made["x_embedder.weight"][:, :16], given["x_embedder.weight"])
    assert not made["x_embedder.weight"][:, 16:].any()
    again = first_weights(open_lumina(lumina))
    assert all(torch.equal(made[name], again[name]) for name in made)


def test_names_with_a_holder_before_them_are_read(tmp_path):
    path = tmp_path / "held.safetensors"
    save_file({f"model.{name}": value for name, value in lumina_weights().items()}, path)
    assert open_lumina(path).config.dim == 32


def test_other_models_and_missing_weights_are_refused(tmp_path):
    save_file({"double_blocks.0.x": torch.zeros(1)}, tmp_path / "flux.safetensors")
    with pytest.raises(CheckpointError, match=r"flux\.safetensors is Flux, and Lumina-Next is"):
        open_lumina(tmp_path / "flux.safetensors")
    weights = lumina_weights()
    del weights["layers.1.feed_forward.w2.weight"]
    save_file(weights, tmp_path / "less.safetensors")
    with pytest.raises(CheckpointError, match=r"layers\.1\.feed_forward\.w2\.weight"):
        open_lumina(tmp_path / "less.safetensors")


def diffusers_model():
    """diffusers' own model with random weights, of SMALL's sizes; captions add nothing to time."""
    diffusers = pytest.importorskip("diffusers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = diffusers.LuminaNextDiT2DModel(
            sample_size=16, patch_size=2, in_channels=4, hidden_size=32, num_layers=2,
            num_attention_heads=4, num_kv_heads=2, multiple_of=32, cross_attention_dim=12,
            learn_sigma=True, qk_norm=True, norm_eps=1e-5,
        )  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(value.shape, generator=generator) * 0.3
        for name, value in model.state_dict().items()
    }
    for name in weights:
        if "caption_embedder" in name:
            weights[name].zero_()
        if ".attn2.to_q." in name or ".attn2.norm_q." in name:
            weights[name] = weights[name.replace("attn2", "attn1")].clone()
    model.load_state_dict(weights)
    return model.eval()


@torch.no_grad()
def test_names_of_diffusers_give_what_diffusers_paints(tmp_path):
    theirs = diffusers_model()
    from diffusers.models.embeddings import get_2d_rotary_pos_embed_lumina

    theirs.save_pretrained(tmp_path / "pipeline" / "transformer")
    config = open_lumina(tmp_path / "pipeline").config
    assert config.ffn_dim == theirs.layers[0].feed_forward.linear_1.weight.shape[0]
    ours = PixWizard(config)
    ours.load_state_dict(first_weights(open_lumina(tmp_path / "pipeline")))
    drawn = torch.Generator().manual_seed(3)
    condition = dataclasses.replace(
        tiny_condition(),
        image_tokens=torch.randn(2, 576, 1024, generator=drawn),
        pooled=torch.randn(2, 768, generator=drawn),
    )
    latent = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(2))
    times = torch.tensor([0.2, 0.7])
    wanted = theirs(
        hidden_states=latent,
        timestep=times,
        encoder_hidden_states=condition.text,
        encoder_mask=condition.text_mask,
        image_rotary_emb=get_2d_rotary_pos_embed_lumina(8, 384, 384),
        cross_attention_kwargs={},
        return_dict=False,
    )[0][:, :4]
    found = ours(latent, times, condition)
    assert float(wanted.abs().max()) > 0.1
    assert float((found - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())


def test_weights_trained_apart_in_diffusers_are_refused(tmp_path):
    model = diffusers_model()
    weights = dict(model.state_dict())
    weights["layers.1.attn2.to_q.weight"] = weights["layers.1.attn2.to_q.weight"] + 1
    save_file(weights, tmp_path / "trained.safetensors")
    with pytest.raises(CheckpointError, match=r"attn1\.to_q\.weight and layers\.1\.attn2\.to_q"):
        first_weights(open_lumina(tmp_path / "trained.safetensors"))


def test_shards_are_read_together_and_a_missing_one_is_named(tmp_path):
    weights = sorted(lumina_weights().items())
    for number, part in enumerate((weights[::2], weights[1::2]), 1):
        save_file(dict(part), tmp_path / f"lumina-{number:05d}-of-00002.safetensors")
    first = tmp_path / "lumina-00001-of-00002.safetensors"
    assert open_lumina(first).config.dim == 32
    (tmp_path / "lumina-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is one of 2 shards, and 1 are not beside it"):
        open_lumina(first)
