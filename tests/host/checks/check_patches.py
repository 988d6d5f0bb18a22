"""Patches that the host's own nodes put on a MODEL: behind a KSampler, our Sample node and our
guider they do the same, and those that have no place in this network are named."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import contextmanager

import comfy.sample
import comfy.samplers

# nodes_latent of the newer hosts cannot be imported before it.
import comfy_extras.nodes_post_processing  # noqa: F401
import comfyui_version
import torch
from small import SEED, STEPS, Small, Spy, apart, close, logged, refused

EXACT = 1e-5  # relative
CFG = 4.0
VERSION = tuple(map(int, comfyui_version.__version__.split(".")[:2]))
NEWEST = (0, 33)  # has every node below; an older host may lack those of LATER
LATER = {"CFGOverride", "NAGuidance", "ScaleROPE", "TemporalScoreRescaling"}
WHOLE = {"start_percent": 0.0, "end_percent": 1.0}
CACHE = {"reuse_threshold": 3.0, "start_percent": 0.1, "end_percent": 0.95, "verbose": False}

# name: (module of comfy_extras, settings)
ACTING = {
    "RescaleCFG": ("model_advanced", {"multiplier": 0.7}),
    "RenormCFG": ("lumina2", {"cfg_trunc": 100.0, "renorm_cfg": 0.9}),
    "PerpNeg": ("perpneg", {"empty_conditioning": "none", "neg_scale": 0.6}),
    "VideoLinearCFGGuidance": ("video_model", {"min_cfg": 1.5}),
    "VideoTriangleCFGGuidance": ("video_model", {"min_cfg": 1.5}),
    "APG": ("apg", {"eta": 0.5, "norm_threshold": 2.0, "momentum": -0.5}),
    "TCFG": ("tcfg", {}),
    "FreSca": ("fresca", {"scale_low": 1.1, "scale_high": 1.4, "freq_cutoff": 2}),
    "LatentApplyOperationCFG": ("latent", {"operation": lambda latent: latent * 0.8}),
    "CFGZeroStar": ("cfg", {}),
    "CFGNorm": ("cfg", {"strength": 0.9}),
    "Mahiro": ("mahiro", {}),
    "EpsilonScaling": ("eps", {"scaling_factor": 1.05}),
    "TemporalScoreRescaling": ("eps", {"tsr_k": 0.9, "tsr_sigma": 1.0}),
    "SkipLayerGuidanceDiT": (
        "slg", {"scale": 2.0, **WHOLE, "double_layers": "1", "single_layers": ""},
    ),
    "SkipLayerGuidanceDiTSimple": (
        "slg", {**WHOLE, "double_layers": "1", "single_layers": ""},
    ),
    "CFGOverride": ("custom_sampler", {"cfg": 2.5, "start_percent": 0.3, "end_percent": 1.0}),
    "EasyCacheNode": ("easycache", CACHE),
    "LazyCacheNode": ("easycache", CACHE),
    "ModelSamplingSD3": ("model_advanced", {"shift": 3.0}),
    "ModelSamplingAuraFlow": ("model_advanced", {"shift": 3.0}),
    "ModelSamplingFlux": (
        "model_advanced", {"max_shift": 1.15, "base_shift": 0.5, "width": 1024, "height": 1024},
    ),
}  # fmt: skip
IDLE = {
    "FreeU": ("freelunch", {"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2}),
    "FreeU_V2": ("freelunch", {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}),
    "SelfAttentionGuidance": ("sag", {"scale": 0.5, "blur_sigma": 2.0}),
    "PerturbedAttentionGuidance": ("pag", {"scale": 3.0}),
    "HyperTile": (
        "hypertile", {"tile_size": 256, "swap_size": 2, "max_depth": 0, "scale_depth": False},
    ),
    "TomePatchModel": ("tomesd", {"ratio": 0.3}),
    "NAGuidance": ("nag", {"nag_scale": 5.0, "nag_alpha": 0.5, "nag_tau": 1.5}),
    "PatchModelAddDownscale": (
        "model_downscale",
        {"block_number": 3, "downscale_factor": 2.0, "start_percent": 0.0, "end_percent": 0.35,
         "downscale_after_skip": True, "downscale_method": "bicubic", "upscale_method": "bicubic"},
    ),
    "ScaleROPE": (
        "rope",
        {"scale_x": 2.0, "shift_x": 0.0, "scale_y": 2.0, "shift_y": 0.0, "scale_t": 1.0,
         "shift_t": 0.0},
    ),
    "SkipLayerGuidanceDiT": (
        "slg", {"scale": 2.0, **WHOLE, "double_layers": "7, 8", "single_layers": "7"},
    ),
}  # fmt: skip


def with_patch(small, name: str, table=ACTING):
    """The MODEL behind a node of the host, or None where the host lacks it."""
    module, settings = table[name]
    module = f"comfy_extras.nodes_{module}"
    if importlib.util.find_spec(module) is None:
        return None
    node = getattr(importlib.import_module(module), name, None)
    if node is None:
        return None
    settings = dict(settings)
    if "empty_conditioning" in settings:
        settings["empty_conditioning"] = small.branches()[2]
    function = getattr(node, "execute", None) or getattr(node(), node.FUNCTION)
    out = function(model=small.patcher, **settings)
    return getattr(out, "args", out)[0]


def require_nodes(missing: list[str]) -> None:
    assert set(missing) <= LATER, missing
    assert not (missing and VERSION >= NEWEST), missing


def by_sample(small, model, text=CFG, image=1.0, channels="first 3", shift=1.0, steps=STEPS):
    """The Sample node."""
    made = small.sample.Sample.execute(
        model, *small.branches(), text, image, {"samples": small.empty_latent}, SEED, steps, shift,
        channels, "euler",
    )  # fmt: skip
    return made.args[0]["samples"]


def by_guider(small, model, text=CFG, image=1.0, channels="first 3"):
    """The guider and the Schedule node through what Sampler Custom Advanced calls."""
    (guider,) = small.sample.DualCFGGuider.execute(
        model, *small.branches(), text, image, channels, 0.0, 1.0
    ).args
    (levels,) = small.schedule.Schedule.execute(STEPS, 1.0, 1.0, model=model).args
    euler = comfy.samplers.sampler_object("euler")
    return guider.sample(small.noise, small.empty_latent, euler, levels, seed=SEED)


@contextmanager
def said():
    """The warnings of the extension while the block runs."""
    with logged() as lines:
        yield lines
    lines[:] = [line for line in lines if line.startswith("PixWizard: ")]


def check_patches_act_alike_behind_every_sampler(setup):
    """How far KSampler is from no patch, and Sample and the guider from KSampler; see
    tests.support.patch_table, which prints it."""
    small = Small(setup, batch=1)
    full, image_only, _ = small.branches()
    plain, table, missing = small.by_ksampler(full, image_only, CFG), {}, []
    for name in ACTING:
        model = with_patch(small, name)
        if model is None:
            missing.append(name)
            table[name] = "not on this host"
            continue
        stock = small.by_ksampler(full, image_only, CFG, model)
        table[name] = {
            "acts": apart(stock, plain),
            "Sample": apart(by_sample(small, model), stock),
            "guider": apart(by_guider(small, model), stock),
        }
    require_nodes(missing)
    rows = {name: row for name, row in table.items() if name not in missing}
    idle = {name: row for name, row in rows.items() if not row["acts"] > 1e-4}
    far = {name: row for name, row in rows.items() if not max(row["Sample"], row["guider"]) < EXACT}
    assert not idle, f"these change nothing behind a KSampler: {idle}"
    assert not far, far
    return {"host": comfyui_version.__version__, "table": table}


def once(small, positive, negative, cfg, model=None) -> torch.Tensor:
    """One step from noise to the end by the KSampler: what its guidance takes for the image."""
    return comfy.sample.sample(
        model or small.patcher, small.noise, 1, cfg, "euler", "simple", positive, negative,
        small.empty_latent, seed=SEED, disable_pbar=True,
    )  # fmt: skip


def check_the_image_step_is_added_behind_the_patches(setup):
    small, found = Small(setup, batch=1), {}
    full, image_only, none = small.branches()
    image_step = once(small, image_only, none, 1.0) - once(small, none, none, 1.0)
    for name, guided in {
        "RescaleCFG": 4,  # in the place of the reference's guidance of the first three channels
        "APG": 3,
        "CFGNorm": 3,
        "SkipLayerGuidanceDiTSimple": 3,
    }.items():
        for text in (CFG, 1.5, 1.0):
            # Each run gets a patch of its own: APG's memory outlives runs of one step.
            wanted = once(small, full, image_only, text, with_patch(small, name))
            wanted[:, :guided] += 0.5 * image_step[:, :guided]
            ours = by_sample(small, with_patch(small, name), text, 1.5, steps=1)
            found[f"{name} {text}"] = close(ours, wanted, EXACT, f"{name} at text {text}")
    return found


def check_all_channels_are_guided_behind_patches_where_asked(setup):
    small = Small(setup, batch=1)
    full, image_only, none = small.branches()
    model = with_patch(small, "CFGNorm")
    plain = model.clone()
    plain.model_options.pop("sampler_cfg_function")
    wanted = once(small, full, image_only, CFG, plain)
    wanted += 0.5 * (once(small, image_only, none, 1.0) - once(small, none, none, 1.0))
    return close(by_sample(small, model, CFG, 1.5, "all", steps=1), wanted, EXACT, "all channels")


def check_patched_branches_cost_one_forward(setup):
    """Branches that would cancel run when a patch wants them, and no others."""
    small, found = Small(setup), {}
    for name in ("RescaleCFG", "APG", "CFGNorm"):
        model = with_patch(small, name)
        for scales, branches in {
            (4.0, 1.0): 2,
            (3.0, 1.5): 3,
            (2.0, 2.0): 3,  # image_only cancels without the patch
            (1.0, 1.0): 1,
        }.items():
            with Spy(model) as spy:
                by_sample(small, model, *scales)
            found[f"{name} {scales}"] = spy.calls
            assert spy.calls == [branches * small.batch] * STEPS, (name, scales, spy.calls)
    return found


def check_branches_run_for_a_patch_whose_guidance_is_off(setup):
    """disable_cfg1_optimization, which such a patch sets, is heeded as the KSampler does."""
    small, seen = Small(setup), []

    def look(args):
        seen.append(bool(args["uncond_denoised"].any()))
        return args["denoised"]

    model = small.patcher.clone()
    model.set_model_sampler_post_cfg_function(look, disable_cfg1_optimization=True)
    with Spy(model) as spy:
        out = by_sample(small, model, 1.0, 1.0)
    assert spy.calls == [2 * small.batch] * STEPS, spy.calls
    assert seen == [True] * STEPS, seen
    return close(out, by_sample(small, small.patcher, 1.0, 1.0), EXACT, "a look behind guidance")


def check_a_conditioning_encoded_between_steps_keeps_the_first_noise(setup):
    """PerpNeg encodes its empty conditioning at each step: without a picture the model was trained
    to see the noise it began with, not what has become of it."""
    small, seen = Small(setup, batch=1), []
    network = small.patcher.model.diffusion_model
    inner = network._forward

    def spy(x, *arguments, image_latent, has_image, **named):
        seen.extend(image_latent[~has_image.bool()])
        return inner(x, *arguments, image_latent=image_latent, has_image=has_image, **named)

    network._forward = spy
    try:
        by_sample(small, with_patch(small, "PerpNeg"))
    finally:
        del network._forward
    assert len(seen) == STEPS, len(seen)
    assert all(torch.equal(latent, small.noise[0]) for latent in seen)


def check_guidance_of_all_channels_by_a_patch_is_said_once(setup):
    small = Small(setup, batch=1)
    full, image_only, _ = small.branches()
    model, told = with_patch(small, "RescaleCFG"), "RescaleCFG replaces"
    for name, run in {
        "KSampler": lambda: small.by_ksampler(full, image_only, CFG, model),
        "Sample": lambda: by_sample(small, model),
        "guider": lambda: by_guider(small, model),
    }.items():
        with said() as lines:
            run()
        assert [told in line for line in lines] == [True], (name, lines)
    with said() as lines:
        by_sample(small, model, channels="all")
        by_sample(small, small.patcher)
        by_sample(small, with_patch(small, "APG"))
    assert not lines, lines


def check_patches_without_a_place_change_nothing_and_are_named(setup):
    small = Small(setup, batch=1)
    full, image_only, _ = small.branches()
    plain, missing, table = small.by_ksampler(full, image_only, CFG), [], {}
    for name in IDLE:
        model = with_patch(small, name, IDLE)
        if model is None:
            missing.append(name)
            table[name] = "not on this host"
            continue
        for run in (
            lambda model=model: small.by_ksampler(full, image_only, CFG, model),
            lambda model=model: by_sample(small, model),
            lambda model=model: by_guider(small, model),
        ):
            with Spy(model) as spy, said() as lines:
                close(run(), plain, EXACT, name)
            named = [line.startswith(f"PixWizard: {name}") for line in lines]
            assert named == [True], (name, lines)
            wanted = STEPS * (2 if name == "SkipLayerGuidanceDiT" else 1)
            assert len(spy.calls) == wanted, (name, spy.calls)
        table[name] = lines[0]
    require_nodes(missing)
    return table


def check_a_control_net_is_named(setup):
    small = Small(setup, batch=1)
    network = small.patcher.model.diffusion_model
    with said() as lines:
        network._warn_unused({}, {"output": []})
        network._warn_unused({}, {"output": []})
    assert ["a ControlNet has no effect" in line for line in lines] == [True], lines


def check_a_shift_on_both_sides_is_refused(setup):
    small = Small(setup, batch=1)
    error = setup.module("pixwizard_core.errors").SamplingError
    model = with_patch(small, "ModelSamplingSD3")
    words = ("time_shift is 2", "set time_shift to 1", "ModelSamplingSD3")
    refused(error, words, lambda: by_sample(small, model, shift=2.0))
    schedule = small.schedule.Schedule.execute
    refused(error, words, lambda: schedule(STEPS, 2.0, 1.0, model=model))
    (levels,) = schedule(STEPS, 1.0, 1.0, model=model).args
    close(levels, small.sample.sigmas(STEPS, 3.0), EXACT, "SD3's shift and ours")
    (plain,) = schedule(STEPS, 2.0, 1.0, model=small.patcher).args
    return close(plain, small.sample.sigmas(STEPS, 2.0), 0.0, "a model without a shift")


def check_the_sampling_of_another_kind_of_model_is_refused(setup):
    """Behind every sampler: the picture would be wrong without a word."""
    small = Small(setup, batch=1)
    error = setup.module("pixwizard_core.errors").SamplingError
    full, image_only, _ = small.branches()
    advanced = importlib.import_module("comfy_extras.nodes_model_advanced")
    found = []
    for sampling in ("eps", "v_prediction", "x0", "lcm", "img_to_img"):
        (model,) = advanced.ModelSamplingDiscrete().patch(small.patcher, sampling, False)
        words = ("ModelSamplingDiscrete is for another kind of model", "Remove that node")
        found.append(refused(error, words, lambda m=model: by_sample(small, m)))
        refused(error, words, lambda m=model: small.by_ksampler(full, image_only, CFG, m))
    return found[0]


def check_only_a_pixwizard_model_gives_a_schedule(setup):
    small = Small(setup, batch=1)
    other = small.patcher.clone()
    other.model = torch.nn.Linear(1, 1)
    error = setup.module("pixwizard_core.errors").CheckpointError
    schedule = small.schedule.Schedule.execute
    words = ("needs a PixWizard model", "Linear")
    return refused(error, words, lambda: schedule(STEPS, 1.0, 1.0, model=other))
