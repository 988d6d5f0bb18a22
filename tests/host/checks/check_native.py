"""A PixWizard model among the host's own samplers, schedulers, masks, regions and merging nodes."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import torch
from comfy_extras import nodes_differential_diffusion, nodes_model_merging
from small import LATENT, SCALE, SEED, Small, apart, close

import nodes

EXACT = 1e-5
FINE, COARSE = 100, 24  # steps of the reference and of each sampler
SCHEDULERS = ("simple", "sgm_uniform", "normal", "beta", "ddim_uniform")
# Work with the logarithm of sigma between sigma_max and sigma_min, not with the schedule.
LOGARITHMIC = {"dpm_fast", "dpm_adaptive"}
NOISY = ("ancestral", "sde", "lcm", "ddpm", "seeds", "cfg_pp", "sa_solver")


class Single(Small):
    """One picture, and the network's weights calm enough for coarse steps."""

    def __init__(self, setup) -> None:
        super().__init__(setup, batch=1)

    def sampled(self, sampler, scheduler, steps, cfg=1.0, patcher=None, **rest) -> torch.Tensor:
        full, image_only, _ = self.branches()
        return comfy.sample.sample(
            patcher or self.patcher, self.noise, steps, cfg, sampler, scheduler,
            rest.pop("positive", full), image_only, rest.pop("latent", self.empty_latent),
            seed=SEED, disable_pbar=True, **rest,
        )  # fmt: skip


def toward(small, target: torch.Tensor):
    """A MODEL whose velocity field has a single end, target (1, 4, h, w) in the host's scale: every
    right way to sample, with noise added on the way or not, ends there."""
    network = small.patcher.model.diffusion_model
    goal = target * SCALE

    def velocity(x, t, prepared, **_):
        return (goal.to(x) - x) / (1 - t.to(x)).clamp_min(1e-3).reshape(-1, 1, 1, 1)

    network.velocity = velocity
    return network


def check_every_stock_sampler_ends_where_the_field_leads(setup):
    small = Single(setup)
    target = small.picture
    network, found = toward(small, target), {}
    for sampler in comfy.samplers.SAMPLER_NAMES:
        for scheduler in ("simple", "beta"):
            out = small.sampled(sampler, scheduler, COARSE)
            found[f"{sampler} {scheduler}"] = apart(out, target)
    del network.velocity
    far = {name: distance for name, distance in found.items() if not distance < 0.05}
    assert {name.split()[0] for name in far} <= LOGARITHMIC, far
    return {"all": len(found), "far": far, "worst": max(set(found.values()) - set(far.values()))}


def check_every_stock_solver_nears_the_fine_euler_run(setup):
    small, found = Single(setup), {}
    fine = small.sampled("euler", "simple", FINE)
    for sampler in comfy.samplers.SAMPLER_NAMES:
        out = small.sampled(sampler, "simple", COARSE)
        if sampler not in LOGARITHMIC:
            assert bool(out.isfinite().all()), sampler
        found[sampler] = round(apart(out, fine), 4)
    solvers = {n: d for n, d in found.items() if not any(word in n for word in NOISY)}
    far = {n: d for n, d in solvers.items() if not d < 0.1 and n not in LOGARITHMIC}
    assert not far, (far, found)
    return found


def check_schedulers_lead_to_the_same_picture(setup):
    small = Single(setup)
    fine, found = small.sampled("euler", "simple", FINE), {}
    for scheduler in comfy.samplers.SCHEDULER_NAMES:
        for sampler in ("euler", "dpmpp_2m"):
            found[f"{sampler} {scheduler}"] = apart(small.sampled(sampler, scheduler, COARSE), fine)
    far = {n: d for n, d in found.items() if n.split()[1] in SCHEDULERS and not d < 0.1}
    assert not far, (far, found)
    return found


def check_less_than_full_denoise_starts_from_the_latent(setup):
    small = Single(setup)
    start = small.picture
    kept = [small.sampled("euler", "simple", 8, latent=start, denoise=d) for d in (0.01, 0.5, 1.0)]
    shares = [apart(out, start) for out in kept]
    assert shares[0] < 0.1 < shares[1] < shares[2], shares
    guider = small.sample.make_guider(small.patcher, *small.branches(), small.guider.Guidance(1, 1))
    levels = small.sample.sigmas(8, 1.0, 0.5)
    euler = comfy.samplers.sampler_object("euler")
    ours = guider.sample(small.noise, start, euler, levels, seed=SEED)
    # The host's schedule counts in thousandths.
    return shares, close(ours, kept[1], 1e-3, "our schedule and KSampler at denoise 0.5")


def masked(small, mask: torch.Tensor) -> dict:
    latent = {"samples": small.picture}
    return nodes.SetLatentNoiseMask().set_mask(latent, mask)[0]


def check_noise_mask_node_keeps_what_it_protects(setup):
    small = Single(setup)
    mask = torch.zeros(1, *LATENT)
    mask[..., :6] = 1
    latent = masked(small, mask)
    plain = small.sampled("euler", "simple", 8, latent=latent["samples"])
    found = {}
    for sampler in ("euler", "dpmpp_2m", "euler_ancestral"):
        (out,) = nodes.common_ksampler(
            small.patcher, SEED, 8, 1.0, sampler, "simple", *small.branches()[:2], latent
        )
        right = close(out["samples"][..., 6:], small.picture[..., 6:], EXACT, "protected half")
        changed = apart(out["samples"][..., :6], small.picture[..., :6])
        assert changed > 0.1, (sampler, changed)
        found[sampler] = right, changed
    assert apart(out["samples"][..., :6], plain[..., :6]) > 1e-3, "the kept half must be seen"
    return found


def check_differential_diffusion_keeps_more_where_the_mask_is_darker(setup):
    small = Single(setup)
    mask = torch.linspace(0, 1, LATENT[1]).expand(1, *LATENT)
    (patched,) = nodes_differential_diffusion.DifferentialDiffusion.execute(small.patcher).args
    (out,) = nodes.common_ksampler(
        patched, SEED, 12, 1.0, "euler", "simple", *small.branches()[:2], masked(small, mask)
    )
    change = (out["samples"] - small.picture).abs().mean((0, 1, 2))
    assert change[0] < 1e-4, change
    left, middle, right = (float(part.mean()) for part in change.split(4))
    assert left < middle < right, (left, middle, right)
    return left, middle, right


def check_a_region_acts_inside_its_area(setup):
    """After one step nothing outside the area may feel its prompt."""
    small = Single(setup)
    full, image_only, _ = small.branches()
    everywhere = small.sampled("euler", "simple", 1, positive=image_only)
    (left,) = nodes.ConditioningSetArea().append(full, 64, 64, 0, 0, 1.0)
    (both,) = nodes.ConditioningCombine().combine(image_only, left)
    out = small.sampled("euler", "simple", 1, positive=both)
    close(out[..., 8:], everywhere[..., 8:], EXACT, "outside the area")
    (whole,) = nodes.ConditioningSetArea().append(full, 96, 64, 0, 0, 1.0)
    alone = small.sampled("euler", "simple", 1, positive=whole)
    plain = small.sampled("euler", "simple", 1)
    close(alone, plain, EXACT, "an area of the whole picture")
    inside = apart(out[..., :8], everywhere[..., :8])
    assert inside > 1e-2, inside
    return inside


def check_a_prompt_acts_in_its_time(setup):
    """Two prompts one after the other are two runs one after the other."""
    small = Single(setup)
    full, image_only, _ = small.branches()
    when = nodes.ConditioningSetTimestepRange().set_range
    (early,), (late,) = when(full, 0.0, 0.4), when(image_only, 0.4, 1.0)
    (both,) = nodes.ConditioningCombine().combine(early, late)
    out = small.sampled("euler", "simple", 4, positive=both)
    half = small.sampled("euler", "simple", 4, last_step=2, force_full_denoise=False)
    second = comfy.sample.sample(
        small.patcher, torch.zeros_like(small.noise), 4, 1.0, "euler", "simple", image_only,
        image_only, half, seed=SEED, start_step=2, disable_noise=True,
    )  # fmt: skip
    assert apart(out, small.sampled("euler", "simple", 4)) > 1e-3
    return close(out, second, EXACT, "in one run and in two")


def check_joined_texts_act_with_all_their_tokens(setup):
    """The host keeps the first text's mask; the second text must count all the same."""
    small = Single(setup)
    full, image_only, _ = small.branches()
    (joined,) = nodes.ConditioningConcat().concat(full, image_only)
    features, values = joined[0]
    assert values["attention_mask"].shape[1] < features.shape[1]
    whole = [[features, {**values, "attention_mask": torch.ones(features.shape[:2])}]]
    out, wanted = (small.sampled("euler", "simple", 2, positive=one) for one in (joined, whole))
    plain = small.sampled("euler", "simple", 2)
    assert apart(out, plain) > 1e-3
    (mean,) = nodes.ConditioningAverage().addWeighted(full, image_only, 0.5)
    assert apart(small.sampled("euler", "simple", 2, positive=mean), plain) > 1e-3
    (both,) = nodes.ConditioningCombine().combine(joined, image_only)
    assert torch.isfinite(small.sampled("euler", "simple", 2, positive=both)).all()
    return close(out, wanted, EXACT, "joined texts")


def check_merged_models_are_their_mean_weights(setup):
    """All of them: gates and padding token too, which the host alone leaves as they are."""
    one, other = Single(setup), Single(setup)
    generator = torch.Generator().manual_seed(8)
    for parameter in other.patcher.model.diffusion_model.parameters():
        parameter.data = parameter + torch.randn(parameter.shape, generator=generator) * 0.1
    (merged,) = nodes_model_merging.ModelMergeSimple().merge(one.patcher, other.patcher, 0.3)
    found = one.sampled("euler", "simple", 4, 4.0, patcher=merged)
    theirs = other.patcher.model.diffusion_model
    wanted = Single(setup)
    for name, parameter in wanted.patcher.model.diffusion_model.named_parameters():
        parameter.data = parameter * 0.3 + theirs.get_parameter(name) * 0.7
    expected = wanted.sampled("euler", "simple", 4, 4.0)
    plain = one.sampled("euler", "simple", 4, 4.0)
    again = Single(setup).sampled("euler", "simple", 4, 4.0)
    close(plain, again, 0.0, "the first model after the merge")
    assert apart(found, plain) > 1e-2
    return close(found, expected, EXACT, "merged by the host and by hand")


def check_merged_gates_are_saved(setup):
    """A file of a merged model holds what was sampled with."""
    one, other, folder = Single(setup), Single(setup), setup.folder()
    network = other.patcher.model.diffusion_model
    for block in network.layers:
        block.attention.gate.data = -block.attention.gate
    (merged,) = nodes_model_merging.ModelMergeSimple().merge(one.patcher, other.patcher, 0.25)
    nodes_model_merging.save_checkpoint(merged, filename_prefix="m", output_dir=str(folder))
    (path,) = folder.glob("*.safetensors")
    loaded = setup.module("nodes.loaders.load").load_transformer(path, torch.float32)
    name = "layers.1.attention.gate"
    close(loaded.model.diffusion_model.get_parameter(name), one.weights[name] * -0.5, EXACT, name)
    loaded.model.diffusion_model.options = one.options
    sampled = [one.sampled("euler", "simple", 4, patcher=patcher) for patcher in (merged, loaded)]
    assert apart(sampled[0], one.sampled("euler", "simple", 4)) > 1e-4
    return close(*sampled, EXACT, "merged and loaded again")
