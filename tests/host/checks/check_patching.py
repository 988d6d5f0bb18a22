"""What the host does to a MODEL: low precision, partial loading, LoRA, hooks, saving."""

from __future__ import annotations

import comfy.ldm.modules.attention as attention
import comfy.sd
import comfy_extras.nodes_model_merging
import comfy_extras.nodes_slg
import torch
from small import STEPS, Small, apart, close

EXACT = 1e-5
HOOKED = "layers.1.attention.wq.weight"


def check_low_precision_storage_stays_near(setup):
    exact, found = Small(setup).by_guider(3.0, 1.5), {}
    for dtype, limit in ((torch.bfloat16, 0.1), (torch.float8_e4m3fn, 0.5)):
        small = Small(setup, dtype=dtype)
        stored = small.patcher.model.diffusion_model.layers[0].attention.wq.weight.dtype
        assert stored == dtype, stored
        found[str(dtype)] = apart(small.by_guider(3.0, 1.5), exact)
        assert found[str(dtype)] < limit, found
    return found


def check_partial_loading_changes_nothing(setup):
    small = Small(setup)
    whole = small.by_guider(3.0, 1.5)
    budget = int(small.patcher.model_size() * 0.4)
    small.patcher.patch_model(torch.device("cpu"), lowvram_model_memory=budget)
    network = small.patcher.model.diffusion_model
    assert small.patcher.model.model_lowvram, "the host loaded everything; nothing was tested"
    plain = [
        name
        for name, module in network.named_modules()
        if not hasattr(module, "comfy_cast_weights")
        and any(True for _ in module.parameters(recurse=False))
        and not any(True for _ in module.children())
    ]
    assert not plain, f"layers that the host cannot stream: {plain}"
    partial = small.by_guider(3.0, 1.5)
    small.patcher.unpatch_model()
    return close(partial, whole, EXACT, "partly and fully loaded")


def lora_for(weight: torch.Tensor) -> tuple[dict, torch.Tensor]:
    """A rank-2 LoRA for HOOKED and the change it makes at strength 1."""
    generator = torch.Generator().manual_seed(5)
    up = torch.randn(weight.shape[0], 2, generator=generator)
    down = torch.randn(2, weight.shape[1], generator=generator)
    name = f"diffusion_model.{HOOKED.removesuffix('.weight')}"
    return {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, up @ down


def check_lora_acts_as_its_weights(setup):
    small = Small(setup)
    plain = small.by_guider(3.0, 1.5)
    lora, change = lora_for(small.weights[HOOKED])
    patched, _ = comfy.sd.load_lora_for_models(small.patcher, None, lora, 0.5, 0)
    with_lora = small.by_guider(3.0, 1.5, patcher=patched)
    assert apart(with_lora, plain) > 1e-3, "the LoRA was not applied"
    merged = Small(setup)
    merged.patcher.model.diffusion_model.get_parameter(HOOKED).data += 0.5 * change
    close(with_lora, merged.by_guider(3.0, 1.5), EXACT, "LoRA and merged weights")
    return close(small.by_guider(3.0, 1.5), plain, 0.0, "the unpatched model after the LoRA")


def check_attention_override_sees_every_call(setup):
    small, calls = Small(setup), []
    plain = small.by_guider(1.0, 1.0)
    patched = small.patcher.clone()

    def override(function, *arguments, **named):
        calls.append(function.__name__)
        return function(*arguments, **named)

    patched.model_options["transformer_options"]["optimized_attention_override"] = override
    close(small.by_guider(1.0, 1.0, patcher=patched), plain, 0.0, "overridden by itself")
    per_forward = len(small.twin.layers) * 3  # self, text and image attention
    assert len(calls) == STEPS * per_forward, len(calls)


def check_attention_backends_agree(setup):
    small, found = Small(setup), {}
    native = small.transformer
    chosen = native.optimized_attention
    results = {}
    try:
        for name in ("basic", "split", "sub_quad", "pytorch"):
            native.optimized_attention = getattr(attention, f"attention_{name}")
            results[name] = small.by_guider(3.0, 1.5)
    finally:
        native.optimized_attention = chosen
    for name, result in results.items():
        found[name] = close(result, results["pytorch"], EXACT, f"attention {name}")
    return found


def check_block_patches_run_once_for_each_block(setup):
    small, seen = Small(setup), []
    plain = small.by_guider(1.0, 1.0)
    patched = small.patcher.clone()

    def look(arguments):
        seen.append((arguments["block_index"], tuple(arguments["img"].shape)))
        return {}

    patched.set_model_patch(look, "double_block")
    close(small.by_guider(1.0, 1.0, patcher=patched), plain, 0.0, "patched by a look")
    assert [index for index, _ in seen[:3]] == [0, 1, 2], seen[:3]
    assert seen[0][1] == (2, 24, 64), seen[0]


def check_a_block_can_be_skipped(setup):
    small = Small(setup)
    plain = small.by_guider(1.0, 1.0)

    def original(arguments, extra):
        return extra["original_block"](arguments)

    def skip(arguments, extra):
        return arguments

    def replaced(function):
        patched = small.patcher.clone()
        patched.set_model_patch_replace(function, "dit", "double_block", 1)
        return small.by_guider(1.0, 1.0, patcher=patched)

    close(replaced(original), plain, 0.0, "replaced by the original")
    shorter = Small(setup)
    block = shorter.patcher.model.diffusion_model.layers[1]
    block.forward = lambda x, *rest: x
    wanted = shorter.by_guider(1.0, 1.0)
    assert apart(wanted, plain) > 1e-3
    return close(replaced(skip), wanted, EXACT, "skipped")


def check_skip_layer_guidance_node_works(setup):
    small = Small(setup)
    (patched,) = comfy_extras.nodes_slg.SkipLayerGuidanceDiT.execute(
        small.patcher,
        scale=2.0,
        start_percent=0.0,
        end_percent=1.0,
        double_layers="1",
        single_layers="",
    ).args
    full, image_only, _ = small.branches()
    changed = small.by_ksampler(full, image_only, 4.0, patched)
    assert apart(changed, small.by_ksampler(full, image_only, 4.0)) > 1e-3
    close(
        small.by_guider(4.0, 1.0, patcher=patched),
        changed,
        EXACT,
        "skip layer guidance in our guider",
    )


def check_saved_model_loads_again(setup):
    small, folder = Small(setup), setup.folder()
    lora, _ = lora_for(small.weights[HOOKED])
    patched, _ = comfy.sd.load_lora_for_models(small.patcher, None, lora, 0.5, 0)
    wanted = small.by_guider(3.0, 1.5, patcher=patched)
    comfy_extras.nodes_model_merging.save_checkpoint(
        patched, filename_prefix="saved", output_dir=str(folder)
    )
    (path,) = folder.glob("*.safetensors")
    loaded = setup.module("nodes.loaders.load").load_transformer(path, torch.float32)
    loaded.model.diffusion_model.options = small.options
    assert loaded.model.diffusion_model.config == small.config
    return close(
        small.by_guider(3.0, 1.5, patcher=loaded), wanted, EXACT, "saved with its LoRA and loaded"
    )


def check_odd_latents_are_padded_and_cut(setup):
    small = Small(setup)
    small.picture = small.picture[..., :7, :11]
    small.empty_latent = small.empty_latent[..., :7, :11]
    small.noise = small.noise[..., :7, :11].contiguous()
    out = small.by_guider(3.0, 1.5)
    assert out.shape == small.noise.shape
    assert bool(out.isfinite().all())
