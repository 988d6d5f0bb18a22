"""Weights kept in fp8: those that a file converted to fp8 keeps so, and no other is rounded."""

from __future__ import annotations

import torch
from check_dynamic import Filed
from dynamic import DynamicCard, where_it_is
from safetensors import safe_open
from safetensors.torch import save_file
from small import Small, apart, close

EXACT = 1e-4  # relative, for a float32 sum over the same numbers
TYPES = (torch.float8_e4m3fn, torch.float8_e5m2)


def kept(setup, kind: str, weights: dict, dtype) -> dict:
    """The types in which these weights should be kept."""
    choice = setup.module("pixwizard_core.weights.layer_choice").kept_dtype
    return {name: choice(kind, name, dtype) for name in weights}


def types_of(module) -> dict:
    return {name: parameter.dtype for name, parameter in module.named_parameters()}


def check_fp8_computes_with_the_numbers_of_a_converted_file(setup):
    """As the core with the same weights rounded, and not as with all of them in fp8."""
    found = {}
    for dtype in TYPES:
        small = Small(setup, dtype=dtype)
        wanted = kept(setup, "model", small.weights, dtype)
        assert types_of(small.patcher.model.diffusion_model) == wanted
        assert set(wanted.values()) == {dtype, torch.bfloat16}
        made = small.by_guider(3.0, 1.5)
        results = {}
        for what, types in (("converted", wanted), ("all", dict.fromkeys(wanted, dtype))):
            for name, parameter in small.twin.named_parameters():
                parameter.data = small.weights[name].to(types[name]).float()
            results[what] = small.by_core(w_text=3.0, w_image=1.5)
        found[str(dtype)] = (
            close(made, results["converted"], EXACT, "the host and the core"),
            apart(made, results["all"]),
        )
        assert found[str(dtype)][1] > 100 * EXACT, found
    return found


@where_it_is
def check_fp8_keeps_its_types_under_dynamic_memory(setup):
    """That manager brings weights to the device in the types it noted when the model was built."""
    small = Filed(setup, TYPES[0])
    small.loaded()
    plain = small.by_guider(3.0, 1.5)
    with DynamicCard():
        patcher = small.loaded()
        assert patcher.is_dynamic()
        made = small.by_guider(3.0, 1.5)
        network = patcher.model.diffusion_model
        assert types_of(network) == kept(setup, "model", small.weights, TYPES[0])
    return close(made, plain, 0.0, "dynamic and plain")


def check_gemma_in_fp8_leaves_clip_and_its_own_embedding_alone(setup):
    load = setup.module("nodes.loaders.load")
    encode = setup.module("nodes.encoders.conditioning").encode_text
    folder = setup.folder()
    with safe_open(load.BUNDLE / load.TEXT_FILE, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = file.metadata()
    types = kept(setup, "gemma", weights, TYPES[0])
    lower = {name: weight.to(types[name]) for name, weight in weights.items()}
    save_file(lower, folder / load.TEXT_FILE, header)
    (folder / "tokenizer.json").write_bytes((load.BUNDLE / "tokenizer.json").read_bytes())
    clip = load.load_clip(folder / load.TEXT_FILE, load.BUNDLE / load.CLIP_FILE)
    plain = load.load_clip(load.BUNDLE / load.TEXT_FILE, load.BUNDLE / load.CLIP_FILE)
    model = clip.cond_stage_model
    assert types_of(model.gemma["transformer"]) == types
    assert types["embed_tokens.weight"] == torch.bfloat16
    assert TYPES[0] not in types_of(model.clip_l).values(), types_of(model.clip_l)
    sentence = "Find the red ball and paint it white."
    (words, rest), (exact, wanted) = (encode(one, sentence)[0] for one in (clip, plain))
    same = close(rest["pooled_output"], wanted["pooled_output"], EXACT, "pooled text, CLIP's own")
    return same, close(words, exact, 0.1, "words")
