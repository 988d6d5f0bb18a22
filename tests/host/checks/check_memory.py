"""Weights that do not fit, low precision, and what happens when numbers overflow."""

from __future__ import annotations

import gc
import weakref

import comfy.samplers
import torch
from comfy_extras import nodes_custom_sampler
from small import STEPS, Small, apart, close, refused

BUDGETS = (0.1, 0.4, 0.7)


def partly_loaded(small, patcher, share: float) -> torch.Tensor:
    """The guided result with this share of the weights on the device, and the others cast at use
    as from main memory."""
    patcher.patch_model(torch.device("cpu"), lowvram_model_memory=int(patcher.model_size() * share))
    assert patcher.model.model_lowvram, f"the host loaded everything at {share}"
    loaded = patcher.model.model_loaded_weight_memory / patcher.model_size()
    assert loaded < share + 0.05, (loaded, share)
    try:
        return small.by_guider(3.0, 1.5, patcher=patcher)
    finally:
        patcher.unpatch_model(torch.device("cpu"))


def check_part_of_the_weights_gives_every_bit(setup):
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        small = Small(setup, dtype=dtype)
        whole = small.by_guider(3.0, 1.5)
        small.patcher.unpatch_model(torch.device("cpu"))
        for share in BUDGETS:
            part = partly_loaded(small, small.patcher, share)
            assert torch.equal(part, whole), f"{dtype} {share}: {apart(part, whole)}"
            found[f"{dtype} {share}"] = "equal"
    return found


def check_part_of_the_weights_with_a_lora_gives_every_bit(setup):
    """Patches on weights that stay in main memory are computed when the weight is used."""
    small = Small(setup)
    names = [name for name, p in small.twin.named_parameters() if p.dim() == 2]
    names += [name for name in small.weights if name.endswith("gate")]
    generator = torch.Generator().manual_seed(2)
    patches = {
        f"diffusion_model.{name}": (
            "diff", (torch.randn(small.weights[name].shape, generator=generator) * 0.05,)
        )
        for name in names
    }  # fmt: skip
    patcher = small.patcher.clone()
    assert set(patcher.add_patches(patches, 0.8)) == set(patches)
    whole = small.by_guider(3.0, 1.5, patcher=patcher)
    assert apart(whole, small.by_guider(3.0, 1.5)) > 1e-2
    small.patcher.unpatch_model(torch.device("cpu"))
    for share in BUDGETS:
        part = partly_loaded(small, patcher, share)
        assert torch.equal(part, whole), f"{share}: {apart(part, whole)}"
    plain = Small(setup).by_guider(3.0, 1.5)
    return close(small.by_guider(3.0, 1.5), plain, 0.0, "the model without patches, afterwards")


def check_low_precision_computes_near_full(setup):
    """Computed in, not only stored in: every layer must give back the type it is given."""
    exact, found = Small(setup).by_guider(3.0, 1.5), {}
    for dtype, limit in ((torch.bfloat16, 0.1), (torch.float16, 0.02)):
        small = Small(setup)
        patched = small.patcher.clone()
        patched.set_model_compute_dtype(dtype)
        outputs: list[torch.dtype] = []
        hooks = [
            layer.register_forward_hook(lambda m, i, out, all=outputs: all.append(out.dtype))
            for layer in small.patcher.model.diffusion_model.modules()
            if isinstance(layer, torch.nn.Linear | torch.nn.LayerNorm)
        ]
        found[str(dtype)] = apart(small.by_guider(3.0, 1.5, patcher=patched), exact)
        for hook in hooks:
            hook.remove()
        assert set(outputs) == {dtype}, f"computed in {set(outputs)}"
        assert 0 < found[str(dtype)] < limit, found
    return found


def overflowing(setup) -> Small:
    small = Small(setup)
    weight = small.patcher.model.diffusion_model.final_layer.linear.weight
    weight.data = torch.full_like(weight, float("inf"))
    return small


def check_overflow_is_an_error_and_no_black_picture(setup):
    """In the Sample node, in our guider under the host's own sampler node, and in KSampler."""
    small, error = overflowing(setup), setup.module("pixwizard_core.errors").SamplingError
    words = ("not finite", "weights float32", "weight_dtype", "guidance")
    branches, latent = small.branches(), {"samples": small.empty_latent}
    node = setup.module("nodes.sample").Sample
    refused(
        error, words, node.execute, small.patcher, *branches, 4.0, 1.0, latent, 0, STEPS, 1.0,
        "all", "euler",
    )  # fmt: skip
    guider = small.sample.make_guider(small.patcher, *branches, small.guider.Guidance(4.0, 1.0))
    advanced = nodes_custom_sampler.SamplerCustomAdvanced
    run = getattr(advanced, "execute", None) or advanced().sample
    noise = nodes_custom_sampler.Noise_RandomNoise(1)
    sampler, levels = comfy.samplers.sampler_object("euler"), small.sample.sigmas(STEPS, 1.0)
    refused(error, words, run, noise, guider, sampler, levels, latent)
    return refused(error, words, small.by_ksampler, *branches[:2], 4.0)


def check_prepared_conditions_are_freed_after_an_error(setup):
    small, caches = overflowing(setup), []
    made = setup.module("nodes.prepared").PreparedCache
    error = setup.module("pixwizard_core.errors").SamplingError
    inner = made.__init__

    def remember(self):
        inner(self)
        caches.append(weakref.ref(self))

    made.__init__ = remember
    try:
        refused(error, ("not finite",), small.by_guider, 3.0, 1.5)
    finally:
        made.__init__ = inner
    gc.collect()
    assert len(caches) == 1
    assert caches[0]() is None
