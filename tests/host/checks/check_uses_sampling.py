"""What nodes/host/uses.py relies on: samplers, guiders, previews and conditionings."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import node_helpers
import probe
import torch
from small import close


def check_comfy_sample_fix_empty_latent_channels(setup):
    patcher = probe.make()
    fix = comfy.sample.fix_empty_latent_channels
    assert fix(patcher, torch.zeros(1, 16, 4, 6)).shape == (1, 4, 4, 6)
    for latent in (torch.zeros(1, 4, 4, 6), torch.ones(1, 4, 4, 6)):
        assert torch.equal(fix(patcher, latent), latent)


def check_comfy_sample_prepare_noise(setup):
    latent = torch.zeros(2, 4, 3, 5)
    noise = comfy.sample.prepare_noise(latent, 11)
    wanted = torch.randn(latent.shape, generator=torch.Generator().manual_seed(11))
    assert torch.equal(noise, wanted)
    assert torch.equal(comfy.sample.prepare_noise(latent, 11, None), noise)
    second = comfy.sample.prepare_noise(latent[:1], 11, [1])
    one = torch.Generator().manual_seed(11)
    rows = [torch.randn(1, 4, 3, 5, generator=one) for _ in range(2)]
    assert torch.equal(second, rows[1]), "the second picture of the batch, alone"


def check_comfy_samplers_CFGGuider(setup):
    patcher, seen = probe.make(), []

    class Guider(comfy.samplers.CFGGuider):
        def predict_noise(self, *arguments, **named):
            seen.append((self.inner_model, dict(self.model_options)))
            return super().predict_noise(*arguments, **named)

    guider = Guider(patcher)
    guider.inner_set_conds({"positive": probe.level(0.2)})
    assert guider.model_patcher is patcher
    close(probe.sampled(guider, steps=1), probe.painted(0.2), 1e-5, "sampled")
    assert seen[0][0] is patcher.model
    assert "transformer_options" in seen[0][1]


def check_comfy_samplers_CFGGuider_inner_set_conds(setup):
    guider, seen = probe.guided(probe.make(), positive=0.2, any_name=0.4), []
    inner = guider.predict_noise
    guider.predict_noise = lambda *a, **n: (seen.append(dict(guider.conds)), inner(*a, **n))[1]
    assert sorted(guider.original_conds) == ["any_name", "positive"]
    assert guider.original_conds["positive"][0]["pooled_output"].shape == (1, 3)
    probe.sampled(guider, steps=1)
    assert sorted(seen[0]) == ["any_name", "positive"]
    assert float(seen[0]["any_name"][0]["model_conds"]["level"].cond) == torch.tensor(0.4)
    assert not hasattr(guider, "conds"), "let go after the run"


def check_comfy_samplers_CFGGuider_predict_noise(setup):
    guider, seen = probe.guided(probe.make(), positive=0.2), []

    def predict(x, timestep, model_options=None, seed=None):
        seen.append((x.shape, timestep.tolist(), model_options, seed))
        return torch.full_like(x, 0.9)

    guider.predict_noise = predict
    close(probe.sampled(guider, steps=2), probe.painted(0.9), 1e-5, "the clean latent")
    shapes, times, options, seeds = zip(*seen, strict=True)
    assert set(shapes) == {torch.Size(probe.SHAPE)}
    assert times == ([1.0, 1.0], [0.5, 0.5])
    assert seeds == (7, 7)
    assert options[0]["transformer_options"]["sample_sigmas"].tolist() == [1.0, 0.5, 0.0]


def check_comfy_samplers_CFGGuider_sample(setup):
    guider, steps = probe.guided(probe.make(), positive=0.2), []
    mask = torch.zeros(1, 1, 4, 6)
    mask[..., 3:] = 1
    latent = torch.full(probe.SHAPE, 5.0)
    out = guider.sample(
        torch.randn(probe.SHAPE),
        latent,
        comfy.samplers.sampler_object("euler"),
        torch.tensor([1.0, 0.5, 0.0]),
        denoise_mask=mask,
        callback=lambda step, x0, x, total: steps.append((step, total, x0.shape)),
        disable_pbar=True,
        seed=7,
    )
    close(out[..., 3:], probe.painted(0.2)[..., 3:], 1e-5, "where the mask is 1")
    close(out[..., :3], latent[..., :3], 1e-5, "where it is 0 the latent stays")
    assert [step[:2] for step in steps] == [(0, 2), (1, 2)]


def check_comfy_samplers_SAMPLER_NAMES(setup):
    names = list(comfy.samplers.SAMPLER_NAMES)
    assert {"euler", "heun", "dpmpp_2m"} <= set(names)
    for name in ("euler", "heun"):
        guider = probe.guided(probe.make(), positive=0.2)
        sampler = comfy.samplers.sampler_object(name)
        args = torch.randn(probe.SHAPE), torch.zeros(probe.SHAPE), sampler
        out = guider.sample(*args, torch.tensor([1.0, 0.5, 0.0]), seed=1)
        close(out, probe.painted(0.2), 1e-5, name)


def check_comfy_samplers_calc_cond_batch(setup):
    patcher, seen = probe.make(), []
    guider = probe.guided(patcher, positive=0.2, one=0.4, other=0.6)

    def predict(x, timestep, model_options=None, seed=None):
        branches = [guider.conds[name] for name in ("other", "positive", "one")]
        found = comfy.samplers.calc_cond_batch(
            guider.inner_model, [*branches, None], x, timestep, model_options or {}
        )
        assert not found.pop().any(), "zeros for a branch that is None"
        seen.extend(found)
        return found[0]

    guider.predict_noise = predict
    probe.sampled(guider, steps=1)
    for clean, value in zip(seen, (0.6, 0.2, 0.4), strict=True):
        close(clean, torch.full(probe.SHAPE, value), 1e-5, f"branch of {value}")
    rows = sum(call["x"].shape[0] for call in patcher.model.diffusion_model.calls)
    assert rows == 3 * probe.SHAPE[0], "each branch once"
    options = patcher.model.diffusion_model.calls[0]["options"]
    assert sorted(options["cond_or_uncond"]) == list(range(len(options["cond_or_uncond"])))


def check_comfy_samplers_sampling_function(setup):
    guider, seen, made = probe.guided(probe.make(), full=0.2, other=0.1), {}, []

    def before(args):
        seen["pre"] = [float(one.mean()) for one in args["conds_out"]], args["cond_scale"]
        return args["conds_out"]

    def after(args):
        seen["post"] = float(args["cond_denoised"].mean()), float(args["uncond_denoised"].mean())
        return args["denoised"] + 1

    def replaced(args):
        seen["branches"] = [one is not None for one in args["conds"]]
        return [torch.full_like(args["input"], 0.6), torch.full_like(args["input"], 0.5)]

    def predict(x, timestep, model_options=None, seed=None):
        def step(scale: float, **patches):
            return float(
                comfy.samplers.sampling_function(
                    guider.inner_model, x, timestep, guider.conds["other"], guider.conds["full"],
                    scale, model_options={**(model_options or {}), **patches}, seed=seed,
                ).mean()
            )  # fmt: skip

        made.append(step(3.0))
        hooks = {"sampler_pre_cfg_function": [before], "sampler_post_cfg_function": [after]}
        made.append(step(3.0, **hooks))
        made.append(step(3.0, sampler_calc_cond_batch_function=replaced))
        made.append(step(3.0, sampler_cfg_function=lambda args: args["input"] - 0.9))
        branches = seen.pop("branches")
        made.append(step(1.0, sampler_calc_cond_batch_function=replaced))
        seen["branches"] = branches, seen["branches"]
        return x

    guider.predict_noise = predict
    probe.sampled(guider, steps=1)
    # uncond + scale (cond - uncond): 0.1 + 3 * 0.1, and 0.5 + 3 * 0.1 of the replaced branches
    close(torch.tensor(made), torch.tensor([0.4, 1.4, 0.8, 0.9, 0.6]), 1e-4, "guided steps")
    (cond, uncond), scale = seen["pre"]
    close(torch.tensor([cond, uncond, scale]), torch.tensor([0.2, 0.1, 3.0]), 1e-4, "pre")
    close(torch.tensor(seen["post"]), torch.tensor([0.2, 0.1]), 1e-4, "post")
    assert seen["branches"] == ([True, True], [True, False]), "at scale 1 the second is left out"


def check_comfy_samplers_sampler_object(setup):
    guider = probe.guided(probe.make(), positive=0.0)
    guider.predict_noise = lambda x, timestep, *_, **__: x * 0.5  # not where it ends, but halfway
    noise = torch.randn(probe.SHAPE)
    euler = comfy.samplers.sampler_object("euler")
    out = guider.sample(noise, torch.zeros(probe.SHAPE), euler, torch.tensor([1.0, 0.5, 0.0]))
    # x - clean is x / 2; a step to s goes to x + (x / 2) / sigma * (s - sigma): x * 3/4, then * 1/2
    close(out * probe.SCALE, noise * 0.375, 1e-5, "Euler's two steps")


def check_latent_preview_prepare_callback(setup):
    told = []
    hook = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(lambda *a, **_: told.append(a[:2]))
    try:
        callback = latent_preview.prepare_callback(probe.make(), 3)
        for step in range(3):
            callback(step, torch.zeros(probe.SHAPE), torch.zeros(probe.SHAPE), 3)
    finally:
        comfy.utils.set_progress_bar_global_hook(hook)
    # Newer hosts leave out what comes too close together, never the first and the last.
    assert (told[0], told[-1]) == ((1, 3), (3, 3))
    assert set(told) <= {(1, 3), (2, 3), (3, 3)}


def check_node_helpers_conditioning_set_values(setup):
    before = probe.level(0.2)
    after = node_helpers.conditioning_set_values(before, {"mine": 3, "pooled_output": None})
    assert after[0][1] == {"mine": 3, "pooled_output": None}
    assert after[0][0] is before[0][0]
    assert list(before[0][1]) == ["pooled_output"], "the one given stays as it was"
    assert before[0][1]["pooled_output"] is not None
