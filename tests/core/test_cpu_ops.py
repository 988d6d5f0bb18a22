"""The faster layers for inference on a CPU."""

import pytest
import torch
from torch import nn

from pixwizard_core.bundle import load_tiny
from pixwizard_core.model import PixWizard, cpu_ops


def test_bundle_chooses_the_faster_layers_and_the_transformer_does_not():
    bundled = load_tiny().model
    assert isinstance(bundled.x_embedder, cpu_ops.Linear)
    assert type(PixWizard(bundled.config, device="meta").x_embedder) is nn.Linear


def pair(inputs: int, outputs: int, bias: bool) -> tuple[nn.Linear, cpu_ops.Linear]:
    plain, fast = nn.Linear(inputs, outputs, bias), cpu_ops.Linear(inputs, outputs, bias)
    fast.load_state_dict(plain.state_dict())
    return plain, fast


@pytest.mark.parametrize("bias", [True, False])
def test_linear_agrees_with_torch(bias):
    plain, fast = pair(48, 80, bias)
    x = torch.randn(2, 30, 48)
    with torch.no_grad():
        assert torch.allclose(plain(x), fast(x), atol=1e-5)


def test_linear_row_does_not_depend_on_the_other_rows_beyond_rounding():
    _, fast = pair(48, 80, True)
    x = torch.randn(3, 64, 48)
    with torch.no_grad():
        assert torch.allclose(fast(x)[1:2], fast(x[1:2]), atol=1e-5)


def test_linear_keeps_gradients():
    plain, fast = pair(16, 8, True)
    x = torch.randn(12, 16)
    plain(x).square().sum().backward()
    fast(x).square().sum().backward()
    assert torch.equal(plain.weight.grad, fast.weight.grad)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(16, 8, dtype=torch.bfloat16),
        torch.zeros(16, 8, device="meta"),
        torch.zeros(2, 8),
        torch.zeros(8, 16).t(),
    ],
    ids=["bfloat16", "meta", "few rows", "transposed"],
)
def test_what_does_not_suit_is_left_to_torch(x):
    with torch.no_grad():
        assert not cpu_ops.suits(x, torch.zeros(4, 8, dtype=x.dtype, device=x.device))


@pytest.mark.skipif(not cpu_ops.available(), reason="no oneDNN, or another processor")
def test_plain_float32_suits_without_gradients_only():
    x, weight = torch.zeros(16, 8), torch.zeros(4, 8)
    assert not cpu_ops.suits(x, weight)
    with torch.no_grad():
        assert cpu_ops.suits(x, weight)
        with torch.autocast("cpu", torch.bfloat16):
            assert not cpu_ops.suits(x, weight)
