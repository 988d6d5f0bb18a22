"""Stock samplers, our guider and the core's own loop compute the same thing."""

from __future__ import annotations

import gc
import math
import weakref

import comfy.model_management
import comfy.samplers
import torch
from comfy_extras import nodes_custom_sampler, nodes_model_advanced
from small import LATENT, SCALE, SEED, STEPS, Small, Spy, apart, close, refused

EXACT = 1e-5


def check_stock_ksampler_is_the_reference_recipe(setup):
    small = Small(setup)
    full, image_only, _ = small.branches()
    stock = small.by_ksampler(full, image_only, 4.0)
    ours = small.by_guider(4.0, 1.0)
    return [
        close(stock, ours, EXACT, "KSampler and our guider"),
        close(ours, small.by_core(w_text=4.0, w_image=1.0), EXACT, "our guider and the core"),
    ]


def check_stock_dual_guider_agrees_when_all_channels_are_guided(setup):
    small = Small(setup)
    plain = small.patcher.clone()
    plain.model_options.pop("sampler_cfg_function")
    guider = nodes_custom_sampler.Guider_DualCFG(plain)
    guider.set_conds(*small.branches())
    guider.set_cfg(3.0, 1.5, nested=False)
    return close(
        small.run(guider), small.by_guider(3.0, 1.5, True), EXACT, "DualCFGGuider and ours"
    )


def check_guider_matches_core_for_every_set_of_branches(setup):
    small, found = Small(setup), {}
    for text, image, everything in (
        (4.0, 1.0, False),
        (3.0, 1.5, False),
        (3.0, 1.5, True),
        (2.0, 2.0, False),
        (1.0, 1.0, False),
        (0.0, 1.5, True),
        (0.0, 1.0, False),
    ):
        ours = small.by_guider(text, image, everything)
        core = small.by_core(w_text=text, w_image=image, all_channels=everything)
        found[f"{text} {image} {everything}"] = close(
            ours, core, EXACT, f"{text}, {image}, {everything}"
        )
    return found


def check_pictures_beyond_the_trained_size_scale_positions(setup):
    small = Small(setup, centre=64)  # 16 tokens trained, 24 in the picture
    scaling = setup.module("pixwizard_core.model").RopeScaling(math.sqrt(24 / 16), 0.3)
    plain = small.by_core(w_text=4.0)
    assert apart(plain, small.by_core(w_text=4.0, rope=scaling)) > 1e-4
    return close(
        small.by_guider(4.0, 1.0), small.by_core(w_text=4.0, rope=scaling), EXACT, "scaled"
    )


def check_attention_base_is_the_nearest_trained_size_above(setup):
    small = Small(setup)
    options = small.transformer.RunOptions((512, 768, 1024))
    found = [options.for_tokens(count)[1] for count in (900, 1024, 1025, 4096, 5000)]
    assert found == [1024, 1024, 2304, 4096, 4096], found
    factors = [options.for_tokens(count)[0].factor for count in (900, 4096, 4 * 4096)]
    assert factors == [1.0, 1.0, 2.0], factors


def check_branches_that_cancel_do_not_run(setup):
    small = Small(setup)
    for scales, branches in {(4.0, 1.0): 2, (3.0, 1.5): 3, (2.0, 2.0): 2, (1.0, 1.0): 1}.items():
        with Spy(small.patcher) as spy:
            small.by_guider(*scales)
        wanted = [branches * small.batch] * STEPS
        assert spy.calls == wanted, (
            f"scales {scales}: rows of the forwards {spy.calls}, wanted {wanted}"
        )


def check_guidance_interval_runs_one_branch_outside(setup):
    small = Small(setup)
    with Spy(small.patcher) as spy:
        ours = small.by_guider(4.0, 1.0, start=0.2, end=0.6)
    rows = [calls // small.batch for calls in spy.calls]
    assert rows == [1, 2, 2, 1], f"branches of the four steps: {rows}"
    return close(ours, small.by_core(w_text=4.0, interval=(0.2, 0.6)), EXACT, "interval")


def check_guidance_interval_includes_its_ends(setup):
    small = Small(setup)
    with Spy(small.patcher) as spy:
        small.by_guider(4.0, 1.0, start=0.25, end=0.5)
    rows = [calls // small.batch for calls in spy.calls]
    assert rows == [1, 2, 2, 1], f"branches of the four steps: {rows}"


def check_an_interrupted_run_leaves_nothing_behind(setup):
    small, caches = Small(setup), []
    cache_of = small.patcher.model._cache_of

    def remember(noise):
        caches.append(weakref.ref(cache_of(noise)))
        return cache_of(noise)

    def stop(step, *_):
        raise comfy.model_management.InterruptProcessingException

    small.patcher.model._cache_of = remember
    guider = small.sample.make_guider(small.patcher, *small.branches(), small.guider.Guidance())
    sampler, levels = comfy.samplers.sampler_object("euler"), small.sample.sigmas(STEPS, 1.0)
    try:
        guider.sample(small.noise, small.empty_latent, sampler, levels, callback=stop, seed=SEED)
    except comfy.model_management.InterruptProcessingException:
        caches.append(None)
    del small.patcher.model._cache_of
    gc.collect()
    assert caches[-1] is None, "the run was not interrupted"
    assert all(cache() is None for cache in caches[:-1]), "prepared conditions outlive the run"


def check_time_falls_from_one_in_even_steps(setup):
    small = Small(setup)
    with Spy(small.patcher) as spy:
        small.by_guider(1.0, 1.0)
    assert all(abs(a - b) < 1e-6 for a, b in zip(spy.times, (1.0, 0.75, 0.5, 0.25), strict=True)), (
        spy.times
    )


def check_stock_shift_nodes_keep_time_in_range(setup):
    small, results = Small(setup), []
    full, image_only, _ = small.branches()
    shifted = small.sample.sigmas(STEPS, 3.0)[:-1]
    for patch in (
        nodes_model_advanced.ModelSamplingSD3().patch,  # multiplies time by 1000
        nodes_model_advanced.ModelSamplingAuraFlow().patch_aura,
    ):
        (patched,) = patch(small.patcher, 3.0)
        with Spy(patched) as spy:
            results.append(small.by_ksampler(full, image_only, 4.0, patched))
        assert torch.allclose(torch.tensor(spy.times), shifted, atol=1e-5), (spy.times, shifted)
    return close(results[0], results[1], EXACT, "the two shift nodes")


def check_a_picture_does_not_depend_on_its_batch(setup):
    pair, single = Small(setup), Small(setup)
    single.batch = 1
    for name in ("picture", "tokens", "empty_latent", "noise"):
        setattr(single, name, getattr(pair, name)[:1])
    return close(
        single.by_guider(3.0, 1.5), pair.by_guider(3.0, 1.5)[:1], EXACT, "alone and in a batch"
    )


def check_prompts_of_different_length_share_a_forward(setup):
    small = Small(setup)
    assert small.texts["words"][0].shape[1] != small.texts["empty"][0].shape[1]
    with Spy(small.patcher) as spy:
        small.by_guider(3.0, 1.5)
    assert len(spy.calls) == STEPS, f"{len(spy.calls)} forwards for {STEPS} steps"


def check_conditions_are_prepared_once_and_forgotten(setup):
    small, calls, caches = Small(setup), [], []
    network = small.patcher.model.diffusion_model
    cache_class = setup.module("nodes.model.prepared_cache").PreparedCache
    inner, made = network.prepare, cache_class.__init__

    def remember(self):
        made(self)
        caches.append(weakref.ref(self))

    network.prepare = lambda *a, **k: calls.append(1) or inner(*a, **k)
    cache_class.__init__ = remember
    try:
        cached = small.by_guider(3.0, 1.5)
    finally:
        cache_class.__init__ = made
    assert len(calls) == 1, f"prepared {len(calls)} times in {STEPS} steps"
    gc.collect()
    assert len(caches) == 1, f"{len(caches)} caches in one run"
    assert caches[0]() is None, "the cache outlives its run"
    small.by_guider(3.0, 1.5)
    assert len(calls) == 2, "a second run must prepare again: weights may have changed"
    small.patcher.model._cache_of = lambda noise: None
    with_none = small.by_guider(3.0, 1.5)
    del network.prepare, small.patcher.model._cache_of
    assert torch.equal(cached, with_none), f"apart by {apart(cached, with_none)}"
    assert len(calls) == 2 + STEPS


def check_null_image_latent_is_the_initial_noise(setup):
    small = Small(setup)
    seen = {}
    inner = small.patcher.model.diffusion_model._forward

    def spy(x, *arguments, image_latent, has_image, **named):
        for row, latent in zip(has_image.tolist(), image_latent, strict=True):
            seen.setdefault(row, latent.clone())
        return inner(x, *arguments, image_latent=image_latent, has_image=has_image, **named)

    small.patcher.model.diffusion_model._forward = spy
    small.by_guider(3.0, 1.5)
    del small.patcher.model.diffusion_model._forward
    assert torch.equal(seen[0], small.noise[0]), (
        "without an image the latent must be the run's noise"
    )
    close(seen[1], small.picture[0] * SCALE, EXACT, "image latent in model space")
    drawn = small.native.noise_from_seed(torch.zeros_like(small.noise), small.empty_latent, SEED)
    assert torch.equal(drawn, small.noise), "a sampler that adds no noise must not lose it"


def check_noise_mask_keeps_what_it_protects(setup):
    small = Small(setup)
    start = torch.randn(small.noise.shape, generator=torch.Generator().manual_seed(9))
    mask = torch.zeros(1, 1, *LATENT)
    mask[..., :6] = 1
    latent = {"samples": start, "noise_mask": mask, "kept": "yes"}
    guidance = small.guider.Guidance(3.0, 1.5)
    guider = small.sample.make_guider(small.patcher, *small.branches(), guidance)
    out = small.sample.run_sampler(guider, latent, small.sample.sigmas(STEPS, 1.0), "euler", SEED)
    assert out["kept"] == "yes"
    close(out["samples"][..., 6:], start[..., 6:], EXACT, "protected half")
    assert apart(out["samples"][..., :6], start[..., :6]) > 0.1


def check_text_of_another_model_is_refused(setup):
    small = Small(setup)
    small.texts["words"] = (torch.zeros(1, 7, 768), torch.zeros(1, 768))
    error = setup.module("pixwizard_core.errors").EncoderError
    return refused(error, ("text width 32", "768"), small.by_guider, 4.0, 1.0)


def check_image_tokens_of_another_model_are_refused(setup):
    small = Small(setup)
    small.tokens = torch.zeros(2, 576, 1024)
    error = setup.module("pixwizard_core.errors").EncoderError
    return refused(error, ("width 16", "1024"), small.by_guider, 4.0, 1.0)


def check_sampled_regions_run(setup):
    """A prompt for one half of the picture (ConditioningSetArea): latents are cut to the region."""
    small = Small(setup)
    full, image_only, _ = small.branches()
    left = [[full[0][0], {**full[0][1], "area": (8, 6, 0, 0), "strength": 1.0}]]
    out = small.by_ksampler([*full, *left], image_only, 4.0)
    assert out.shape == small.noise.shape
    assert bool(out.isfinite().all())
