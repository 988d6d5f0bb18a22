"""PixWizard as one of the host's own models, so that its memory manager, samplers, LoRA and patches
work."""

from __future__ import annotations

import weakref
from typing import ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.patcher_extension
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ...pixwizard_core.bundle import is_demo, name_of_shape, palette_of_shape
from ...pixwizard_core.conditioning import pad_text
from ...pixwizard_core.config import ModelConfig
from ...pixwizard_core.errors import CheckpointError, EncoderError, SamplingError
from ...pixwizard_core.own_settings import RELEASED, OwnSettings
from ...pixwizard_core.taught import UNKNOWN, Taught
from ...pixwizard_core.weights.finite import (
    TEXT_ENCODER,
    VAE,
    VISION_ENCODER,
    all_finite,
    damaged_weight,
    finite_output,
)
from ..host.patchers import apply_every_patch, layers_for, patcher_class, take_weights
from . import latents
from .patches import one_run, reference_cfg
from .prepared_cache import PreparedCache
from .region_conds import regions_cond
from .text_masks import tokens_used
from .transformer import RunOptions, Transformer

IMAGE_LATENT = "pixwizard_image_latent"  # keys of a CONDITIONING that our Encode node fills
IMAGE_TOKENS = "pixwizard_image_tokens"
TASK = "pixwizard_task"  # its id, for nodes that choose by it; the model does not look at it


class ModelFamily(comfy.supported_models_base.BASE):
    """What the host needs to know about a model family."""

    unet_config: ClassVar[dict] = {}
    unet_extra_config: ClassVar[dict] = {}
    sampling_settings: ClassVar[dict] = {"multiplier": 1.0, "shift": 1.0}
    latent_format = comfy.latent_formats.SDXL
    memory_usage_factor = 0.72  # a check on every host measures a step of the released model
    supported_inference_dtypes: ClassVar[list] = [torch.bfloat16, torch.float32]


class PaddedCond(comfy.conds.CONDRegular):
    """A cond whose length is that of its text or its image tokens. Branches of different length
    share a forward pass, padded with zeros."""

    def can_concat(self, other) -> bool:
        mine, its = self.cond, other.cond
        same = mine.shape[0] == its.shape[0] and mine.shape[2:] == its.shape[2:]
        return isinstance(other, PaddedCond) and same and mine.device == its.device

    def concat(self, others) -> Tensor:
        texts = [self.cond, *(other.cond for other in others)]
        longest = max(text.shape[1] for text in texts)
        return torch.cat([pad_text(text, longest) for text in texts])


class HostModel(comfy.model_base.BaseModel):
    """The host's wrapper around the transformer: turns conditioning dicts into its inputs."""

    def __init__(self, model_config: ModelFamily, device=None) -> None:
        super().__init__(
            model_config, comfy.model_base.ModelType.FLOW, device=device, unet_model=Transformer
        )
        self.eval().requires_grad_(False)
        # Nodes made for UNets look it up before they know which model they patch.
        width = self.diffusion_model.config.dim
        self.model_config.unet_config = {**self.model_config.unet_config, "model_channels": width}
        # The noise of the current run, and its cache.
        self._run: tuple[weakref.ref[Tensor], weakref.ref[PreparedCache]] | None = None

    def process_timestep(self, timestep, **conds):
        # The stock ModelSamplingSD3 node multiplies time by 1000; this network wants 0..1.
        return timestep / float(getattr(self.model_sampling, "multiplier", 1.0))

    def extra_conds(self, **kwargs) -> dict:
        """Conds of one branch. Branches of the same keys can share a batch."""
        noise, device = self._noise_of(kwargs), kwargs["device"]
        kwargs = {**kwargs, "noise": noise}
        text, mask, pooled = self._text(kwargs)
        tokens, has_image = self._image_tokens(kwargs)
        regular, padded = comfy.conds.CONDRegular, PaddedCond
        return {
            "c_crossattn": padded(text.to(device)),
            "text_mask": padded(mask.to(device)),
            "pooled": regular(pooled.to(device)),
            "image_tokens": padded(tokens.to(device)),
            "has_image": regular(torch.tensor([int(has_image)], device=device, dtype=torch.int64)),
            "image_latent": comfy.conds.CONDNoiseShape(self._image_latent(kwargs).to(device)),
            "prepared_cache": comfy.conds.CONDConstant(
                None if kwargs.get("hooks") is not None else self._cache_of(noise)
            ),
            **regions_cond(kwargs, noise, self._text),
        }

    def process_latent_in(self, latent: Tensor) -> Tensor:
        """Called by the host for the latent to sample. Raises EncoderError for values that are not
        finite, as a VAE in float16 gives."""
        finite_output(latent, VAE, what="the latent to sample holds")
        return super().process_latent_in(latent)

    def process_latent_out(self, latent: Tensor) -> Tensor:
        """Called at the end of every sampler of the host. Raises SamplingError for values that are
        not finite, which would become a black picture."""
        return super().process_latent_out(checked(latent, self))

    def _text(self, kwargs: dict) -> tuple[Tensor, Tensor, Tensor]:
        """Text features, their mask as int64 and the pooled text. Raises EncoderError for those of
        another model or with numbers that are not finite."""
        config = self.diffusion_model.config
        text, pooled = kwargs.get("cross_attn"), kwargs.get("pooled_output")
        wanted = f"text width {config.cap_feat_dim} and pooled width {config.cap_clip_feat_dim}"
        met = [None if part is None else part.shape[-1] for part in (text, pooled)]
        fits = met == [config.cap_feat_dim, config.cap_clip_feat_dim]
        if text is None or pooled is None or not fits:
            raise EncoderError(
                f"this PixWizard model takes {wanted}. Got: {met[0]} and {met[1]}; encode the text "
                "with the CLIP of the PixWizard loader that belongs to this model"
            )
        for values in (text, pooled):
            finite_output(values, TEXT_ENCODER, what="the conditioning's text holds")
        return text, tokens_used(text, kwargs.get("attention_mask")), pooled

    def _image_tokens(self, kwargs: dict) -> tuple[Tensor, bool]:
        """Image tokens, and whether there is an image. Without one, a single zero token, which can
        be padded to any number when branches share a forward pass."""
        width = self.diffusion_model.config.image_feat_dim
        tokens = kwargs.get(IMAGE_TOKENS)
        if tokens is None:
            return torch.zeros(1, 1, width, dtype=torch.float32, device="cpu"), False
        if tokens.shape[-1] != width:
            raise EncoderError(
                f"this PixWizard model takes image tokens of width {width}. Got: "
                f"{tokens.shape[-1]}; encode the picture with the CLIP vision model that belongs "
                "to this model"
            )
        finite_output(tokens, VISION_ENCODER, what="the conditioning's image tokens hold")
        return tokens, True

    def _image_latent(self, kwargs: dict) -> Tensor:
        """Image latent in model space at the size of the noise; without an image, the noise
        itself. Raises SamplingError for a picture of another shape."""
        noise, log = kwargs["noise"], self.diffusion_model.run_log
        own, stock = kwargs.get(IMAGE_LATENT), kwargs.get("concat_latent_image")
        latent = latents.of_size(noise, own, stock, log)
        if latent is None:
            return noise_from_seed(noise, kwargs.get("latent_image"), kwargs.get("seed"))
        finite_output(latent, VAE, what="the conditioning's picture holds")
        return self.process_latent_in(latent)

    def _noise_of(self, kwargs: dict) -> Tensor:
        """The noise that the run began with. A patch that encodes a conditioning between two steps
        passes the partly denoised latent and no seed, although the host always passes one."""
        noise = kwargs["noise"]
        latents.require_latent(noise)
        latents.require_channels(noise)
        known = None if "seed" in kwargs or self._run is None else self._run[0]()
        return known if known is not None and known.shape == noise.shape else noise

    def _cache_of(self, noise: Tensor) -> PreparedCache:
        """The cache of this run. Only the conds of the run keep it alive, so it ends with them."""
        if self._run is not None:
            known, cache = self._run[0](), self._run[1]()
            if known is noise and cache is not None:
                return cache
        cache = PreparedCache()
        self._run = weakref.ref(noise), weakref.ref(cache)
        return cache


def checked(samples: Tensor, model: HostModel) -> Tensor:
    """The samples, if they are finite. Raises SamplingError that names the weight which is not, or
    else says in which dtype the model ran."""
    if all_finite(samples):
        return samples
    name = damaged_weight(model.diffusion_model)
    if name:
        raise SamplingError(
            f"sampling ended in values that are not finite, because the weight {name} holds some; "
            "a LoRA or a merge of models made it so: lower its strength, or take it out"
        )
    stored = model.get_dtype()
    computed = model.manual_cast_dtype or stored
    raise SamplingError(
        "sampling ended in values that are not finite (weights "
        f"{name_of(stored)}, computed in {name_of(computed)}); load the model with weight_dtype "
        "float32 or bfloat16, or lower the guidance or the LoRA's strength"
    )


def name_of(dtype) -> str:
    return str(dtype).removeprefix("torch.")


def noise_from_seed(noise: Tensor, latent_image: Tensor | None, seed: int | None) -> Tensor:
    """The noise that a run began with. Samplers that add no noise pass zeros; then it is drawn
    again from the seed."""
    if seed is None or bool(noise.any()):
        return noise
    generator = torch.Generator().manual_seed(seed)
    shape = noise.shape if latent_image is None else latent_image.shape
    return torch.randn(shape, generator=generator, dtype=noise.dtype, device="cpu").to(noise.device)


def require_pixwizard(model, who: str) -> None:
    """Raise CheckpointError unless a MODEL is a PixWizard. who: the node, for the message."""
    if not isinstance(model.model, HostModel):
        raise CheckpointError(
            f"{who} needs a PixWizard model. Got: {type(model.model).__name__}; connect Load Tiny "
            "or Load Model"
        )


def taught_of(model, who: str) -> Taught:
    """What a MODEL was taught. Raises CheckpointError if it is not a PixWizard. who: the node, for
    the message."""
    require_pixwizard(model, who)
    return model.model.diffusion_model.taught


def own_settings_of(model, who: str) -> OwnSettings:
    """What a MODEL's file says of its sizes and settings. Raises CheckpointError if it is not a
    PixWizard. who: the node, for the message."""
    require_pixwizard(model, who)
    return model.model.diffusion_model.own_settings


def painted_palette(model, who: str) -> str:
    """The name of the classes that a MODEL paints. Raises CheckpointError if it is not a PixWizard.
    who: the node, for the message."""
    require_pixwizard(model, who)
    return palette_of_shape(model.model.diffusion_model.config)


def name_and_demo(model, who: str) -> tuple[str, bool]:
    """What a MODEL is called, and whether it is the bundled demonstration. Raises CheckpointError
    if it is not a PixWizard. who: the node, for the message."""
    require_pixwizard(model, who)
    config = model.model.diffusion_model.config
    return name_of_shape(config), is_demo(config)


def trained_centres(model) -> tuple[int, ...]:
    """Sides in px of the squares that a MODEL was trained at, or None's, the released model's."""
    return RELEASED.centres if model is None else own_settings_of(model, "auto").centres


def make_patcher(
    config: ModelConfig,
    state_dict: dict[str, Tensor],
    options: RunOptions,
    *,
    own: OwnSettings = RELEASED,
    dtype: torch.dtype | None = None,
    taught: Taught = UNKNOWN,
    disable_dynamic: bool = False,
):
    """Host MODEL of these weights.

    state_dict: exactly the names of the config, in any float dtype or quantised; it is emptied.
    own, taught: what the model says of itself. dtype: of weights that are not quantised; None lets
    the host choose. disable_dynamic: use the plain patcher in any case.
    """
    management = comfy.model_management
    device, offload = management.get_torch_device(), management.unet_offload_device()
    supported = ModelFamily.supported_inference_dtypes
    stored: torch.dtype = dtype or management.unet_dtype(
        model_params=sum(weight.numel() for weight in state_dict.values()),
        supported_dtypes=supported,
        weight_dtype=comfy.utils.weight_dtype(state_dict),
    )
    family = ModelFamily({**config.to_dict(), "dtype": stored})
    family.set_inference_dtype(stored, management.unet_manual_cast(stored, device, supported))
    family.custom_operations = layers_for(state_dict, family.manual_cast_dtype or stored)
    model = HostModel(family, device=offload)
    model.diffusion_model.options = options
    model.diffusion_model.own_settings = own
    model.diffusion_model.taught = taught
    patcher = patcher_class(disable_dynamic)(model, load_device=device, offload_device=offload)
    take_weights(model.diffusion_model, state_dict, stored, patcher, "model")
    patcher.set_model_sampler_cfg_function(reference_cfg)
    runs = comfy.patcher_extension.WrappersMP.OUTER_SAMPLE
    patcher.add_wrapper_with_key(runs, "pixwizard_run", one_run)
    apply_every_patch(patcher)
    return patcher
