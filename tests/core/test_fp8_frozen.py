"""Frozen matrices in 8-bit floats below a LoRA: exact products, little memory, and training."""

import pytest
import torch

from pixwizard_core.config import PRESETS
from pixwizard_core.errors import PixWizardError
from pixwizard_core.model import PixWizard
from pixwizard_core.training.teach.teach import teach
from pixwizard_core.weights.fp8_frozen import Fp8Linear, expanded, freeze_in_fp8, in_fp8
from pixwizard_core.weights.lora import LoraSettings, add_lora, lora_layers, shapes_of, trainable
from pixwizard_core.weights.lora_read import read_adapters
from tests.support.teach import order, pair_folder, small_parts
from tests.support.tiny import tiny_condition, tiny_model

FP8 = torch.float8_e4m3fn


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_rows_are_scaled_to_the_range_by_powers_of_two():
    rows = torch.tensor([[1.0, -3.5], [448.0, 2.0], [900.0, 1.0], [0.0, 0.0]])
    weight, scale = in_fp8(rows)
    assert weight.dtype == FP8
    assert scale[:3, 0].tolist() == [2.0**-7, 1.0, 4.0]  # 3.5 / 2^-7 = 448
    assert expanded(weight, scale, torch.float32)[0].tolist() == [1.0, -3.5]
    assert expanded(weight, scale, torch.float32)[3].tolist() == [0.0, 0.0]
    values = drawn(64, 32)
    apart = (expanded(*in_fp8(values), torch.float32) - values).abs()
    assert float((apart / values.abs().clamp(min=0.05)).max()) <= 2**-4  # half a step of 3 bits


def test_weights_that_are_8_bit_floats_already_stay_as_they_are():
    values = drawn(32, 16).to(FP8).float()
    assert torch.equal(expanded(*in_fp8(values), torch.float32), values)


def test_product_and_gradient_are_those_of_the_expanded_matrix():
    weight, scale = in_fp8(drawn(6, 5))
    bias, layer = drawn(6, seed=2), Fp8Linear(weight, scale, drawn(6, seed=2))
    x = drawn(3, 5, seed=1).requires_grad_()
    found = layer(x)
    wanted = torch.nn.functional.linear(x, expanded(weight, scale, torch.float32), bias)
    assert torch.allclose(found, wanted, atol=1e-6)
    outer = drawn(3, 6, seed=3)
    (mine,) = torch.autograd.grad(found, x, outer)
    (theirs,) = torch.autograd.grad(wanted, x, outer)
    assert torch.allclose(mine, theirs, atol=1e-6)


def test_nothing_larger_than_the_8_bit_weight_is_kept_for_the_backward_pass():
    layer, kept = Fp8Linear(*in_fp8(drawn(64, 48))), []
    x = drawn(2, 48, seed=1).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append((tuple(t.shape), t.dtype)) or t, lambda t: t
    ):
        layer(x)
    assert (tuple(layer.weight.shape), FP8) in kept
    assert not any(shape == (64, 48) and kind != FP8 for shape, kind in kept)


def test_autocast_decides_the_type_of_the_product():
    layer = Fp8Linear(*in_fp8(drawn(4, 4)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(drawn(2, 4)).dtype == torch.bfloat16


def test_released_shape_takes_half_the_memory():
    model = PixWizard(PRESETS["PixWizard_2B_GQA_patch2"], device="meta", dtype=torch.bfloat16)
    before = sum(one.nbytes for one in model.parameters())
    assert freeze_in_fp8(model) == 24 * 12  # eight of attention, three of feed-forward, picture
    after = sum(one.nbytes for one in [*model.parameters(), *model.buffers()])
    assert before == pytest.approx(4.02e9, rel=0.01)
    assert after < 0.65 * before, after


@torch.no_grad()
def test_model_below_a_lora_gives_nearly_the_same():
    exact, small = tiny_model(), tiny_model()
    freeze_in_fp8(small)
    add_lora(small, LoraSettings(2))
    assert len(lora_layers(small)) == 2 * 11
    latent, times = drawn(2, 4, 6, 8), torch.tensor([0.2, 0.7])
    wanted = exact(latent, times, tiny_condition())
    found = small(latent, times, tiny_condition())
    assert 0 < float((found - wanted).norm() / wanted.norm()) < 0.1
    assert all(one.dtype == torch.float32 for one in trainable(small))


def test_lora_learns_on_8_bit_weights_and_its_file_says_so(tmp_path):
    pairs = pair_folder(tmp_path / "pairs")
    made = order(tmp_path / "out", pairs, steps=30, batch=4, rank=4, drop_text=0.0, drop_both=0.0,
                 validation=0.25, base_precision="fp8")  # fmt: skip
    result = teach(made)
    assert result.held_out is not None
    assert result.held_out[1] < 0.9 * result.held_out[0]
    found = read_adapters(result.path, shapes_of(small_parts().model())).adapters
    assert len(found) == 2 * 11
    from pixwizard_core.weights.weightfile import open_weights

    assert open_weights(result.path).metadata["base_precision"] == "fp8"


def test_precision_of_the_base_is_for_a_lora_alone(tmp_path):
    pairs = pair_folder(tmp_path / "pairs")
    with pytest.raises(PixWizardError, match="base_precision does nothing for a whole model"):
        teach(order(tmp_path / "out", pairs, lora=False, base_precision="fp8"))
    with pytest.raises(PixWizardError, match="rank does nothing for a whole model"):
        teach(order(tmp_path / "out", pairs, lora=False, rank=4))
    with pytest.raises(PixWizardError, match="base_precision is one of auto, fp8"):
        order(tmp_path / "out", pairs, base_precision="int4")
