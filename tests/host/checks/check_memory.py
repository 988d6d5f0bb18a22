"""Weights that do not fit, low precision, and what happens when numbers overflow."""

from __future__ import annotations

import gc
import weakref

import comfy.model_management as management
import comfy.samplers
import torch
from card import Card
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
    load = management.load_models_gpu
    management.load_models_gpu = lambda *_, **__: None  # it would load the rest
    try:
        made = small.by_guider(3.0, 1.5, patcher=patcher)
        assert patcher.model.model_lowvram, f"the host loaded the rest at {share}"
        return made
    finally:
        management.load_models_gpu = load
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


def check_lora_stays_when_a_compute_type_is_set(setup):
    """Loaded whole, unloaded, and then in part: the host leaves marks of the first that would make
    it skip the patches of the last."""
    small = Small(setup)
    name = "layers.1.feed_forward.w2.weight"
    change = torch.randn(small.weights[name].shape, generator=torch.Generator().manual_seed(2))
    patcher = small.patcher.clone()
    assert patcher.add_patches({f"diffusion_model.{name}": ("diff", (change,))}, 0.5)
    patcher.set_model_compute_dtype(torch.float32)
    plain = small.by_guider(3.0, 1.5)
    small.patcher.unpatch_model(torch.device("cpu"))
    for share in BUDGETS:
        whole = small.by_guider(3.0, 1.5, patcher=patcher)
        assert apart(whole, plain) > 1e-2, apart(whole, plain)
        patcher.unpatch_model(torch.device("cpu"))
        part = partly_loaded(small, patcher, share)
        assert torch.equal(part, whole), f"{share}: {apart(part, whole)}"


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
    """A model whose weights are numbers, and whose result is not."""
    small = Small(setup)
    weight = small.patcher.model.diffusion_model.final_layer.linear.weight
    weight.data = torch.full_like(weight, 1e38)
    return small


def check_overflow_is_an_error_and_no_black_picture(setup):
    """In the Sample node, in our guider under the host's own sampler node, and in KSampler."""
    small, error = overflowing(setup), setup.module("pixwizard_core.errors").SamplingError
    words = ("not finite", "weights float32", "weight_dtype", "guidance")
    branches, latent = small.branches(), {"samples": small.empty_latent}
    node = setup.module("nodes.sampling.sample").Sample
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
    made = setup.module("nodes.model.prepared_cache").PreparedCache
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


def painted(setup, room: int) -> tuple[torch.Tensor, Card, dict[str, int]]:
    """A depth picture by the bundled model on a card; what the card saw, and the models' sizes."""
    with Card(room) as card:
        model, clip, vision, vae = setup.module("nodes.loaders.load").LoadTiny.execute().args[:4]
        parts = {"text": clip, "image": vision, "autoencoder": vae}
        card.watch(clip.cond_stage_model.gemma["transformer"], "text")
        card.watch(next(vision.model.children()), "image")
        for half in vae.first_stage_model.children():
            card.watch(half, "autoencoder")
        card.watch(model.model.diffusion_model.x_embedder, "model")
        picture = by_all_models(setup, model, clip, vision, vae)
        sizes = {name: part.patcher.model_size() for name, part in parts.items()}
        sizes["model"] = model.model_size()
        return picture, card, sizes


def by_all_models(setup, model, clip, vision, vae) -> torch.Tensor:
    """A small depth picture."""
    picture = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(0))
    encode = setup.module("nodes.conditions.encode").Encode
    sample = setup.module("nodes.sampling.sample").Sample
    *branches, latent = encode.execute(clip, vision, vae, picture, "Estimate depth.").args
    (samples,) = sample.execute(
        model, *branches, 4.0, 1.5, latent, 0, 2, 1.0, "first 3", "euler"
    ).args
    return vae.decode(samples["samples"])


def check_models_go_without_the_collector(setup):
    """What nobody holds any more is freed at once. Models that wait for garbage to be collected
    would share the memory with those that are loaded next."""
    gc.collect()
    gc.disable()
    try:
        models = setup.module("nodes.loaders.load").LoadTiny.execute().args[:4]
        by_all_models(setup, *models)
        changed = models[0].clone()
        name = "diffusion_model.layers.0.attention.wq.weight"
        weight = models[0].model.state_dict()[name]
        assert changed.add_patches({name: ("diff", (torch.ones_like(weight),))}, 0.5)
        by_all_models(setup, changed, *models[1:])
        parts = (models[0].model, models[1].cond_stage_model, models[2].model)
        held = [weakref.ref(part) for part in (*parts, models[3].first_stage_model)]
        management.unload_all_models()
        assert all(ref() is not None for ref in held)
        del models, changed, weight, parts
        left = [type(ref()).__name__ for ref in held if ref() is not None]
        assert not left, f"still there: {left}"
        return len(held)
    finally:
        gc.enable()


def check_models_have_the_device_in_turn(setup):
    """On a card with room for the largest model and what it computes with, each model is there when
    its turn comes, never more than fits, and the picture is the one of a large card."""
    wanted, roomy, sizes = painted(setup, 2**40)
    assert roomy.most == sum(sizes.values()), (roomy.most, sizes)
    made, card, _ = painted(setup, int(1.25 * max(sizes.values())))
    assert card.most == max(sizes.values()), (card.most, sizes)
    assert list(dict.fromkeys(card.seen)) == ["autoencoder", "image", "text", "model"], card.seen
    assert card.seen[-1] == "autoencoder", card.seen
    # The host then runs branches one after another, and a product over fewer rows rounds otherwise.
    return sizes, roomy.most, card.most, card.seen, close(made, wanted, 1e-4, "on a small card")


def check_loaders_let_a_weight_go_before_they_read_the_next(setup):
    """Otherwise the file would be in memory beside its copy."""
    load = setup.module("nodes.loaders.load")
    bundle = setup.module("pixwizard_core.encoders.tiny")
    inner, read = load.weights_of, []

    def watched(*arguments):
        weights = inner(*arguments)
        fetch = weights.fetch

        def fetched(name: str) -> torch.Tensor:
            assert not [one for one in read if one() is not None], f"before {name}"
            tensor = fetch(name)
            read.append(weakref.ref(tensor))
            return tensor

        weights.fetch = fetched
        return weights

    load.weights_of = watched
    try:
        folder = bundle.BUNDLE
        texts = folder / bundle.TEXT_FILE, folder / bundle.CLIP_FILE
        load.load_transformer(folder / load.MODEL_FILE, torch.float32, disable_dynamic=True)
        load.load_clip(*texts, disable_dynamic=True)
        load.load_clip_vision(folder / bundle.CLIP_FILE, disable_dynamic=True)
    finally:
        load.weights_of = inner
    assert len(read) > 200, len(read)
    return len(read)
