"""What nodes/host/uses.py relies on: the host's CLIP and CLIP_VISION types and their layers."""

from __future__ import annotations

import json

import comfy.ops
import comfy.sd
import comfy.supported_models_base
import probe
import torch
from small import close

WEIGHT = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


class Words:
    """A tokenizer for the host: a token is the length of its word."""

    def tokenize_with_weights(self, text, return_word_ids=False, **options):
        return {"words": [[(len(word), 1.0) for word in text.split()]]}


class Text(torch.nn.Module):
    """A text model for the host; keeps what it was built with and given."""

    def __init__(self, device="cpu", dtype=None, model_options=None) -> None:
        super().__init__()
        operations = (model_options or {}).get("custom_operations", comfy.ops.manual_cast)
        self.layer = operations.Linear(2, 2, bias=False, device=device, dtype=dtype)
        self.built, self.dtypes, self.given, self.told = (device, dtype), {dtype}, [], []

    def set_clip_options(self, options):
        self.told.append(options)

    def reset_clip_options(self):
        self.told.append(None)

    def encode_token_weights(self, tokens):
        self.given.append(tokens)
        ids = torch.tensor([[float(id) for id, _ in row] for row in tokens["words"]])
        return ids[..., None], ids[:, :1], {"attention_mask": torch.ones(ids.shape)}

    def load_sd(self, sd):
        return self.load_state_dict(sd, strict=False)


def clip(dtype=torch.float32):
    target = comfy.supported_models_base.ClipTarget(lambda **_: Words(), Text)
    options = {"dtype": dtype, "initial_device": probe.CPU}
    return comfy.sd.CLIP(target, parameters=4, model_options=options)


def check_comfy_clip_vision_ClipVisionModel(setup):
    """Built from a settings file, filled by published names, called for its states."""
    check = setup.module("nodes.results.check")
    line = check.stock_vision_line()
    assert " right (relative RMS" in line, line


def check_comfy_ops_manual_cast(setup):
    x, layers = torch.tensor([[0.5, 0.25]]), comfy.ops.manual_cast
    for stored in (torch.float32, torch.bfloat16, torch.float8_e4m3fn):
        linear = layers.Linear(2, 2, bias=False, dtype=stored, device=probe.CPU)
        linear.weight = torch.nn.Parameter(WEIGHT.to(stored), requires_grad=False)
        made = linear(x)
        assert made.dtype == torch.float32, f"weights in {stored}"
        close(made, torch.tensor([[1.0, 2.5]]), 0.0, f"x @ weight in {stored}")
        table = layers.Embedding(2, 2, dtype=stored, device=probe.CPU)
        table.weight = torch.nn.Parameter(WEIGHT.to(stored), requires_grad=False)
        row = table(torch.tensor([1]), out_dtype=torch.float32)
        assert row.dtype == torch.float32, f"embedding in {stored}"
        close(row, WEIGHT[1:], 0.0, f"row of the embedding in {stored}")
    norm = layers.LayerNorm(2, dtype=torch.bfloat16, device=probe.CPU)
    norm.weight = torch.nn.Parameter(torch.tensor([2.0, 2.0], dtype=torch.bfloat16))
    norm.bias = torch.nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.bfloat16))
    close(norm(x * 100), torch.tensor([[3.0, -1.0]]), 1e-4, "layer norm in float32")


def check_comfy_ops_QUANT_ALGOS(setup):
    known = getattr(comfy.ops, "QUANT_ALGOS", {})
    for name, dtype in (("float8_e4m3fn", torch.float8_e4m3fn), ("int8_tensorwise", torch.int8)):
        if name in known:
            assert known[name]["storage_t"] == dtype
            assert comfy.ops.get_layout_class(known[name]["comfy_tensor_layout"]) is not None
    return sorted(known)


def check_comfy_ops_mixed_precision_ops(setup):
    """A layer keeps 8-bit numbers with their scale, and multiplies by what they stand for."""
    if not hasattr(comfy.ops, "mixed_precision_ops"):
        return "this host has none"
    layers = comfy.ops.mixed_precision_ops({"mixed_ops": True}, torch.float32)
    settings = {"format": "float8_e4m3fn", "full_precision_matrix_mult": True}
    parts = {
        "weight": (WEIGHT * 2).to(torch.float8_e4m3fn),
        "weight_scale": torch.tensor(0.5),
        "comfy_quant": torch.tensor(list(json.dumps(settings).encode()), dtype=torch.uint8),
    }
    x = torch.tensor([[0.5, 0.25]])
    for given, dtype in ((parts, torch.float8_e4m3fn), ({"weight": WEIGHT}, torch.float32)):
        linear = layers.Linear(2, 2, bias=False, device=probe.CPU)
        linear.load_state_dict(dict(given), strict=True, assign=True)
        assert getattr(linear.weight, "_qdata", linear.weight).dtype == dtype
        close(linear(x), torch.tensor([[1.0, 2.5]]), 0.0, f"x @ weight in {dtype}")
    norm = layers.LayerNorm(2, dtype=torch.float32, device=probe.CPU)
    assert norm(x).dtype == torch.float32
    return True


def check_comfy_sd_CLIP(setup):
    for dtype in (torch.float32, torch.bfloat16):
        made = clip(dtype)
        assert isinstance(made.cond_stage_model, Text)
        assert made.cond_stage_model.built == (probe.CPU, dtype)
        assert made.cond_stage_model.layer.weight.dtype == dtype
        assert made.patcher.model is made.cond_stage_model


def check_comfy_sd_CLIP_clone(setup):
    first = clip()
    first.layer_idx = -1
    made = type("Kept", (comfy.sd.CLIP,), {})(no_init=True)
    vars(made).update(vars(first.clone()))
    assert made.patcher is not first.patcher
    assert made.patcher.model is first.patcher.model
    assert (made.tokenizer, made.layer_idx) == (first.tokenizer, -1)
    assert torch.equal(
        made.encode_from_tokens(made.tokenize("a red ball")),
        first.encode_from_tokens(first.tokenize("a red ball")),
    )


def check_comfy_sd_CLIP_tokenize(setup):
    made = clip()
    tokens = made.tokenize("a red ball")
    assert tokens == {"words": [[(1, 1.0), (3, 1.0), (4, 1.0)]]}
    ((features, notes),) = made.encode_from_tokens_scheduled(tokens)
    assert features.tolist() == [[[1], [3], [4]]]
    assert notes["pooled_output"].tolist() == [[1]]
    assert notes["attention_mask"].tolist() == [[1, 1, 1]]
    # Newer hosts say where to compute; nothing is computed elsewhere on the older ones.
    for options in filter(None, made.cond_stage_model.told):
        assert torch.device(options.get("execution_device", "cpu")) == probe.CPU


def check_comfy_supported_models_base_ClipTarget(setup):
    target = comfy.supported_models_base.ClipTarget(Words, Text)
    assert (target.tokenizer, target.clip) == (Words, Text)
    assert target.params == {}
