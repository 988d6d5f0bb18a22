"""The parts of the released model: who publishes them, how large they are, and where they go.

Loaders, their messages, `pixwizard get` and the documents all read this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the released model.

    name: its name in commands. files: required files by their names in the repository, the weights
    first. others: optional files, fetched if the repository has them. size: of the weights, in
    words. n_bytes: of their numbers alone. folders: those below models/ that loaders search, first
    the one that `pixwizard get` fills; place: the folder or file in it. terms: what a person must
    accept before downloading, "" if nothing.
    """

    name: str
    title: str
    repository: str
    files: tuple[str, ...]
    others: tuple[str, ...]
    size: str
    n_bytes: int
    folders: tuple[str, ...]
    place: str
    terms: str = ""

    @property
    def page(self) -> str:
        """The address of its web page."""
        return f"{HUB}/{self.repository}"

    @property
    def is_folder(self) -> bool:
        """Whether its files belong together in a folder of their own."""
        return len(self.files) > 1

    @property
    def by_hand(self) -> str:
        """Where to put the files by hand, below ComfyUI's folder."""
        folder = f"models/{self.folders[0]}"
        return f"{folder}/{self.place}" if self.is_folder else folder


MODEL = Part(
    name="model",
    title="PixWizard transformer",
    repository="Afeng-x/PixWizard",
    files=("consolidated_ema.00-of-01.pth",),
    others=("model_args.pth",),
    size="8.05 GB",
    n_bytes=8_045_767_904,
    folders=("diffusion_models", "checkpoints"),
    place="pixwizard_bf16.safetensors",
)
GEMMA = Part(
    name="gemma",
    title="Gemma 2B, first generation",
    repository="google/gemma-2b",
    files=(
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ),
    others=("config.json",),
    size="5.0 GB",
    n_bytes=5_012_344_832,
    folders=("LLM", "text_encoders"),
    place="gemma-2b",
    terms="Google's Gemma Terms of Use",
)
CLIP = Part(
    name="clip",
    title="CLIP-L/14 at 336 px",
    repository="openai/clip-vit-large-patch14-336",
    files=("pytorch_model.bin", "tokenizer.json"),
    others=("config.json",),
    size="1.7 GB",
    n_bytes=1_711_776_772,
    folders=("text_encoders", "clip_vision"),
    place="clip-vit-large-patch14-336",
)
VAE = Part(
    name="vae",
    title="SDXL VAE",
    repository="stabilityai/sdxl-vae",
    files=("sdxl_vae.safetensors",),
    others=(),
    size="335 MB",
    n_bytes=334_615_452,
    folders=("vae",),
    place="sdxl_vae.safetensors",
)
PARTS: Mapping[str, Part] = MappingProxyType({p.name: p for p in (MODEL, GEMMA, CLIP, VAE)})

ORIGIN = f"The released weights are {MODEL.files[0]} ({MODEL.size}) from {MODEL.page}"
_CLIP_FILES = (
    f"{CLIP.repository} from huggingface.co ({CLIP.files[0]}, {CLIP.size}, with {CLIP.files[1]}), "
    f"in a folder such as models/{CLIP.folders[0]}/{CLIP.place}"
)
ENCODERS_WANTED: Mapping[str, str] = MappingProxyType(
    {
        "gemma": f"PixWizard needs Gemma 2B of the first generation: {GEMMA.repository} from "
        f"huggingface.co ({GEMMA.files[0]} and 00002, {GEMMA.size}, with {GEMMA.files[3]}), in a "
        f"folder such as models/{GEMMA.folders[0]}/{GEMMA.place}",
        "clip_text": f"PixWizard needs the text half, with projection, of {_CLIP_FILES}",
        "clip_vision": f"PixWizard needs the vision half of {_CLIP_FILES}",
    }
)
VAE_WANTED = (
    f"PixWizard needs the SDXL VAE: {VAE.repository} from huggingface.co ({VAE.size}), or "
    f"madebyollin/sdxl-vae-fp16-fix, in models/{VAE.folders[0]}"
)
