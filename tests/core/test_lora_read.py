"""LoRA files of other trainers: what they say acts, or the file is refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pixwizard_core.errors import CheckpointError
from pixwizard_core.weights.adapters import change
from pixwizard_core.weights.lora_read import listed, read_adapters

WQ, WK, GATE = "layers.0.attention.wq", "layers.0.attention.wk", "layers.0.attention.gate"
SHAPES = {
    f"{WQ}.weight": (8, 8), f"{WK}.weight": (4, 8), GATE: (4,),
    "layers.0.proj.weight": (8, 8), "layers.0.proj.bias": (8,), "layers.0.norm.weight": (8,),
}  # fmt: skip


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pair(stem, rank=2, outputs=8, inputs=8):
    return {
        f"{stem}.lora_A.weight": drawn(rank, inputs),
        f"{stem}.lora_B.weight": drawn(outputs, rank, seed=1),
    }


def read(folder, tensors, metadata=None, name="x.safetensors", **options):
    path = folder / name
    save_file({n: t.contiguous() for n, t in tensors.items()}, path, metadata)
    return read_adapters(path, SHAPES, **options)


def scales(folder, tensors, metadata=None, **options):
    return {a.target: a.scale for a in read(folder, tensors, metadata, **options).adapters}


def test_every_entry_of_every_kind_is_used(tmp_path):
    kinds = {
        f"lycoris_{WQ.replace('.', '_')}.hada_w1_a": drawn(8, 2),
        f"lycoris_{WQ.replace('.', '_')}.hada_w1_b": drawn(2, 8),
        f"lycoris_{WQ.replace('.', '_')}.hada_w2_a": drawn(8, 2),
        f"lycoris_{WQ.replace('.', '_')}.hada_w2_b": drawn(2, 8),
        f"lycoris_{WQ.replace('.', '_')}.alpha": torch.tensor(1.0),
        f"transformer.{WK}.lokr_w1": drawn(2, 2),
        f"transformer.{WK}.lokr_w2": drawn(2, 4),
        f"{GATE}.diff": drawn(4),
        "layers.0.proj.oft_blocks": drawn(2, 4, 4),
        "layers.0.proj.diff_b": drawn(8),
        "layers.0.norm.w_norm": drawn(8),
    }
    found = read(tmp_path, kinds)
    assert {(a.target, a.kind, a.scale) for a in found.adapters} == {
        (f"{WQ}.weight", "loha", 0.5), (f"{WK}.weight", "lokr", 1.0), (GATE, "diff", 1.0),
        ("layers.0.proj.weight", "oft", 1.0), ("layers.0.proj.bias", "diff", 1.0),
        ("layers.0.norm.weight", "diff", 1.0),
    }  # fmt: skip
    assert sorted(e for a in found.adapters for e in a.entries) == sorted(kinds)
    assert (found.elsewhere, found.guessed) == ((), False)


WRONG_SIZES = {
    "lora": ({".lora_A.weight": (2, 6), ".lora_B.weight": (8, 2)}, r"LoRA's is \(8, 6\)"),
    "ranks": ({".lora_A.weight": (2, 8), ".lora_B.weight": (8, 3)}, "or one another"),
    "diff": ({".diff": (8, 9)}, r"LoRA's is \(8, 9\)"),
    "diff-flat": ({".diff": (64,)}, r"LoRA's is \(64,\)"),
    "set": ({".set_weight": (7, 8)}, "do not fit it"),
    "lokr": ({".lokr_w1": (4, 4), ".lokr_w2": (4, 2)}, r"LoRA's is \(16, 8\)"),
    "lokr-same-count": ({".lokr_w1": (4, 1), ".lokr_w2": (4, 4)}, r"LoRA's is \(16, 4\)"),
    "loha": (
        {".hada_w1_a": (8, 2), ".hada_w1_b": (2, 4), ".hada_w2_a": (8, 2), ".hada_w2_b": (2, 4)},
        r"LoRA's is \(8, 4\)",
    ),
    "loha-half": (
        {".hada_w1_a": (8, 2), ".hada_w1_b": (2, 8), ".hada_w2_a": (9, 2), ".hada_w2_b": (2, 8)},
        "or one another",
    ),
    "loha-one-row": (
        {".hada_w1_a": (8, 2), ".hada_w1_b": (2, 8), ".hada_w2_a": (1, 2), ".hada_w2_b": (2, 8)},
        "or one another",
    ),
    "oft-of-more-rows": ({".oft_blocks": (4, 4, 4)}, "do not fit it"),
    "boft-of-one-block": ({".oft_blocks": (1, 1, 4, 4)}, "do not fit it"),
    "glora": (
        {".a1.weight": (9, 2), ".a2.weight": (2, 8), ".b1.weight": (8, 2), ".b2.weight": (2, 8)},
        "or one another",
    ),
    "oft": ({".oft_blocks": (3, 4, 4)}, "do not fit it"),
    "boft": ({".oft_blocks": (2, 3, 4, 4)}, "do not fit it"),
    "rescale": ({".oft_blocks": (2, 4, 4), ".rescale": (7, 1)}, "or one another"),
    "dora": (
        {".lora_A.weight": (2, 8), ".lora_B.weight": (8, 2), ".dora_scale": (7, 1)},
        "or one another",
    ),
    "magnitude": (
        {".lora_A.weight": (2, 8), ".lora_B.weight": (8, 2), ".lora_magnitude_vector": (9,)},
        "or one another",
    ),
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", WRONG_SIZES)
def test_adapters_of_another_size_are_refused_by_name(tmp_path, kind, strict):
    parts, message = WRONG_SIZES[kind]
    tensors = {WQ + end: drawn(*shape) for end, shape in parts.items()}
    with pytest.raises(CheckpointError, match=message) as told:
        read(tmp_path, tensors, strict=strict)
    assert f"{WQ} is (8, 8) in this model" in str(told.value)
    assert any(name in str(told.value) for name in tensors)


UNREAD = {
    "half": {f"{WK}.lora_A.weight": (2, 8)},
    "middle": {f"{WQ}.lora_mid.weight": (2, 2)},
    "bias-of-the-update": {f"{WQ}.lora_B.bias": (8,)},
    "bias-that-is-not-there": {f"{WQ}.diff_b": (8,)},
    "lone-alpha": {f"{WK}.alpha": ()},
    "lone-magnitude": {f"{WK}.lora_magnitude_vector": (4,)},
    "unknown-spelling-of-dora": {f"{WQ}.lora_lengths": (8,)},
    "half-a-lokr": {f"{WK}.lokr_w1": (2, 2)},
    "ia3": {f"{WK}.ia3_l": (4, 1)},
    "reshaped": {f"{WQ}.reshape_weight": (2,)},
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", UNREAD)
def test_entries_that_a_layer_cannot_use_are_refused(tmp_path, name, strict):
    extra = {entry: drawn(*shape) for entry, shape in UNREAD[name].items()}
    with pytest.raises(CheckpointError, match=r"1 of 3 entries of x\.safetensors cannot") as told:
        read(tmp_path, pair(WQ) | extra, strict=strict)
    assert next(iter(extra)) in str(told.value)


def test_entries_of_other_models_are_refused_or_listed(tmp_path):
    tensors = pair(WQ) | {"text_encoder.a.lora_A.weight": drawn(2, 2)}
    told = (
        r"1 of 3 entries of x\.safetensors fit no layer.*Use a LoRA trained for this model, or a "
        r"copy of the file without these entries\. In ComfyUI, Load LoRA .* allow_unmatched on"
    )
    with pytest.raises(CheckpointError, match=told):
        read(tmp_path, tensors)
    assert read(tmp_path, tensors, strict=False).elsewhere == ("text_encoder.a.lora_A.weight",)
    with pytest.raises(CheckpointError, match=r"nothing in x\.safetensors fits this PixWizard"):
        read(tmp_path, {"a": drawn(1)}, strict=False)


def test_two_loras_in_one_file_are_refused(tmp_path):
    tensors = {n.replace(".weight", ".night.weight"): t for n, t in pair(WQ).items()}
    with pytest.raises(CheckpointError, match=r"lora_down of layers\.0\.attention\.wq twice"):
        read(tmp_path, pair(WQ) | tensors)


def test_low_rank_on_a_vector_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"gate is \(4,\) in this model, which is no matrix"):
        read(tmp_path, pair(GATE, outputs=4, inputs=1))


def test_dora_by_pefts_definition(tmp_path):
    stem = f"base_model.model.{WQ}"
    tensors = pair(stem) | {f"{stem}.lora_magnitude_vector": torch.full((8,), 2.0)}
    (dora,) = read(tmp_path, tensors).adapters
    weight = drawn(8, 8, seed=5)
    assert torch.allclose((weight + change(dora, weight)).norm(dim=1), torch.full((8,), 2.0))


def header(**values):
    return {"lora_adapter_metadata": json.dumps(values)}


HEADERS = {
    "diffusers": (header(**{"transformer.r": 2, "transformer.lora_alpha": 8}), 4.0, 4.0),
    "bare": (header(r=2, lora_alpha=1), 0.5, 0.5),
    "others-too": (
        header(**{"text_encoder.r": 9, "text_encoder.lora_alpha": 9, "transformer.r": 2,
                  "transformer.lora_alpha": 4}), 2.0, 2.0,
    ),
    "rslora": (header(r=2, lora_alpha=2, use_rslora=True), 2**0.5, 2**0.5),
    "alpha-pattern": (header(r=2, lora_alpha=4, alpha_pattern={"wq": 8}), 4.0, 2.0),
    "anchored": (header(r=2, lora_alpha=4, alpha_pattern={f"^{WQ}$": 8}), 4.0, 2.0),
    "expression": (
        header(r=2, lora_alpha=4, alpha_pattern={r"layers\.\d+\.attention\.wq": 8}), 4.0, 2.0,
    ),
    "choice": (header(r=2, lora_alpha=4, alpha_pattern={".*(wq|wo)": 8}), 4.0, 2.0),
    "rank-pattern": (header(r=9, lora_alpha=4, rank_pattern={"wq": 2, "attention.wk": 2}), 2, 2),
    "kohya": ({"ss_network_dim": "9", "ss_network_alpha": "1.0"}, 0.5, 0.5),
    "plain": ({"lora_alpha": "6"}, 3.0, 3.0),
    "nothing": ({}, 1.0, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_strength_in_the_header_acts(tmp_path, name):
    metadata, wq, wk = HEADERS[name]
    tensors = pair(f"transformer.{WQ}") | pair(f"transformer.{WK}", outputs=4)
    found = read(tmp_path, tensors, metadata or None)
    said = {a.target: a.scale for a in found.adapters}
    assert said == pytest.approx({f"{WQ}.weight": wq, f"{WK}.weight": wk}, rel=1e-12)
    assert found.guessed is (name == "nothing")


def test_alpha_tensors_win_over_the_header(tmp_path):
    tensors = pair(WQ) | {f"{WQ}.alpha": torch.tensor(6.0)}
    assert scales(tmp_path, tensors, header(r=2, lora_alpha=2)) == {f"{WQ}.weight": 3.0}


def test_configuration_beside_a_file_of_peft_acts(tmp_path):
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 8, "alpha_pattern": {}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    tensors = pair(f"base_model.model.{WQ}")
    own = scales(tmp_path, tensors, name="adapter_model.safetensors")
    assert own == {f"{WQ}.weight": 4.0}
    # Beside another file it cannot be told whose it is.
    found = read(tmp_path, tensors, name="other.safetensors")
    assert ([a.scale for a in found.adapters], found.guessed) == ([1.0], True)
    (tmp_path / "adapter_model.safetensors").unlink()
    assert scales(tmp_path, tensors, name="other.safetensors") == {f"{WQ}.weight": 4.0}


def test_strength_of_whole_lokr_matrices_is_what_peft_says(tmp_path):
    tensors = {f"{WQ}.lokr_w1": drawn(2, 2), f"{WQ}.lokr_w2": drawn(4, 4)}
    assert scales(tmp_path, tensors, header(r=4, alpha=8)) == {f"{WQ}.weight": 2.0}
    assert scales(tmp_path, tensors) == {f"{WQ}.weight": 1.0}


REFUSED_HEADERS = {
    "rank": (header(r=4, lora_alpha=8), "says rank 4 for layers.0.attention.wq, but its weights"),
    "no-json": ({"lora_adapter_metadata": "{"}, "not valid JSON"),
    "list": ({"lora_adapter_metadata": "[1]"}, "settings by name are wanted"),
    "alpha": (header(r=2, lora_alpha="much"), "lora_alpha is no usable number"),
    "nan": (header(r=2, lora_alpha=float("nan")), "lora_alpha is no usable number"),
    "zero-rank": (header(r=0, lora_alpha=2), "r must be 1 or more"),
    "slow": (header(r=2, lora_alpha=2, alpha_pattern={"(a+)+": 1}), "which is not read here"),
    "dora": (header(r=2, lora_alpha=2, use_dora=True), "magnitudes are missing"),
    "pissa": (header(r=2, lora_alpha=2, init_lora_weights="pissa_niter_4"), "changes the model"),
}


@pytest.mark.parametrize("name", REFUSED_HEADERS)
def test_headers_that_cannot_act_are_refused(tmp_path, name):
    metadata, message = REFUSED_HEADERS[name]
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path, pair(WQ), metadata)


def test_long_lists_are_shortened():
    assert listed(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
