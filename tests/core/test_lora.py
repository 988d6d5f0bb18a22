"""LoRA: shapes on the released model, files, and merging."""

import pytest
import torch

from pixwizard_core.config import PRESETS
from pixwizard_core.errors import CheckpointError
from pixwizard_core.model import PixWizard
from pixwizard_core.weights.lora import (
    LoraLinear,
    LoraSettings,
    add_lora,
    lora_layers,
    lora_state,
    matching,
    save_lora,
    shapes_of,
    trainable,
)
from pixwizard_core.weights.lora_apply import add_loras
from pixwizard_core.weights.lora_read import read_adapters
from pixwizard_core.weights.lora_use import LoraUse
from tests.support.tiny import tiny_condition, tiny_model

WQ = "layers.0.attention.wq"


def velocity(model: PixWizard) -> torch.Tensor:
    latents = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    return model(latents, torch.tensor([0.3, 0.7]), tiny_condition())


def apply_lora(model: torch.nn.Module, path, strength: float = 1.0) -> list[str]:
    """Add a file's changes to a model's weights, as `pixwizard run --lora` does."""
    (applied,) = add_loras(model, [LoraUse(str(path), strength)])
    return list(applied.layers)


def with_random_lora(seed: int = 1, **settings) -> PixWizard:
    model = tiny_model()
    add_lora(model, LoraSettings(**{"rank": 4, "alpha": 2.0, **settings}))
    generator = torch.Generator().manual_seed(seed)
    for layer in lora_layers(model).values():
        layer.up.weight.data = torch.randn(layer.up.weight.shape, generator=generator) * 0.2
    return model


def test_lora_that_overflows_leaves_every_weight(tmp_path):
    trained = with_random_lora()
    *_, last = lora_layers(trained).values()
    last.up.weight.data.fill_(1e30)
    last.down.weight.data.fill_(1e30)
    save_lora(trained, tmp_path / "l.safetensors", dtype=torch.float32)
    model, plain = tiny_model(), tiny_model()
    with pytest.raises(CheckpointError, match="beyond the numbers of float32: lower the strength"):
        apply_lora(model, tmp_path / "l.safetensors")
    assert all(map(torch.equal, model.parameters(), plain.parameters()))


def test_released_model_gets_layers_of_the_right_shapes():
    with torch.device("meta"):
        model = PixWizard(PRESETS["PixWizard_2B_GQA_patch2"])
    names = add_lora(model, LoraSettings(rank=16))
    assert len(names) == 24 * (8 + 3)  # wq wk wv wo, wk_ii wv_ii wk_y wv_y, w1 w2 w3
    shapes = {name: tuple(value.shape) for name, value in lora_state(model).items()}
    at = "diffusion_model.layers.23."
    assert shapes[at + "attention.wq.lora_A.weight"] == (16, 2304)
    assert shapes[at + "attention.wk.lora_B.weight"] == (576, 16)  # 8 of 32 heads of width 72
    assert shapes[at + "attention.wk_y.lora_A.weight"] == (16, 2048)  # Gemma's width
    assert shapes[at + "feed_forward.w2.lora_B.weight"] == (2304, 16)
    assert shapes[at + "attention.wq.alpha"] == ()
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert len(trainable(model)) == 2 * len(names)
    assert len(frozen) == len(list(model.parameters())) - 2 * len(names)


def test_new_lora_changes_nothing():
    model = tiny_model()
    before = velocity(model)
    add_lora(model, LoraSettings(rank=2))
    assert torch.equal(velocity(model), before)


def test_one_layer_by_hand():
    base = torch.nn.Linear(2, 2, bias=False)
    base.weight.data = torch.eye(2)
    layer = LoraLinear(base, rank=1, alpha=3.0)
    layer.down.weight.data = torch.tensor([[1.0, 2.0]])
    layer.up.weight.data = torch.tensor([[1.0], [0.0]])
    assert layer(torch.tensor([[1.0, 1.0]])).tolist() == [[10.0, 1.0]]  # 1 + 3 * (1 + 2), 1


def test_file_applied_to_a_fresh_model_equals_unmerged(tmp_path):
    model = with_random_lora()
    save_lora(model, tmp_path / "one.safetensors", {"note": "x"}, torch.float32)
    fresh = tiny_model()
    changed = apply_lora(fresh, tmp_path / "one.safetensors")
    assert sorted(changed) == sorted(lora_layers(model))
    assert torch.allclose(velocity(fresh), velocity(model), atol=1e-4)


def test_strength_scales_and_takes_back(tmp_path):
    save_lora(with_random_lora(), tmp_path / "one.safetensors", dtype=torch.float32)
    model, untouched = tiny_model(), tiny_model()
    apply_lora(model, tmp_path / "one.safetensors", 0.5)
    change = model.get_submodule(WQ).weight - untouched.get_submodule(WQ).weight
    found = read_adapters(tmp_path / "one.safetensors", shapes_of(untouched)).adapters
    (one,) = (adapter for adapter in found if adapter.target == f"{WQ}.weight")
    assert one.scale == 0.5  # alpha 2 over rank 4
    wanted = 0.25 * one.parts["lora_up"] @ one.parts["lora_down"]
    assert torch.allclose(change, wanted, atol=1e-5)
    apply_lora(model, tmp_path / "one.safetensors", -0.5)
    assert torch.allclose(velocity(model), velocity(untouched), atol=1e-4)


def test_names_are_those_of_the_hosts_loader():
    names = set(lora_state(with_random_lora(targets=(r"layers\.0\.attention\.wq",))))
    assert names == {
        f"diffusion_model.{WQ}.lora_A.weight",
        f"diffusion_model.{WQ}.lora_B.weight",
        f"diffusion_model.{WQ}.alpha",
    }


def test_patterns_choose_whole_names():
    model = tiny_model()
    assert matching(model, [r"layers\.\d+\.attention\.wq"]) == [WQ, "layers.1.attention.wq"]
    with pytest.raises(CheckpointError, match="no linear layer of this model is called 'wq'"):
        matching(model, ["wq"])


def test_impossible_rank_is_refused():
    with pytest.raises(ValueError, match=r"rank must be 1\.\.2 here\. Got: 3"):
        LoraLinear(torch.nn.Linear(2, 8), 3, 1.0)


def test_model_without_lora_is_not_saved(tmp_path):
    with pytest.raises(CheckpointError, match="no LoRA layers to save"):
        save_lora(tiny_model(), tmp_path / "none.safetensors")


def test_lora_of_another_model_changes_nothing(tmp_path):
    path = tmp_path / "one.safetensors"
    save_lora(with_random_lora(), path)
    wider = tiny_model(dim=64)
    before = {name: value.clone() for name, value in wider.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"wk is \(32, 64\) in this model, the LoRA's is"):
        apply_lora(wider, path)
    assert all(torch.equal(value, before[name]) for name, value in wider.state_dict().items())
    with pytest.raises(CheckpointError, match=r"nothing in one\.safetensors fits this PixWizard"):
        apply_lora(torch.nn.Sequential(torch.nn.Linear(2, 2)), path)
