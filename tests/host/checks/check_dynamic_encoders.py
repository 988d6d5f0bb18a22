"""The bundled text and vision encoders under the host's dynamic memory manager."""

from __future__ import annotations

import comfy.hooks
import comfy.model_patcher
import torch
from dynamic import DynamicCard, Room, where_it_is
from small import apart, close

import nodes

EXACT = 1e-5
NEAR = (
    1e-4  # patched weights, which the plain patcher rounds to the half precision they are kept in
)
WORDS = "remove the red ball"
# A streamed layer, a small one, one that is not the host's, and one of CLIP's half.
TEXT_WEIGHTS = {
    "ordinary": "gemma.transformer.layers.0.mlp.up_proj.weight",
    "norm": "gemma.transformer.layers.1.input_layernorm.weight",
    "clip": "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
}
VISION_WEIGHTS = {
    "ordinary": "vision_model.encoder.layers.0.mlp.fc1.weight",
    "bare": "vision_model.embeddings.class_embedding",
}


def text_encoder(setup, device=None):
    load = setup.module("nodes.loaders.load")
    return load.load_clip(load.BUNDLE / load.TEXT_FILE, load.BUNDLE / load.CLIP_FILE, device)


def vision_encoder(setup):
    load = setup.module("nodes.loaders.load")
    return load.load_clip_vision(load.BUNDLE / load.CLIP_FILE)


def encoded(clip) -> torch.Tensor:
    """Features and pooled text in one row of numbers."""
    tokens, values = nodes.CLIPTextEncode().encode(clip, WORDS)[0][0]
    return torch.cat([tokens.flatten(), values["pooled_output"].flatten()])


def seen(vision) -> torch.Tensor:
    picture = torch.rand(1, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    output = vision.encode_image(picture)
    return torch.cat([output[name].flatten() for name in ("last_hidden_state", "image_embeds")])


def change_of(patcher, name: str) -> dict:
    shape = patcher.model.state_dict()[name].shape
    generator = torch.Generator().manual_seed(len(name))
    return {name: ("diff", (torch.randn(shape, generator=generator),))}


def changed(clip, name: str, strength: float = 0.2):
    clone = clip.clone()
    assert clone.add_patches(change_of(clip.patcher, name), strength)
    return clone


@where_it_is
def check_patches_of_the_text_encoder_act(setup):
    found = {}

    def results(clip) -> dict[str, torch.Tensor]:
        made = {kind: encoded(changed(clip, name)) for kind, name in TEXT_WEIGHTS.items()}
        return {"none": encoded(clip), **made, "none again": encoded(clip)}

    wanted = results(text_encoder(setup))
    for room in (2**40, 2**17):
        with DynamicCard(room):
            clip = text_encoder(setup)
            assert clip.patcher.is_dynamic()
            made = results(clip)
            assert any(one.refused for one in Room.made) == (room < 2**40)
        for kind, result in made.items():
            found[f"{kind} {room}"] = close(result, wanted[kind], NEAR, f"{kind}, room {room}")
            if not kind.startswith("none"):
                assert apart(result, made["none"]) > 1e-3, f"{kind}: the patch does nothing"
    return found


@where_it_is
def check_clones_encode_with_the_model_they_load(setup):
    """A plain instance of a clone of a plain instance, with a LoRA that only it has."""
    name = TEXT_WEIGHTS["ordinary"]
    wanted = encoded(changed(text_encoder(setup), name))
    with DynamicCard():
        clip = text_encoder(setup)
        plain_words = encoded(clip)
        for one in (clip.clone(disable_dynamic=True), clip.clone().clone(disable_dynamic=True)):
            assert type(one.patcher) is comfy.model_patcher.ModelPatcher
            assert one.cond_stage_model is one.patcher.model
            assert one.cond_stage_model is not clip.cond_stage_model
            found = close(encoded(changed(one, name)), wanted, EXACT, "the LoRA of a clone")
        close(encoded(clip), plain_words, 0.0, "the first one, afterwards")
    return found


@where_it_is
def check_hooks_of_the_text_encoder_act(setup):
    import comfy_extras.nodes_hooks

    name = TEXT_WEIGHTS["ordinary"]

    def hooked(clip) -> torch.Tensor:
        (change,) = change_of(clip.patcher, name)[name][1]
        file = {f"text_encoders.{name.removesuffix('.weight')}.diff": change}
        hooks = comfy.hooks.create_hook_lora(file, 0.0, 0.2)
        node = comfy_extras.nodes_hooks.SetClipHooks()
        return encoded(node.apply_hooks(clip, False, True, hooks)[0])

    clip = text_encoder(setup)
    wanted, plain = encoded(changed(clip, name)), encoded(clip)
    assert apart(wanted, plain) > 1e-3
    found = [close(hooked(clip), wanted, EXACT, "hooked")]
    with DynamicCard():
        found.append(close(hooked(text_encoder(setup)), wanted, EXACT, "hooked, dynamic"))
    return found


@where_it_is
def check_text_encoder_moves_to_the_cpu_when_told(setup):
    """By our loader, and by the host's node for it."""
    import comfy_extras.nodes_multigpu

    wanted = encoded(text_encoder(setup))
    with DynamicCard():
        kept = text_encoder(setup, "cpu")
        node = comfy_extras.nodes_multigpu.SelectCLIPDeviceNode
        (moved,) = node.execute(text_encoder(setup), "cpu").args
        for clip in (kept, moved):
            assert clip.patcher.load_device == torch.device("cpu")
            assert not clip.patcher.is_dynamic()
            assert clip.cond_stage_model is clip.patcher.model
            close(encoded(clip), wanted, EXACT, "on the CPU")


@where_it_is
def check_vision_encoder_is_the_same(setup):
    found = {}

    def results(vision) -> dict[str, torch.Tensor]:
        made, first = {"none": seen(vision)}, vision.patcher
        for kind, name in VISION_WEIGHTS.items():
            vision.patcher = first.clone()
            assert vision.patcher.add_patches(change_of(first, name), 0.2)
            made[kind] = seen(vision)
        vision.patcher = first
        return made

    wanted = results(vision_encoder(setup))
    with DynamicCard():
        vision = vision_encoder(setup)
        assert vision.patcher.is_dynamic()
        made = results(vision)
        vision.patcher = vision.patcher.clone(disable_dynamic=True)
        vision.model = vision.patcher.model
        assert not vision.patcher.is_dynamic()
        close(seen(vision), wanted["none"], EXACT, "the plain instance")
    for kind, result in made.items():
        found[kind] = close(result, wanted[kind], NEAR, kind)
        assert kind == "none" or apart(result, made["none"]) > 1e-3, f"{kind}: nothing changed"
    return found


@where_it_is
def check_layers_agree_with_the_stored_answers(setup):
    """The host builds layers without weights then, and maps files in its own way."""
    check = setup.module("nodes.encoders.self_check")
    with DynamicCard():
        check.findings.cache_clear()
        found = check.findings()
    assert not found.failure, found.failure
    assert found.worst[1] < check.WARNED, found.worst
    return found.worst
