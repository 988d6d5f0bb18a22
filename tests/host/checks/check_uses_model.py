"""What nodes/host/uses.py relies on: models, and what surrounds a network."""

from __future__ import annotations

import comfy.conds
import comfy.latent_formats
import comfy.ldm.common_dit
import comfy.ldm.modules.attention
import comfy.model_base
import comfy.supported_models_base
import probe
import torch
from small import close

WEIGHT, FLOAT_ERROR = probe.WEIGHT, 1e-5


def check_comfy_conds_CONDRegular(setup):
    cond = comfy.conds.CONDRegular(torch.arange(3.0)[None])
    repeated = cond.process_cond(batch_size=2, area=None, device=probe.CPU)
    assert repeated.cond.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert cond.can_concat(comfy.conds.CONDRegular(torch.ones(1, 3)))
    assert not cond.can_concat(comfy.conds.CONDRegular(torch.ones(1, 4)))
    assert cond.concat([comfy.conds.CONDRegular(torch.ones(1, 3))]).tolist() == [[0, 1, 2], [1] * 3]
    kind = type("Own", (comfy.conds.CONDRegular,), {})
    assert type(kind(torch.ones(1, 3)).process_cond(batch_size=2, area=None)) is kind


def check_comfy_conds_CONDNoiseShape(setup):
    rows = torch.arange(16.0).reshape(1, 1, 4, 4)
    cut = comfy.conds.CONDNoiseShape(rows).process_cond(batch_size=2, area=(2, 3, 1, 0))
    assert cut.cond.shape == (2, 1, 2, 3)
    assert torch.equal(cut.cond[1], rows[0, :, 1:3, 0:3])
    whole = comfy.conds.CONDNoiseShape(rows).process_cond(batch_size=1, area=None)
    assert torch.equal(whole.cond, rows)


def check_comfy_conds_CONDConstant(setup):
    thing = object()
    cond = comfy.conds.CONDConstant(thing).process_cond(batch_size=3, area=None)
    assert cond.cond is thing
    assert cond.can_concat(comfy.conds.CONDConstant(thing))
    assert not cond.can_concat(comfy.conds.CONDConstant(object()))
    assert cond.concat([comfy.conds.CONDConstant(thing)]) is thing


def check_comfy_latent_formats_SDXL(setup):
    sdxl = comfy.latent_formats.SDXL()
    raw = torch.randn(1, 4, 3, 3)
    close(sdxl.process_in(raw), raw * probe.SCALE, 1e-6, "into the model")
    close(sdxl.process_out(raw), raw / probe.SCALE, 1e-6, "out of the model")
    assert sdxl.latent_channels == 4
    assert torch.tensor(sdxl.latent_rgb_factors).shape == (4, 3)


def check_comfy_ldm_common_dit_pad_to_patch_size(setup):
    x = torch.arange(15.0).reshape(1, 1, 3, 5)
    padded = comfy.ldm.common_dit.pad_to_patch_size(x, (2, 2))
    assert padded.shape == (1, 1, 4, 6)
    assert torch.equal(padded[..., :3, :5], x)
    assert torch.equal(padded[..., 3, :5], x[..., 0, :])
    assert torch.equal(padded[..., :3, 5], x[..., :, 0])
    even = torch.ones(1, 1, 2, 4)
    assert torch.equal(comfy.ldm.common_dit.pad_to_patch_size(even, (2, 2)), even)


def check_comfy_ldm_modules_attention_optimized_attention(setup):
    q, k, v = (torch.randn(2, 3, length, 8) for length in (5, 7, 7))
    mask = torch.zeros(2, 1, 5, 7)
    mask[:, :, :, 4:] = torch.finfo(torch.float32).min
    for given in (None, mask):
        scores = q @ k.transpose(-1, -2) / 8**0.5 + (0 if given is None else given)
        wanted = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        attention = comfy.ldm.modules.attention.optimized_attention
        got = attention(q, k, v, 3, mask=given, skip_reshape=True, transformer_options={})
        close(got, wanted, FLOAT_ERROR, f"attention, mask {given is not None}")


def check_comfy_ldm_modules_attention_optimized_attention_for_device(setup):
    q, k, v = (torch.randn(2, 3, length, 8) for length in (5, 7, 7))
    mask = torch.zeros(2, 1, 5, 7)
    mask[:, :, :, 4:] = torch.finfo(torch.float32).min
    for given in (None, mask):
        scores = q @ k.transpose(-1, -2) / 8**0.5 + (0 if given is None else given)
        wanted = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        attention = comfy.ldm.modules.attention.optimized_attention_for_device(
            probe.CPU, mask=given is not None, small_input=True
        )
        got = attention(q, k, v, 3, mask=given, skip_reshape=True)
        close(got, wanted, FLOAT_ERROR, f"attention, mask {given is not None}")


def check_comfy_model_base_BaseModel(setup):
    plain, mixed = probe.make().model, probe.make(torch.bfloat16, torch.float32).model
    assert isinstance(plain.diffusion_model, probe.Network)
    assert issubclass(plain.diffusion_model.operations.Linear, torch.nn.Linear)
    assert WEIGHT in plain.state_dict()
    x, sigma = torch.randn(probe.SHAPE), torch.full((2,), 0.5)
    conds = {"level": torch.full((2, 1), 0.3), "whole": torch.tensor([3])}
    for model in (plain, mixed):
        clean = model.apply_model(x, sigma, transformer_options={"mine": 1}, **conds)
        close(clean, torch.full(probe.SHAPE, 0.3), 1e-5, "clean latent")
        (call,) = model.diffusion_model.calls
        assert call["x"].dtype == torch.float32, "computed in manual_cast_dtype"
        assert call["whole"].dtype == torch.int64, "whole numbers stay whole"
        assert call["options"]["mine"] == 1


def check_comfy_model_base_BaseModel_extra_conds(setup):
    patcher = probe.make()
    probe.sampled(probe.guided(patcher, positive=0.2, other=0.4), steps=3)
    asked = patcher.model.asked
    assert len(asked) == 2, "once for each branch, not for each step"
    for name in ("noise", "device", "cross_attn", "pooled_output", "seed", "latent_image"):
        assert name in asked[0], f"{name} is not handed to extra_conds"
    assert asked[0]["noise"].shape == probe.SHAPE
    assert asked[0]["noise"] is asked[1]["noise"], "one run, one noise"
    assert asked[0]["seed"] == 7
    assert "level" in patcher.model.diffusion_model.calls[0]


def check_comfy_model_base_BaseModel_process_timestep(setup):
    patcher = probe.make()
    patcher.model.process_timestep = lambda timestep, **_: timestep * 0 + 0.25
    probe.sampled(probe.guided(patcher, positive=0.2), steps=1)
    assert patcher.model.diffusion_model.calls[0]["t"].tolist() == [0.25, 0.25]


def check_comfy_model_base_BaseModel_process_latent_in(setup):
    patcher, ends = probe.make(), []

    def noting(name: str, inner):
        return lambda latent: (ends.append(name), inner(latent))[1]

    for name in ("process_latent_in", "process_latent_out"):
        setattr(patcher.model, name, noting(name, getattr(patcher.model, name)))
    latent = torch.ones(probe.SHAPE)
    close(patcher.model.process_latent_in(latent), latent * probe.SCALE, 1e-6, "in")
    ends.clear()
    close(probe.sampled(probe.guided(patcher, positive=0.2)), probe.painted(0.2), 1e-5, "out")
    assert ends == ["process_latent_out"], "an empty latent is not scaled, the result is"


def check_comfy_model_base_BaseModel_get_dtype(setup):
    plain, mixed = probe.make().model, probe.make(torch.bfloat16, torch.float32).model
    assert (plain.get_dtype(), plain.manual_cast_dtype) == (torch.float32, None)
    assert (mixed.get_dtype(), mixed.manual_cast_dtype) == (torch.bfloat16, torch.float32)


def check_comfy_model_base_BaseModel_model_sampling(setup):
    sampling = probe.make().model.model_sampling
    assert (sampling.shift, sampling.multiplier) == (1.0, 1.0)
    close(sampling.sigma(torch.tensor([0.25, 0.5])), torch.tensor([0.25, 0.5]), 1e-6, "no shift")
    assert float(sampling.sigma_max) == 1.0


def check_comfy_model_base_ModelType_FLOW(setup):
    sampling = probe.make().model.model_sampling
    image, noise, sigma = torch.full((1, 1), 2.0), torch.full((1, 1), 6.0), torch.tensor([0.25])
    x = sampling.noise_scaling(sigma, noise, image)
    close(x, 0.75 * image + 0.25 * noise, 1e-6, "x_t")
    close(sampling.calculate_denoised(sigma, noise - image, x), image, 1e-6, "image again")
    assert torch.equal(sampling.calculate_input(sigma, x), x)
    assert float(sampling.timestep(sigma)) == 0.25


def check_comfy_supported_models_base_BASE(setup):
    family = probe.Family({"sides": 2, "dtype": torch.float32})
    assert family.unet_config["sides"] == 2
    assert isinstance(family.latent_format, comfy.latent_formats.SDXL)
    family.set_inference_dtype(torch.bfloat16, torch.float32)
    assert family.unet_config["dtype"] == torch.bfloat16
    assert family.manual_cast_dtype == torch.float32
    model = probe.Model(family)
    assert model.diffusion_model.dtype == torch.bfloat16
    assert model.memory_required((1, 4, 64, 64)) > 0
    half = type("Half", (probe.Family,), {"memory_usage_factor": family.memory_usage_factor / 2})
    less = probe.Model(half({"dtype": torch.float32})).memory_required((1, 4, 64, 64))
    assert 0 < less < probe.make().model.memory_required((1, 4, 64, 64))
