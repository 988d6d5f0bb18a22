"""A MODEL of the host around a network of one layer, which paints the level that its conditioning
names and keeps what it was given. None of it is ours: what it shows is the host."""

from __future__ import annotations

from typing import ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_patcher
import comfy.samplers
import comfy.supported_models_base
import torch

CPU = torch.device("cpu")
SCALE = 0.13025  # of SDXL's latents
SHAPE = (2, 4, 4, 6)
WEIGHT = "diffusion_model.layer.weight"


class Network(torch.nn.Module):
    """calls: for each forward its latent, time, conds and options."""

    def __init__(self, *, dtype=None, device=None, operations, sides=2) -> None:
        super().__init__()
        self.dtype, self.operations, self.calls = dtype, operations, []
        self.layer = operations.Linear(sides, sides, bias=False, dtype=dtype, device=device)

    def forward(self, x, timesteps, context=None, transformer_options=None, **conds):
        self.calls.append({"x": x, "t": timesteps, "options": transformer_options, **conds})
        return (x - conds["level"].reshape(-1, 1, 1, 1)) / timesteps.reshape(-1, 1, 1, 1)


class Family(comfy.supported_models_base.BASE):
    unet_config: ClassVar[dict] = {}
    unet_extra_config: ClassVar[dict] = {}
    sampling_settings: ClassVar[dict] = {"multiplier": 1.0, "shift": 1.0}
    latent_format = comfy.latent_formats.SDXL
    supported_inference_dtypes: ClassVar[list] = [torch.bfloat16, torch.float32]


class Model(comfy.model_base.BaseModel):
    def __init__(self, family, kind=comfy.model_base.ModelType.FLOW) -> None:
        super().__init__(family, kind, device=CPU, unet_model=Network)
        self.asked = []

    def extra_conds(self, **kwargs) -> dict:
        self.asked.append(kwargs)
        row = comfy.conds.CONDRegular(kwargs["cross_attn"][:, :1, 0])
        whole = comfy.conds.CONDRegular(torch.tensor([3], dtype=torch.int64))
        return {"level": row, "whole": whole}


def make(dtype=torch.float32, cast=None, **settings):
    """A MODEL on the CPU, its one weight all ones."""
    family = Family({"dtype": dtype, **settings})
    family.set_inference_dtype(dtype, cast)
    model = Model(family)
    model.diffusion_model.layer.weight = torch.nn.Parameter(
        torch.ones(2, 2, dtype=dtype), requires_grad=False
    )
    return comfy.model_patcher.ModelPatcher(model, load_device=CPU, offload_device=CPU)


def level(value: float) -> list:
    """CONDITIONING that asks for this level."""
    return [[torch.full((1, 2, 3), value), {"pooled_output": torch.zeros(1, 3)}]]


def sampled(guider, steps: int = 2, **more) -> torch.Tensor:
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(4))
    sigmas = torch.linspace(1.0, 0.0, steps + 1)
    euler = comfy.samplers.sampler_object("euler")
    return guider.sample(noise, torch.zeros(SHAPE), euler, sigmas, seed=7, **more)


def guided(patcher, **conds: float):
    """A guider of this MODEL with a level for each of its branches."""
    guider = comfy.samplers.CFGGuider(patcher)
    guider.inner_set_conds({name: level(value) for name, value in conds.items()})
    return guider


def painted(value: float) -> torch.Tensor:
    """The latent of this level as it leaves the host."""
    return torch.full(SHAPE, value / SCALE)
