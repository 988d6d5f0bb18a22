"""Weights in 8 bits with scales: made, written, read, unpacked, and refused when unknown."""

import json
import warnings

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pixwizard_core.cli import main
from pixwizard_core.errors import CheckpointError, PixWizardWarning
from pixwizard_core.weights.checkpoint import load_model, load_state_dict, open_checkpoint, save
from pixwizard_core.weights.convert import convert
from pixwizard_core.weights.examine import inspect
from pixwizard_core.weights.layer_choice import IN_8_BITS
from pixwizard_core.weights.quantised import (
    FP8_SCALED,
    INT8,
    in_format,
    scale_of,
    unpacked,
)
from pixwizard_core.weights.quantised_files import HEADER
from tests.support.paths import GOLDEN

SOURCE = GOLDEN / "checkpoint"
WQ = "layers.0.attention.wq"
BOTH = pytest.mark.parametrize("title", ["fp8_scaled", "int8"])


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def relative_rms(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())


@pytest.fixture(params=["fp8_scaled", "int8"])
def made(request, tmp_path):
    path = tmp_path / f"{request.param}.safetensors"
    convert(SOURCE, path, request.param)
    return path


def rewritten(path, change, header=None):
    """A copy of a quantised file: change(tensors) edits them, header replaces entries."""
    with safe_open(path, framework="pt") as file:
        metadata = {**file.metadata(), **(header or {})}
    tensors = load_file(path)
    change(tensors)
    target = path.with_name("changed.safetensors")
    save_file(tensors, target, {k: v for k, v in metadata.items() if v is not None})
    return target


def test_fp8_scale_takes_the_largest_number_to_448():
    weight = torch.tensor([[1.0, -7.0], [3.5, 0.0]])
    scale = scale_of(weight, FP8_SCALED)
    assert scale.shape == ()
    assert float(scale) == pytest.approx(7 / 448)
    numbers = in_format(weight, scale, FP8_SCALED)
    assert numbers.dtype == torch.float8_e4m3fn
    assert numbers.float().tolist() == [[64.0, -448.0], [224.0, 0.0]]
    assert unpacked(numbers, scale, torch.float32).tolist() == weight.tolist()


def test_int8_has_a_scale_for_each_row_and_rounds_to_the_nearest():
    weight = torch.tensor([[1.27, -0.638], [0.0, 0.0], [-254.0, 3.0]])
    scale = scale_of(weight, INT8)
    assert scale.flatten().tolist() == pytest.approx([0.01, 1.0, 2.0])
    numbers = in_format(weight, scale, INT8)
    assert numbers.dtype == torch.int8
    assert numbers.tolist() == [[127, -64], [0, 0], [-127, 2]]
    back = unpacked(numbers, scale, torch.float32)
    assert torch.allclose(back, torch.tensor([[1.27, -0.64], [0.0, 0.0], [-254.0, 4.0]]))


def test_error_of_a_normal_weight_is_that_of_the_format():
    weight = drawn(256, 512)
    for format, low, high in ((FP8_SCALED, 0.02, 0.03), (INT8, 0.006, 0.009)):
        scale = scale_of(weight, format)
        back = unpacked(in_format(weight, scale, format), scale, torch.float32)
        assert low < relative_rms(back, weight) < high
        # fp8 halves the step below half the scale; int8 has one step everywhere
        step = scale * (16 if format is FP8_SCALED else 0.5)
        assert bool(((back - weight).abs() <= step * 1.0001).all())


def test_file_holds_numbers_scales_and_the_hosts_header(made):
    title = made.stem
    with safe_open(made, framework="pt") as file:
        told = json.loads(file.metadata()[HEADER])
        scale = file.get_tensor(f"{WQ}.weight_scale")
        numbers = file.get_tensor(f"{WQ}.weight")
        kept = file.get_tensor("x_embedder.weight")
        names = set(file.keys())
    format = {"fp8_scaled": "float8_e4m3fn", "int8": "int8_tensorwise"}[title]
    assert told["format_version"] == "1.0"
    assert told["layers"][WQ] == {"format": format, "full_precision_matrix_mult": True}
    assert len(told["layers"]) == 2 * 12  # eight of attention, three of feed-forward, picture
    assert {f"{layer}.weight_scale" for layer in told["layers"]} <= names
    assert scale.dtype == torch.float32
    assert scale.shape == (() if title == "fp8_scaled" else (len(numbers), 1))
    assert numbers.dtype == (torch.float8_e4m3fn if title == "fp8_scaled" else torch.int8)
    assert kept.dtype == torch.bfloat16


def test_only_the_matrices_of_layers_are_in_8_bits():
    model = IN_8_BITS["model"]
    assert model.fullmatch("layers.23.feed_forward.w2.weight")
    for name in ("gate", "q_norm.weight", "wq.bias"):
        assert not model.fullmatch(f"layers.0.attention.{name}")
    for name in ("x_embedder", "layers.0.adaLN_modulation.1", "layers.0.out_conv.0"):
        assert not model.fullmatch(f"{name}.weight")
    assert IN_8_BITS["gemma"].fullmatch("layers.0.mlp.down_proj.weight")
    assert not IN_8_BITS["gemma"].fullmatch("embed_tokens.weight")
    assert IN_8_BITS["clip_text"].fullmatch("text_model.encoder.layers.0.mlp.fc2.weight")
    for name in ("text_projection", "vision_model.encoder.layers.0.mlp.fc2"):
        assert not IN_8_BITS["clip_text"].fullmatch(f"{name}.weight")


def test_quantised_file_is_unpacked_within_the_formats_error(made):
    original, config = load_state_dict(SOURCE)
    state, found = load_state_dict(made)
    assert found == config
    assert state.keys() == original.keys()
    limit = {"fp8_scaled": 0.04, "int8": 0.012}[made.stem]
    for name, tensor in state.items():
        assert tensor.dtype == torch.bfloat16
        apart = relative_rms(tensor.float(), original[name].float())
        assert apart < (limit if IN_8_BITS["model"].fullmatch(name) else 0.004), (name, apart)


def test_loading_says_that_weights_were_unpacked(made):
    with pytest.warns(PixWizardWarning, match="24 weights stored as .* were unpacked to bfloat16"):
        model = load_model(made)
    assert model.layers[0].attention.wq.weight.dtype == torch.bfloat16


def test_plain_file_loads_without_a_word(tmp_path):
    convert(SOURCE, tmp_path / "plain.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(tmp_path / "plain.safetensors")


def test_inspect_says_the_format(made, capsys):
    info = inspect(made)
    assert (info.stored, info.formats) == (made.stem, {made.stem: 24})
    assert info.n_params == inspect(SOURCE).n_params  # scales are no parameters
    assert main(["inspect", str(made)]) == 0
    told = capsys.readouterr().out
    assert f"stored as   safetensors, {made.stem}, " in told
    assert f"24 layers in {made.stem}; ComfyUI computes with them as they are" in told


def test_quantised_file_converts_back_and_loses_its_header(made, tmp_path):
    convert(made, tmp_path / "back.safetensors", "fp32")
    assert inspect(tmp_path / "back.safetensors").formats == {}
    back, _ = load_state_dict(tmp_path / "back.safetensors")
    state, _ = load_state_dict(made)
    assert all(torch.equal(back[name], state[name].float()) for name in state)


def test_converting_twice_is_told(made, tmp_path):
    told = []
    convert(made, tmp_path / "again.safetensors", "int8", tell=told.append)
    assert told == [
        f"{made.name} is stored as {made.stem} already, and its errors stay; convert the file that "
        "it was made from, if you have it"
    ]


def test_converting_a_file_in_fp8_is_told_too(tmp_path):
    convert(SOURCE, tmp_path / "fp8.safetensors", "fp8")
    told = []
    for title in ("fp8", "bf16", "int8"):
        convert(tmp_path / "fp8.safetensors", tmp_path / "x.safetensors", title, tell=told.append)
    (line,) = told
    assert line.startswith("fp8.safetensors is stored as fp8 already, and its errors stay")


def test_converting_another_fp8_is_told_too(tmp_path):
    state, config = load_state_dict(SOURCE)
    lower = {name: weight.to(torch.float8_e5m2) for name, weight in state.items()}
    save(tmp_path / "e5m2.safetensors", lower, config)
    told = []
    convert(tmp_path / "e5m2.safetensors", tmp_path / "x.safetensors", "fp8", tell=told.append)
    (line,) = told
    assert line.startswith("e5m2.safetensors is stored as float8_e5m2 already, and its errors")


@BOTH
def test_command_writes_both_formats(tmp_path, capsys, title):
    target = tmp_path / "out.safetensors"
    assert main(["convert", str(SOURCE), str(target), "--to", title]) == 0
    assert inspect(target).stored == title
    assert "335,810 parameters" in capsys.readouterr().out


def test_markers_beside_the_weights_are_read_like_the_header(made):
    def marked(tensors):
        for layer in list(tensors):
            if layer.endswith(".weight_scale"):
                text = json.dumps({"format": told[layer.removesuffix(".weight_scale")]["format"]})
                tensors[layer.replace(".weight_scale", ".comfy_quant")] = torch.tensor(
                    list(text.encode()), dtype=torch.uint8
                )
        prefixed = {f"model.diffusion_model.{name}": value for name, value in tensors.items()}
        tensors.clear()
        tensors.update(prefixed)

    with safe_open(made, framework="pt") as file:
        told = json.loads(file.metadata()[HEADER])["layers"]
    saved = rewritten(made, marked, {HEADER: None})
    opened, wanted = open_checkpoint(saved), open_checkpoint(made)
    assert opened.info.layout == "saved by ComfyUI"
    assert opened.packed.keys() == wanted.packed.keys()
    assert torch.equal(opened.fetch(f"{WQ}.weight"), wanted.fetch(f"{WQ}.weight"))


def layers_with(path, settings):
    """The header of a file with other settings for its first layer."""
    with safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()[HEADER])
    told["layers"][WQ] = settings
    return {HEADER: json.dumps(told)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "nvfp4"}, "attention.wq is stored as nvfp4, which is not read here"),
        ({"format": "int8_tensorwise", "convrot": True}, "int8_tensorwise with convrot"),
        ({"format": "mxfp8"}, r"Formats that are read: fp8_scaled \(float8_e4m3fn\)"),
        ({"format": 8}, "does not say in which format layers.0.attention.wq is stored"),
        ("int8", "does not say in which format"),
    ],
    ids=["nvfp4", "rotated", "mxfp8", "number", "text"],
)
def test_unknown_formats_are_refused_by_name(made, settings, message):
    changed = rewritten(made, lambda tensors: None, layers_with(made, settings))
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(changed)


def without(name):
    return lambda tensors: tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(f"{WQ}.weight_scale"), r"no scale for layers\.0\.attention\.wq"),
        (
            lambda tensors: tensors.update({f"{WQ}.weight": drawn(*tensors[f"{WQ}.weight"].shape)}),
            r"wq\.weight holds torch\.float32; .*saved by a ComfyUI that cannot",
        ),
        (
            lambda tensors: tensors.update({f"{WQ}.weight_scale": drawn(7)}),
            r"scale .*wq\.weight_scale of shape \(7,\) .* does not fit its weight",
        ),
        (
            lambda tensors: tensors.update({f"{WQ}.weight_scale": torch.tensor([[1]])}),
            r"type torch\.int64 does not fit its weight",
        ),
        (
            lambda tensors: tensors.update({f"{WQ}.pre_quant_scale": drawn(4)}),
            "is stored as scaled inputs, which is not read",
        ),
        (
            lambda tensors: tensors.update({f"{WQ}.qweight": drawn(1)}),
            "is stored as GPTQ or AWQ, which is not read here",
        ),
    ],
    ids=["no-scale", "plain-numbers", "shape", "whole", "inputs", "foreign"],
)  # fmt: skip
def test_numbers_that_contradict_the_header_are_refused(made, change, message):
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(rewritten(made, change))


def test_damaged_headers_are_refused(made):
    for text, message in (("{", "not valid JSON"), ("[]", "without layers")):
        with pytest.raises(CheckpointError, match=message):
            inspect(rewritten(made, lambda tensors: None, {HEADER: text}))


def test_scale_that_is_not_finite_is_refused(made):
    def broken(tensors):
        tensors[f"{WQ}.weight_scale"] = torch.full_like(tensors[f"{WQ}.weight_scale"], torch.inf)

    with pytest.raises(CheckpointError, match=r"wq\.weight_scale holds numbers that are not"):
        open_checkpoint(rewritten(made, broken)).fetch(f"{WQ}.weight")


def test_scale_beyond_bfloat16_is_refused(made):
    def large(tensors):
        tensors[f"{WQ}.weight_scale"] = torch.full_like(tensors[f"{WQ}.weight_scale"], 3e38)

    with pytest.raises(CheckpointError, match="leaves the range of bfloat16"):
        open_checkpoint(rewritten(made, large)).fetch(f"{WQ}.weight")


def test_whole_numbers_without_a_format_are_refused(made):
    header = {HEADER: None}
    if made.stem == "fp8_scaled":  # which older files may leave to the type of the numbers
        assert open_checkpoint(rewritten(made, lambda tensors: None, header)).packed
        return
    with pytest.raises(CheckpointError, match="does not say how they are quantised"):
        open_checkpoint(rewritten(made, lambda tensors: None, header))


def test_marker_that_is_no_text_is_refused(made):
    def marked(tensors):
        tensors[f"{WQ}.comfy_quant"] = torch.zeros(2, 2)

    with pytest.raises(CheckpointError, match="comfy_quant is not the text of settings"):
        inspect(rewritten(made, marked))


def test_gguf_is_refused_by_name(tmp_path):
    (tmp_path / "w.gguf").write_bytes(b"GGUF\x03" + b"\0" * 40)
    with pytest.raises(CheckpointError, match="it begins with GGUF"):
        inspect(tmp_path / "w.gguf")
