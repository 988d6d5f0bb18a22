"""A model in parts that are loaded one after another, so that encoders and transformer are never
in memory together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ...bundle import LAYERS, MODEL_FILE, about, require_all_parts
from ...config import RELEASED_PARTS, ModelConfig
from ...encoders.load import load_text_encoder, load_vision_encoder
from ...encoders.text import TextEncoder
from ...encoders.tiny import BUNDLE, CLIP_FILE, TEXT_FILE, VAE_FILE
from ...encoders.vae import LatentCoder, load_latent_coder
from ...encoders.vision import VisionEncoder
from ...errors import EncoderError
from ...generate import SampleSettings
from ...model import PixWizard
from ...own_settings import RELEASED
from ...pipeline import Bundle
from ...taught import UNKNOWN, Taught
from ...weights.checkpoint import build_model, open_checkpoint
from .encode import LATENT, TOKENS, WORDS
from .lumina import first_weights, open_lumina

TOKENIZER_FILE = "tokenizer.json"
BUNDLE_FILES = (TEXT_FILE, CLIP_FILE, VAE_FILE, TOKENIZER_FILE)


@dataclass(frozen=True)
class ModelParts:
    """name: for display. small: whether it has the bundled model's own encoders. centres, settings,
    taught: as a bundle has them. text, vision, vae, model: load one part. header: entries of the
    transformer's file. beside: files that make a folder of the transformer a complete bundle.
    files: by the kind of results, the files and folders of their encoder; none when these are not
    on disk."""

    name: str
    small: bool
    config: ModelConfig
    centres: tuple[int, ...]
    settings: SampleSettings
    taught: Taught
    text: Callable[[], TextEncoder]
    vision: Callable[[], VisionEncoder]
    vae: Callable[[], LatentCoder]
    model: Callable[[], PixWizard]
    header: Mapping[str, str] = field(default_factory=dict[str, str])
    beside: tuple[Path, ...] = ()
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict[str, tuple[Path, ...]])

    def check_widths(self, kind: str, widths: tuple[int, ...]) -> None:
        """Raise EncoderError for an encoder whose results have other widths than the model wants.
        kind: WORDS, with the widths of its features and of its pooled vector, or TOKENS, with
        one; others have none."""
        config = self.config
        if kind == WORDS and widths != (wanted := (config.cap_feat_dim, config.cap_clip_feat_dim)):
            raise EncoderError(
                f"{self.name} was trained with text features of widths {wanted}, and these "
                f"encoders give {widths}; use those it was trained with"
            )
        if kind == TOKENS and widths != (config.image_feat_dim,):
            raise EncoderError(
                f"{self.name} was trained with image tokens of width "
                f"{config.image_feat_dim}, and this encoder gives {widths[0]}; use the "
                "one it was trained with"
            )

    def check_text(self, text: TextEncoder) -> TextEncoder:
        """The encoder itself. Raises EncoderError for one of another width than the model wants."""
        self.check_widths(WORDS, (text.width, text.pooled_width))
        return text

    def check_vision(self, vision: VisionEncoder) -> VisionEncoder:
        """The encoder itself. Raises EncoderError for one of another width than the model wants."""
        self.check_widths(TOKENS, (vision.width,))
        return vision


def small_parts(folder: str | Path | None = None, device: str = "cpu") -> ModelParts:
    """The bundled model, or one in a folder of the same layout, in float32. Raises CheckpointError
    for a transformer that cannot be read; the other files are read when they are needed."""
    place = BUNDLE if folder is None else Path(folder)
    opened = open_checkpoint(place / MODEL_FILE)
    said = about(opened)
    return ModelParts(
        said.name,
        True,
        opened.config,
        said.own.centres,
        said.own.settings,
        said.taught,
        lambda: load_text_encoder(place / TEXT_FILE, place / CLIP_FILE, device=device),
        lambda: load_vision_encoder(place / CLIP_FILE, device=device),
        lambda: load_latent_coder(place / VAE_FILE, device=device),
        lambda: build_model(opened, dtype=torch.float32, device=device, ops=LAYERS),
        opened.metadata,
        tuple(place / name for name in BUNDLE_FILES),
        _files(place / TEXT_FILE, place / CLIP_FILE, place / VAE_FILE),
    )


def released_parts(
    files: Mapping[str, str | Path | None], device: str = "cpu", dtype: torch.dtype | None = None
) -> ModelParts:
    """The released model, or another of its shape, from the paths of its four parts.

    files: by the names of config.RELEASED_PARTS. dtype: of the transformer; bfloat16 when None.
    Raises PixWizardError naming missing parts.
    """
    given = {part: files.get(part) for part in RELEASED_PARTS}
    require_all_parts({f"--{part}": path for part, path in given.items()})
    model, gemma, clip, vae = (Path(path) for path in given.values() if path)
    opened = open_checkpoint(model)
    said = about(opened)
    half = torch.bfloat16
    return ModelParts(
        said.name,
        False,
        opened.config,
        said.own.centres,
        said.own.settings,
        said.taught,
        lambda: load_text_encoder(gemma, clip, device=device, dtype=half),
        lambda: load_vision_encoder(clip, device=device, dtype=half),
        lambda: load_latent_coder(vae, device=device),
        lambda: build_model(opened, dtype=dtype or half, device=device, ops=LAYERS),
        opened.metadata,
        files=_files(gemma, clip, vae),
    )


def _files(text: Path, clip: Path, vae: Path) -> dict[str, tuple[Path, ...]]:
    """The files of the encoders by the kind of their results."""
    return {WORDS: (text, clip), TOKENS: (clip,), LATENT: (vae,)}


def lumina_parts(
    lumina: str | Path, files: Mapping[str, str | Path | None], device: str = "cpu", seed: int = 0
) -> ModelParts:
    """A new PixWizard that begins with Lumina-Next's weights, in float32. files: paths of gemma,
    clip and vae. Raises PixWizardError naming missing parts, and CheckpointError for weights of
    another model."""
    given = {part: files.get(part) for part in ("gemma", "clip", "vae")}
    require_all_parts({f"--{part}": path for part, path in given.items()})
    gemma, clip, vae = (Path(path) for path in given.values() if path)
    opened = open_lumina(lumina)
    half = torch.bfloat16

    def model() -> PixWizard:
        made = PixWizard(opened.config, ops=LAYERS, device="meta")
        made.load_state_dict(first_weights(opened, seed), strict=True, assign=True)
        return made.to(device).eval().requires_grad_(False)

    return ModelParts(
        "Lumina-Next",
        False,
        opened.config,
        RELEASED.centres,
        RELEASED.settings,
        UNKNOWN,
        lambda: load_text_encoder(gemma, clip, device=device, dtype=half),
        lambda: load_vision_encoder(clip, device=device, dtype=half),
        lambda: load_latent_coder(vae, device=device),
        model,
        files=_files(gemma, clip, vae),
    )


def parts_of(bundle: Bundle, name: str = "PixWizard") -> ModelParts:
    """A bundle that is already in memory, in parts."""
    return ModelParts(
        name,
        True,
        bundle.model.config,
        bundle.centres,
        bundle.settings,
        bundle.taught,
        lambda: bundle.text,
        lambda: bundle.vision,
        lambda: bundle.vae,
        lambda: bundle.model,
    )
