"""Our CLIP with long and empty texts, LoRA on both halves, weights that do not fit, and saved."""

from __future__ import annotations

from functools import partial

import folder_paths
import torch
from check_encoders import CLIP, GEMMA, NEAR, VISION, encoders, fresh
from safetensors.torch import save_file
from small import apart, close

import nodes

MOST, CLIP_MOST = 256, CLIP["max_position_embeddings"]  # tokens, the begin token included
WORDS = "remove the red ball"
LORA = {  # a layer of each half, as the host's loader names them
    "text_encoders.gemma.transformer.layers.1.mlp.up_proj": (
        GEMMA["intermediate_size"], GEMMA["hidden_size"],
    ),
    "lora_te_text_model_encoder_layers_1_mlp_fc1": (
        CLIP["intermediate_size"], CLIP["hidden_size"],
    ),
}  # fmt: skip
SHARES = (0.1, 0.4, 0.7)  # of the weights that fit
CPU = torch.device("cpu")


def features(clip, text: str = WORDS) -> tuple[torch.Tensor, torch.Tensor]:
    """Text features and pooled text, by the stock node."""
    tokens, values = nodes.CLIPTextEncode().encode(clip, text)[0][0]
    return tokens, values["pooled_output"]


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def matrices(layer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Up and down of the LoRA on a layer."""
    generator = torch.Generator().manual_seed(len(layer))
    out, into = LORA[layer]
    return torch.randn(out, 2, generator=generator), torch.randn(2, into, generator=generator)


def lora_name(setup, layers=tuple(LORA)) -> str:
    """A LoRA file for these layers among the host's."""
    folder, tensors = setup.folder(), {}
    for layer in layers:
        tensors[f"{layer}.lora_up.weight"], tensors[f"{layer}.lora_down.weight"] = matrices(layer)
    save_file(tensors, str(folder / f"{folder.name}.safetensors"))
    folder_paths.folder_names_and_paths["loras"][0].insert(0, str(folder))
    folder_paths.filename_list_cache.clear()
    return f"{folder.name}.safetensors"


def with_lora(clip, name: str, strength: float = 0.5):
    return nodes.LoraLoader().load_lora(None, clip, name, 1.0, strength)[1]


def check_texts_of_every_length_are_encoded(setup):
    """Empty, one token short of both limits, at them and beyond: what lies beyond is cut off."""
    host, core = encoders(setup)
    found = {}
    for letters in (0, 1, CLIP_MOST - 2, CLIP_MOST, MOST - 2, MOST - 1, MOST, MOST + 50):
        text = ("remove a ball " * 40)[:letters]
        tokens, pooled = features(host, text)
        wanted, mask, wanted_pooled = core.encode([text])
        length = min(letters + 1, MOST)
        assert int(mask.sum()) == length, (letters, int(mask.sum()))
        assert tokens.shape[1] == -(-length // 8) * 8, tokens.shape
        found[letters] = [
            close(tokens[:, :length], wanted[:, :length], NEAR, f"{letters} letters"),
            close(pooled, wanted_pooled, NEAR, f"pooled, {letters} letters"),
        ]
    assert equal(features(host, "x" * (MOST - 1)), features(host, "x" * (MOST + 9)))
    return max(max(pair) for pair in found.values())


def check_lora_changes_its_half_and_is_undone(setup):
    """Each of two layers by itself, both, and none again: as with the LoRA in the weights."""
    host, _ = encoders(setup)
    gemma, clip_l = LORA
    plain = features(host)
    by_gemma = features(with_lora(host, lora_name(setup, (gemma,))))
    by_clip = features(with_lora(host, lora_name(setup, (clip_l,))))
    assert apart(by_gemma[0], plain[0]) > 1e-2
    assert torch.equal(by_gemma[1], plain[1])
    assert torch.equal(by_clip[0], plain[0])
    assert apart(by_clip[1], plain[1]) > 1e-2
    both = features(with_lora(host, lora_name(setup)))
    close(both[0], by_gemma[0], 0.0, "features with both")
    close(both[1], by_clip[1], 0.0, "pooled text with both")
    assert equal(features(with_lora(host, lora_name(setup), 0.0)), plain)
    assert equal(features(host), plain)
    return [apart(by_gemma[0], plain[0]), apart(by_clip[1], plain[1])]


def check_lora_is_added_to_the_weights(setup):
    """By hand, up times down times the strength, on the first layer of the list."""
    host, core = encoders(setup)
    layer, strength = next(iter(LORA)), 0.5
    up, down = matrices(layer)
    made, _ = features(with_lora(host, lora_name(setup, (layer,)), strength))
    core.gemma.layers[1].mlp.up_proj.weight.data += strength * up @ down
    wanted, mask, _ = core.encode([WORDS])
    length = int(mask.sum())
    return close(made[:, :length], wanted[:, :length], NEAR, "with a LoRA")


def partly_loaded(patcher, share: float, run):
    """run() with this share of the weights on the device, the others cast at use as from main
    memory. The layers are called without the host's loader, which would load the rest."""
    patcher.unpatch_model(CPU)
    patcher.patch_model(CPU, lowvram_model_memory=int(patcher.model_size() * share))
    assert patcher.model.model_lowvram, f"the host loaded everything at {share}"
    loaded = patcher.model.model_loaded_weight_memory / patcher.model_size()
    assert loaded < share + 0.05, (loaded, share)
    try:
        return run()
    finally:
        patcher.unpatch_model(CPU)


def check_part_of_the_text_encoder_gives_every_bit(setup):
    """In three precisions, and in float32 with a LoRA on weights that stay in main memory."""
    found = {}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        host, _ = encoders(setup, dtype)
        clips = {"plain": host}
        if dtype == torch.float32:
            clips["LoRA"] = with_lora(host, lora_name(setup))
        for name, clip in clips.items():
            run = partial(clip.cond_stage_model.encode_token_weights, clip.tokenize(WORDS))
            whole = features(clip)
            for share in SHARES:
                part = partly_loaded(clip.patcher, share, run)
                assert equal(part[:2], whole), f"{dtype} {name} {share}: {apart(part[0], whole[0])}"
                found[f"{dtype} {name} {share}"] = "equal"
    return found


def check_part_of_the_vision_encoder_gives_every_bit(setup):
    make = setup.module("nodes.encoders.vision").make_clip_vision
    vision = make(VISION, fresh("clip_vision", VISION)[1])
    pixels = torch.randn(2, 3, 336, 336, generator=torch.Generator().manual_seed(7))
    whole = vision.model(pixels, intermediate_output=-2)[:3]
    run = partial(vision.model, pixels, intermediate_output=-2)
    for share in SHARES:
        assert equal(partly_loaded(vision.patcher, share, run)[:3], whole), share


def check_saved_text_encoder_is_the_same(setup):
    """What get_sd gives goes into another CLIP of ours, bit for bit; a LoRA on it is merged in."""
    host, _ = encoders(setup)
    other, _ = encoders(setup)
    kept = {name: value.clone() for name, value in host.get_sd().items()}
    for parameter in other.cond_stage_model.parameters():
        parameter.data = torch.zeros_like(parameter)
    missing, unexpected = other.cond_stage_model.load_sd(kept)
    assert not missing, missing
    assert not unexpected, unexpected
    assert equal(features(other), features(host))
    changed = with_lora(host, lora_name(setup))
    wanted = features(changed)
    other.cond_stage_model.load_sd({name: v.clone() for name, v in changed.get_sd().items()})
    assert equal(features(other), wanted)
    assert apart(features(other)[0], features(host)[0]) > 1e-2
