"""Which patcher is chosen, and which parameters the host would leave unpatched."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn


@pytest.fixture
def module(extension):
    return extension("nodes.host.patchers")


class Cast(nn.Linear):
    """A layer of the host."""

    comfy_cast_weights = True


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.inner = nn.Parameter(torch.zeros(2)), Cast(2, 2)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pad, self.block, self.norm = nn.Parameter(torch.ones(2)), Gated(), nn.LayerNorm(2)


class Patcher:
    """Notes what it is asked to patch."""

    def __init__(self, dynamic: bool, patches, backup=()) -> None:
        self.model, self.patches, self.backup = Network(), dict.fromkeys(patches), backup
        self.is_dynamic, self.done = lambda: dynamic, []
        self.offload_device = torch.device("cpu")

    def patch_weight_to_device(self, name, device_to=None) -> None:
        self.done.append((name, device_to))


def test_hosts_without_a_dynamic_manager_have_one_patcher(module, monkeypatch):
    kinds = module.comfy.model_patcher
    monkeypatch.setattr(kinds, "ModelPatcher", "plain", raising=False)
    assert module.patcher_class() == module.patcher_class(disable_dynamic=True) == "plain"
    monkeypatch.setattr(kinds, "CoreModelPatcher", "dynamic", raising=False)
    assert module.patcher_class() == "dynamic"
    assert module.patcher_class(disable_dynamic=True) == "plain"
    assert not module.is_dynamic(SimpleNamespace())
    assert module.is_dynamic(SimpleNamespace(is_dynamic=lambda: True))


def test_parameters_beside_children_are_left_out_by_the_host(module):
    assert list(module.left_out(Network(), False)) == ["pad", "block.gate"]


def test_foreign_layers_too_under_the_dynamic_patcher(module):
    wanted = ["pad", "block.gate", "norm.weight", "norm.bias"]
    assert list(module.left_out(Network(), True)) == wanted


def test_the_plain_patcher_patches_once_and_in_place(module):
    patcher = Patcher(False, ["pad", "block.gate", "block.inner.weight"], {"pad": None})
    module.patch_the_rest(patcher, "device", 0)
    assert patcher.done == [("block.gate", None)]


def test_the_dynamic_patcher_patches_at_each_load(module):
    """It put the originals back before, and keeps a backup of what it moved."""
    patcher = Patcher(True, ["norm.weight", "block.gate", "block.inner.weight"], {"norm.weight"})
    module.patch_the_rest(patcher, "device", 0)
    assert patcher.done == [("block.gate", "device"), ("norm.weight", "device")]


def test_weights_are_copied_for_the_plain_patcher_only(module):
    for dynamic in (False, True):
        patcher = Patcher(dynamic, ())
        given = {name: weight.detach() + 1 for name, weight in patcher.model.state_dict().items()}
        places = {name: weight.data_ptr() for name, weight in given.items()}
        module.take_weights(patcher.model, given, torch.float32, patcher, "model")
        assert given == {}
        own = patcher.model.state_dict()
        assert torch.equal(own["pad"], torch.full((2,), 2.0))
        assert all((own[name].data_ptr() == place) is dynamic for name, place in places.items())


def test_weights_take_the_precision_asked_for(module):
    patcher = Patcher(True, ())
    given = {name: weight.detach() for name, weight in patcher.model.state_dict().items()}
    module.take_weights(patcher.model, given, torch.bfloat16, patcher, "model")
    assert {weight.dtype for weight in patcher.model.state_dict().values()} == {torch.bfloat16}


def test_fp8_is_for_the_large_matrices_alone_and_noted(module, monkeypatch):
    """As in a file that is converted to fp8."""
    noted = []
    management = module.comfy.model_management
    monkeypatch.setattr(management, "archive_model_dtypes", noted.append, raising=False)
    layers = nn.ModuleDict({"attention": nn.ModuleDict({"wq": Cast(2, 2, bias=False)})})
    network = nn.ModuleDict({"layers": nn.ModuleList([layers]), "norm": nn.LayerNorm(2)})
    for kind, large in (("model", torch.float8_e5m2), ("clip_vision", torch.bfloat16)):
        given = {name: weight.detach() for name, weight in network.state_dict().items()}
        module.take_weights(network, given, torch.float8_e5m2, Patcher(True, ()), kind)
        found = {name: weight.dtype for name, weight in network.state_dict().items()}
        assert found == {
            "layers.0.attention.wq.weight": large,
            "norm.weight": torch.bfloat16, "norm.bias": torch.bfloat16,
        }  # fmt: skip
    assert noted == [network, network]


@pytest.mark.parametrize(
    ("dynamic", "in_part", "kept"),
    [(False, False, False), (False, True, True), (True, False, True)],
)
def test_marks_of_casting_go_after_a_whole_load_alone(module, dynamic, in_part, kept):
    patcher = Patcher(dynamic, ())
    layer = patcher.model.block.inner
    patcher.model.model_lowvram, layer.prev_comfy_cast_weights = in_part, True
    module.forget_casts(patcher, "device", 0)
    assert hasattr(layer, "prev_comfy_cast_weights") is kept
    assert layer.comfy_cast_weights
