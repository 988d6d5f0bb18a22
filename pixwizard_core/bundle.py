"""Complete sets of models: the bundled one, and the released one from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .config import PRESETS, TINY, ModelConfig
from .decode.palette import ADE20K, TINY_WORLD
from .encoders.load import load_text_encoder, load_vision_encoder, require_widths
from .encoders.tiny import BUNDLE, load_encoders, load_vae
from .encoders.vae import load_latent_coder
from .errors import PixWizardError
from .model import cpu_ops
from .own_settings import RELEASED, OwnSettings, bundled_settings, of_shape, own_settings
from .pipeline import Bundle
from .taught import Taught, taught_by, with_tasks
from .weights.checkpoint import Checkpoint, build_model, open_checkpoint
from .weights.locate import SMALL_NAME
from .weights.lora_apply import add_loras
from .weights.lora_header import tasks_taught
from .weights.lora_use import Applied, LoraUse

# Layers of the transformer; in float32 on x86 they use a private op of PyTorch.
LAYERS = cpu_ops
MODEL_FILE = SMALL_NAME


@dataclass(frozen=True, slots=True)
class About:
    """What a caller needs to know of a model.

    name: for display. demo: whether it is the bundled demonstration, which knows only rendered
    rooms. own: its centres and recommended settings. palette: the classes it was trained with, by
    their title in decode.palette. taught: its tasks, and how it was asked.
    """

    name: str
    demo: bool
    own: OwnSettings
    palette: str
    taught: Taught


def is_demo(config: ModelConfig) -> bool:
    """Whether a model of this configuration is the bundled demonstration."""
    return config == TINY


def palette_of_shape(config: ModelConfig) -> str:
    """The classes that a model of this configuration paints, by the name that decode.palette
    knows."""
    return TINY_WORLD if is_demo(config) else ADE20K


def name_of_shape(config: ModelConfig) -> str:
    """What to call a model of this configuration."""
    if is_demo(config):
        return "PixWizard Tiny"
    known = (name for name, values in PRESETS.items() if values == config)
    return next(known, f"PixWizard of width {config.dim}")


def about(opened: Checkpoint) -> About:
    """Describe the model in an open transformer file. Raises CheckpointError for a damaged
    header."""
    config = opened.config
    return About(
        name=name_of_shape(config),
        demo=is_demo(config),
        own=own_settings(opened.metadata, of_shape(config)),
        palette=palette_of_shape(config),
        taught=taught_by(opened.metadata, config, opened.info.path.name),
    )


def load_tiny(folder: str | Path = BUNDLE, device: torch.device | str = "cpu") -> Bundle:
    """The bundled model, PixWizard Tiny, in float32.

    Raises CheckpointError or EncoderError when a file is missing or damaged.
    """
    folder = Path(folder)
    text, vision = load_encoders(folder, device=device)
    opened = open_checkpoint(folder / MODEL_FILE)
    own = own_settings(opened.metadata, bundled_settings())
    return Bundle(
        model=build_model(opened, dtype=torch.float32, device=device, ops=LAYERS),
        text=text,
        vision=vision,
        vae=load_vae(folder, device=device),
        centres=own.centres,
        settings=own.settings,
        task_settings=own.task_settings,
        palette=TINY_WORLD,
        taught=taught_by(opened.metadata, opened.config, MODEL_FILE),
    )


def require_all_parts(given: Mapping[str, object]) -> None:
    """Raise PixWizardError naming the parts of the released model that are not given. given: the
    path of each, by the name that the caller uses."""
    missing = [name for name, place in given.items() if not place]
    if missing:
        raise PixWizardError(
            f"the released model has four parts; give also {', '.join(missing)} "
            "(gemma-2b, clip-vit-large-patch14-336, the SDXL VAE)"
        )


def load_released(
    model: str | Path,
    gemma: str | Path,
    clip: str | Path,
    vae: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
) -> Bundle:
    """Load the released model from its folder or file, with Gemma-2B, CLIP-L/14-336 and the SDXL
    VAE.

    The VAE runs in float32, whose range it needs. Raises CheckpointError or EncoderError, naming
    what was found, for a missing or wrong part.
    """
    opened = open_checkpoint(model)
    transformer = build_model(opened, dtype=dtype, device=device, ops=LAYERS)
    text = load_text_encoder(gemma, clip, device=device, dtype=dtype)
    vision = load_vision_encoder(clip, device=device, dtype=dtype)
    config = transformer.config
    require_widths(
        text,
        vision,
        words=config.cap_feat_dim,
        pooled=config.cap_clip_feat_dim,
        image=config.image_feat_dim,
    )
    own = own_settings(opened.metadata, RELEASED)
    return Bundle(
        model=transformer,
        text=text,
        vision=vision,
        vae=load_latent_coder(vae, device=device),
        centres=own.centres,
        settings=own.settings,
        task_settings=own.task_settings,
        taught=taught_by(opened.metadata, opened.config, opened.info.path.name),
    )


def with_loras(bundle: Bundle, uses: Sequence[LoraUse]) -> tuple[Bundle, list[Applied]]:
    """The bundle with LoRA files added to its model, in place, and what each changed. It also
    counts the tasks that the files say they were trained on as taught. Raises CheckpointError,
    having changed nothing, for a file that does not fit."""
    taught = with_tasks(bundle.taught, tasks_taught(uses))
    applied = add_loras(bundle.model, uses)
    return replace(bundle, taught=taught), applied
