"""PixWizard as a native model of the host: its memory manager, samplers, LoRA and patches apply.

The host's time runs from sigma 1 (noise) to 0 (image) and its networks return noise minus image, so
this file turns t = 1 - sigma and gives back the negated velocity. Everything else is the core's
transformer.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import comfy.supported_models_base
import comfy.utils
import torch
from comfy.ldm.common_dit import pad_to_patch_size
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ..pixwizard_core.conditioning import Condition, pad_text
from ..pixwizard_core.config import ModelConfig
from ..pixwizard_core.errors import EncoderError
from ..pixwizard_core.generate import PIXELS_PER_TOKEN_SIDE
from ..pixwizard_core.model import NO_SCALING, PixWizard, Prepared, RopeScaling
from ..pixwizard_core.pipeline import WATERSHED
from ..pixwizard_core.sampling import GUIDED_CHANNELS
from . import host
from .prepared import PreparedCache

IMAGE_LATENT = "pixwizard_image_latent"  # keys of a CONDITIONING that our Encode node fills
IMAGE_TOKENS = "pixwizard_image_tokens"
TOKEN_COUNT = 576  # image tokens of CLIP-L/14 at 336 px, the count the model was trained with
OPTIONS_KEY = "pixwizard"  # where a MODEL keeps its Options, in transformer_options


@dataclass(frozen=True, slots=True)
class Options:
    """How a MODEL is to be run.

    centres: sides in px of the squares whose areas it was trained at. proportional: scale
    self-attention by the number of tokens relative to the trained size. rope: scaling of positions;
    None scales them where the picture is larger than any trained size.
    """

    centres: tuple[int, ...]
    proportional: bool = True
    rope: RopeScaling | None = None

    def for_tokens(self, count: int) -> tuple[RopeScaling, int | None]:
        """Position scaling and attention base for a picture of this many tokens."""
        bases = sorted((centre // PIXELS_PER_TOKEN_SIDE) ** 2 for centre in self.centres)
        base = next((base for base in bases if base >= count), bases[-1])
        scaling = self.rope
        if scaling is None:
            beyond = math.sqrt(count / base)
            scaling = RopeScaling(beyond, WATERSHED) if beyond > 1 else NO_SCALING
        return scaling, base if self.proportional else None


class Config(comfy.supported_models_base.BASE):
    """What the host wants to know of a model family."""

    unet_config: ClassVar[dict] = {}
    unet_extra_config: ClassVar[dict] = {}
    sampling_settings: ClassVar[dict] = {"multiplier": 1.0, "shift": 1.0}
    latent_format = comfy.latent_formats.SDXL
    memory_usage_factor = 1.2
    supported_inference_dtypes: ClassVar[list] = [torch.bfloat16, torch.float32]


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, transformer_options: dict
) -> Tensor:
    """The host's attention in the form the core asks for (see pixwizard_core.model.attention)."""
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    if mask is not None:  # several of the host's backends take additive masks only
        mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, torch.finfo(q.dtype).min)
    return optimized_attention(
        q, k, v, q.shape[1], mask=mask, skip_reshape=True, transformer_options=transformer_options
    )


def run_block(options: dict, text: Tensor, index: int, x: Tensor, run) -> Tensor:
    """One block with the host's hooks around it: a replacement first, then patches on its
    output."""
    options["block_index"] = index
    entry = {"img": x, "txt": text, "vec": None, "pe": None, "transformer_options": options}
    replacement = options.get("patches_replace", {}).get("dit", {}).get(("double_block", index))
    if replacement is None:
        x = run(x)
    else:

        def original(arguments: dict) -> dict:
            return {"img": run(arguments["img"]), "txt": arguments["txt"]}

        x = replacement(entry, {"original_block": original})["img"]
    for patch in options.get("patches", {}).get("double_block", []):
        x = patch({**entry, "img": x, "img_input": entry["img"], "block_index": index}).get(
            "img", x
        )
    return x


class Transformer(PixWizard):
    """The core's transformer with the host's forward."""

    def __init__(self, *, dtype=None, device=None, operations, **config) -> None:
        super().__init__(
            ModelConfig(**config),
            ops=operations,
            attention=partial(attend, transformer_options={}),
            device=device,
            dtype=dtype,
        )
        self.dtype = dtype
        self.patch_size = self.config.patch_size

    def forward(self, x, timesteps, context=None, transformer_options=None, **conds):
        options = transformer_options or {}
        wrappers = comfy.patcher_extension.get_all_wrappers(
            comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options
        )
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(
            self._forward, self, wrappers
        )
        # Step-caching wrappers add to x in place, and in float32 it is the sampler's own tensor.
        return executor.execute(x.clone(), timesteps, context, options, **conds)

    def _forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        transformer_options: dict,
        *,
        text_mask: Tensor,
        pooled: Tensor,
        image_tokens: Tensor,
        has_image: Tensor,
        image_latent: Tensor,
        prepared_cache: PreparedCache | None = None,
        **unused,
    ) -> Tensor:
        options = {**transformer_options, "block_type": "double", "total_blocks": len(self.layers)}
        height, width = x.shape[-2:]
        patch = (self.patch_size, self.patch_size)
        x, image_latent = pad_to_patch_size(x, patch), pad_to_patch_size(image_latent, patch)
        condition = Condition(
            context, text_mask.bool(), pooled, image_tokens, has_image.bool(), image_latent
        )
        tokens = math.prod(x.shape[-2:]) // self.patch_size**2
        layout = options[OPTIONS_KEY].for_tokens(tokens)
        prepared = self._prepared(condition, layout, prepared_cache)
        velocity = self.velocity(
            x,
            1.0 - timesteps,
            prepared,
            attention=partial(attend, transformer_options=options),
            block_hook=partial(run_block, options, context) if has_hooks(options) else None,
        )
        return -velocity[..., :height, :width]

    def _prepared(
        self,
        condition: Condition,
        layout: tuple[RopeScaling, int | None],
        cache: PreparedCache | None,
    ) -> Prepared:
        def prepare() -> Prepared:
            return self.prepare(condition, rope=layout[0], base_seqlen=layout[1])

        return prepare() if cache is None else cache.get(condition, layout, prepare)


def has_hooks(options: dict) -> bool:
    """Whether any node patched the blocks of this model."""
    return bool(options.get("patches_replace") or options.get("patches"))


class Padded(comfy.conds.CONDRegular):
    """A cond of text length: prompts of different lengths share a forward, padded with zeros."""

    def can_concat(self, other) -> bool:
        mine, its = self.cond, other.cond
        same = mine.shape[0] == its.shape[0] and mine.shape[2:] == its.shape[2:]
        return isinstance(other, Padded) and same and mine.device == its.device

    def concat(self, others) -> Tensor:
        texts = [self.cond, *(other.cond for other in others)]
        longest = max(text.shape[1] for text in texts)
        return torch.cat([pad_text(text, longest) for text in texts])


class Model(comfy.model_base.BaseModel):
    """The host's wrapper: turns the conditioning dicts of the graph into the transformer's
    inputs."""

    def __init__(self, model_config: Config, device=None) -> None:
        super().__init__(
            model_config, comfy.model_base.ModelType.FLOW, device=device, unet_model=Transformer
        )
        self.eval().requires_grad_(False)
        self._run = None  # weak references to the noise of the current run and to its cache

    def process_timestep(self, timestep, **conds):
        # The stock ModelSamplingSD3 node multiplies time by 1000; this network wants 0..1.
        return timestep / float(getattr(self.model_sampling, "multiplier", 1.0))

    def extra_conds(self, **kwargs) -> dict:
        """Conds of one branch. The same keys for every branch, or the host could not batch them."""
        noise, device = kwargs["noise"], kwargs["device"]
        text, mask, pooled = self._text(kwargs)
        tokens = kwargs.get(IMAGE_TOKENS)
        has_image = tokens is not None
        if not has_image:
            width = self.diffusion_model.config.image_feat_dim
            tokens = torch.zeros(1, TOKEN_COUNT, width)
        regular, padded = comfy.conds.CONDRegular, Padded
        return {
            "c_crossattn": padded(text.to(device)),
            "text_mask": padded(mask.to(device)),
            "pooled": regular(pooled.to(device)),
            "image_tokens": regular(tokens.to(device)),
            "has_image": regular(torch.tensor([int(has_image)], device=device)),
            "image_latent": comfy.conds.CONDNoiseShape(self._image_latent(kwargs).to(device)),
            "prepared_cache": comfy.conds.CONDConstant(
                None if kwargs.get("hooks") is not None else self._cache_of(noise)
            ),
        }

    def _text(self, kwargs: dict) -> tuple[Tensor, Tensor, Tensor]:
        """Text features, their mask as int64 (the host would cast a bool to float) and the pooled
        text."""
        config = self.diffusion_model.config
        text, pooled = kwargs.get("cross_attn"), kwargs.get("pooled_output")
        wanted = f"text width {config.cap_feat_dim} and pooled width {config.cap_clip_feat_dim}"
        met = [None if part is None else part.shape[-1] for part in (text, pooled)]
        if met != [config.cap_feat_dim, config.cap_clip_feat_dim]:
            raise EncoderError(
                f"this PixWizard model takes {wanted}. Got: {met[0]} and {met[1]}; encode the text "
                "with the CLIP of the PixWizard loader that belongs to this model"
            )
        mask = kwargs.get("attention_mask")
        if mask is None:
            mask = torch.ones(text.shape[:2])
        return text, mask.reshape(text.shape[:2]).ne(0).long(), pooled

    def _image_latent(self, kwargs: dict) -> Tensor:
        """Image latent in model space at the size of the noise; without an image, the noise
        itself."""
        noise = kwargs["noise"]
        latent = kwargs.get(IMAGE_LATENT)
        if latent is None:
            latent = kwargs.get("concat_latent_image")  # what stock inpainting nodes attach
        if latent is None:
            return initial_noise(noise, kwargs.get("latent_image"), kwargs.get("seed"))
        if latent.shape[1:] != noise.shape[1:]:
            latent = comfy.utils.common_upscale(
                latent, noise.shape[-1], noise.shape[-2], "bilinear", "center"
            )
        return comfy.utils.resize_to_batch_size(self.process_latent_in(latent), noise.shape[0])

    def _cache_of(self, noise: Tensor) -> PreparedCache:
        """One cache per run. Only the conds of the run keep it alive, so it ends with them."""
        known, cache = self._run or (lambda: None, lambda: None)
        if known() is noise and cache() is not None:
            return cache()
        cache = PreparedCache()
        self._run = weakref.ref(noise), weakref.ref(cache)
        return cache


def initial_noise(noise: Tensor, latent_image: Tensor | None, seed: int | None) -> Tensor:
    """The noise a run began with. Samplers that add none hand over zeros; then the seed draws it
    anew."""
    if seed is None or bool(noise.any()):
        return noise
    generator = torch.Generator().manual_seed(seed)
    shape = noise.shape if latent_image is None else latent_image.shape
    return torch.randn(shape, generator=generator, dtype=noise.dtype).to(noise.device)


def reference_cfg(args: dict) -> Tensor:
    """Guidance of the stock samplers as the reference does it: the last channel is not guided."""
    cond, uncond = args["cond"], args["uncond"]
    guided = uncond + (cond - uncond) * args["cond_scale"]
    return torch.cat([guided[:, :GUIDED_CHANNELS], cond[:, GUIDED_CHANNELS:]], 1)


def make_patcher(
    config: ModelConfig,
    state_dict: dict[str, Tensor],
    options: Options,
    *,
    dtype: torch.dtype | None = None,
):
    """Host MODEL of these weights. state_dict: exactly the names of the config, any float dtype.

    dtype: how weights are stored, None = what the host thinks best for this device.
    """
    management = comfy.model_management
    device, offload = management.get_torch_device(), management.unet_offload_device()
    supported = Config.supported_inference_dtypes
    if dtype is None:
        dtype = management.unet_dtype(
            model_params=sum(weight.numel() for weight in state_dict.values()),
            supported_dtypes=supported,
            weight_dtype=comfy.utils.weight_dtype(state_dict),
        )
    family = Config({**config.to_dict(), "dtype": dtype})
    family.set_inference_dtype(dtype, management.unet_manual_cast(dtype, device, supported))
    model = Model(family, device=offload)
    patcher_class = getattr(
        comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher
    )
    patcher = patcher_class(model, load_device=device, offload_device=offload)
    dynamic = {"assign": patcher.is_dynamic()} if hasattr(patcher, "is_dynamic") else {}
    model.load_model_weights(state_dict, "", **host.supported(model.load_model_weights, dynamic))
    patcher.set_model_sampler_cfg_function(reference_cfg)
    patcher.model_options["transformer_options"][OPTIONS_KEY] = options
    return patcher
