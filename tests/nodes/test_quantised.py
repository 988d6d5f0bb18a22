"""Quantised weights of a file: kept by a host that has the format, else unpacked and said."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.support.paths import GOLDEN

WQ = "layers.0.attention.wq.weight"
LAYOUTS = {"TensorCoreFP8E4M3Layout": object(), "TensorWiseINT8Layout": object()}
ALGOS = {
    "float8_e4m3fn": {"comfy_tensor_layout": "TensorCoreFP8E4M3Layout"},
    "int8_tensorwise": {"comfy_tensor_layout": "TensorWiseINT8Layout"},
}


@pytest.fixture
def host(extension, monkeypatch):
    """nodes.host.quantised on a host that has both formats, and a function that takes them away."""
    quantised = extension("nodes.host.quantised")
    monkeypatch.setattr(quantised.comfy.ops, "QUANT_ALGOS", dict(ALGOS), raising=False)
    monkeypatch.setattr(quantised.comfy.ops, "get_layout_class", LAYOUTS.get, raising=False)
    return quantised


@pytest.fixture(params=["fp8_scaled", "int8"])
def opened(request, extension, tmp_path):
    convert = extension("pixwizard_core.weights.convert").convert
    path = tmp_path / f"{request.param}.safetensors"
    convert(GOLDEN / "checkpoint", path, request.param)
    return extension("nodes.loaders.load").open_checkpoint(path)


def test_host_with_the_format_keeps_every_weight(host, opened, caplog):
    caplog.set_level(logging.INFO)
    assert host.kept("w.safetensors", opened.packed).keys() == opened.packed.keys()
    assert "w.safetensors: 24 weights stay " in caplog.text


def test_host_without_the_format_unpacks_and_says_so(host, opened, caplog):
    host.comfy.ops.QUANT_ALGOS.clear()
    assert not host.kept("w.safetensors", opened.packed)
    assert "24 weights stored as" in caplog.text
    assert "does not compute with them as they are" in caplog.text


def test_host_without_its_kernels_unpacks(host, opened, monkeypatch):
    monkeypatch.setattr(host.comfy.ops, "get_layout_class", lambda name: None)
    assert not host.kept("w.safetensors", opened.packed)


def test_chosen_type_unpacks_and_says_so(host, opened, caplog):
    caplog.set_level(logging.INFO)
    assert not host.kept("w.safetensors", opened.packed, torch.float32)
    assert "are converted to float32, as weight_dtype says" in caplog.text


def test_plain_file_says_nothing(host, caplog):
    caplog.set_level(logging.INFO)
    assert not host.kept("w.safetensors", {})
    assert caplog.text == ""


def test_parts_are_what_the_hosts_layers_load(host, opened):
    weight = opened.packed[WQ]
    parts = host.parts_of(WQ, weight, {})
    layer = WQ.removesuffix(".weight")
    assert parts.keys() == {WQ, f"{layer}.weight_scale", f"{layer}.comfy_quant"}
    assert parts[WQ].dtype == weight.format.dtype
    settings = json.loads(bytes(parts[f"{layer}.comfy_quant"].tolist()))
    assert settings == {"format": weight.format.name, "full_precision_matrix_mult": True}
    scale = parts[f"{layer}.weight_scale"]
    assert torch.equal((parts[WQ].float() * scale).bfloat16(), weight.plain())


def changed(opened, **tensors):
    """The opened file again, with these tensors and without settings of full precision."""
    path = opened.info.path
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    metadata["_quantization_metadata"] = metadata["_quantization_metadata"].replace(
        ', "full_precision_matrix_mult": true', ""
    )
    target = path.with_name("changed.safetensors")
    save_file(load_file(path) | tensors, target, metadata)
    return target


def test_floats_without_input_scale_are_multiplied_in_full(host, opened, extension):
    again = extension("nodes.loaders.load").open_checkpoint(changed(opened)).packed[WQ]
    marker = host.parts_of(WQ, again, {})[WQ.replace(".weight", ".comfy_quant")]
    told = json.loads(bytes(marker.tolist()))
    floats = again.format.name == "float8_e4m3fn"
    assert told.get("full_precision_matrix_mult", False) is floats


def test_input_scale_of_a_file_is_passed_on(host, opened, extension):
    name = WQ.replace(".weight", ".input_scale")
    path = changed(opened, **{name: torch.tensor([0.25])})
    again = extension("nodes.loaders.load").open_checkpoint(path).packed[WQ]
    parts = host.parts_of(WQ, again, {})
    assert parts[name].shape == ()
    assert float(parts[name]) == 0.25
    told = json.loads(bytes(parts[WQ.replace(".weight", ".comfy_quant")].tolist()))
    assert "full_precision_matrix_mult" not in told


def test_scales_that_the_hosts_layers_cannot_hold_are_unpacked(host, opened, extension):
    if opened.info.stored == "int8":
        return
    rows = len(opened.packed[WQ].parts()[0])
    scale = torch.full((rows, 1), 0.5)
    path = changed(opened, **{WQ.replace(".weight", ".weight_scale"): scale})
    again = extension("nodes.loaders.load").open_checkpoint(path).packed
    assert WQ not in host.kept("w.safetensors", again)
    assert len(host.kept("w.safetensors", again)) == 23


def test_weights_of_a_file_are_taken_with_their_parts(host, opened, extension):
    patchers, steps = extension("nodes.host.patchers"), []
    weights = patchers.WeightsInFile(
        opened.shapes, opened.dtypes, opened.fetch, opened.packed, lambda: steps.append(1)
    )
    assert patchers.layers_for({}, torch.float32) is None
    parts = weights.pop_parts(WQ, {})
    assert WQ not in weights
    assert len(parts) == 3
    assert steps == [1]
