"""Names in LoRA files: prefix, layer and part, in the spelling of every trainer."""

import pytest

from pixwizard_core.weights.lora_names import layer_of, spellings, split_entry

WQ = "layers.0.attention.wq"
GATE = "layers.0.attention.gate"
NAMES = spellings([f"{WQ}.weight", GATE, "layers.0.in_conv.1.bias"])


@pytest.mark.parametrize(
    ("entry", "stem", "part"),
    [
        (f"diffusion_model.{WQ}.lora_A.weight", f"diffusion_model.{WQ}", "lora_down"),
        (f"transformer.{WQ}.lora_up.weight", f"transformer.{WQ}", "lora_up"),
        (f"{WQ}_lora.up.weight", WQ, "lora_up"),
        (f"{WQ}.lora.down.weight", WQ, "lora_down"),
        (f"{WQ}.lora_linear_layer.down.weight", WQ, "lora_down"),
        (f"{WQ}.lora_B", WQ, "lora_up"),
        (f"base_model.model.{WQ}.lora_B.default.weight", f"base_model.model.{WQ}", "lora_up"),
        (f"base_model.model.{WQ}.lora_B.night.weight", f"base_model.model.{WQ}", "lora_up"),
        ("lora_unet_layers_0_attention_wq.alpha", "lora_unet_layers_0_attention_wq", "alpha"),
        (f"{WQ}.dora_scale", WQ, "dora_scale"),
        (f"{WQ}.lora_magnitude_vector", WQ, "magnitude"),
        (f"{WQ}.lora_magnitude_vector.weight", WQ, "magnitude"),
        (f"{WQ}.lora_magnitude_vector.default.weight", WQ, "magnitude"),
        (f"{WQ}.lora_magnitude_vector.default", WQ, "magnitude"),
        (f"{WQ}.magnitude", WQ, "magnitude"),
        (f"{WQ}.weight_m_wdecomp.weight", WQ, "magnitude"),
        (f"{WQ}.hada_w1_a", WQ, "hada_w1_a"),
        (f"{WQ}.lokr_w2", WQ, "lokr_w2"),
        (f"{WQ}.lokr_w2_b", WQ, "lokr_w2_b"),
        (f"{WQ}.a1.weight", WQ, "a1"),
        (f"{WQ}.w_norm", WQ, "diff"),
        (f"{WQ}.diff_b", WQ, "diff_b"),
    ],
)
def test_entries_are_split_into_layer_and_part(entry, stem, part):
    assert split_entry(entry) == (stem, part)
    assert NAMES[stem] == WQ


@pytest.mark.parametrize("end", [".weight", ".lora_mid.weight", ".reshape_weight", ".lora_B.bias"])
def test_unknown_ends_are_no_parts(end):
    assert split_entry(WQ + end) is None
    assert layer_of(WQ + end, NAMES) == WQ


@pytest.mark.parametrize(
    "entry",
    ["lora_unet_layers_0_attention_wqx.alpha", "layers.0.attention.wo.lora_A.weight", "layers.0"],
)
def test_entries_of_other_layers_have_none(entry):
    assert layer_of(entry, NAMES) is None


def test_gates_are_layers_of_their_own():
    assert NAMES[f"transformer.{GATE}"] == GATE
