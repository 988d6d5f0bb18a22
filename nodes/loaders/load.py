"""Loaders: the bundled model, the released one, and its text encoder. None of them touches the
network."""

from __future__ import annotations

from pathlib import Path

import comfy.sd
import comfy.sd1_clip
import comfy.utils
import torch
from comfy_api.latest import io

from ...pixwizard_core.bundle import MODEL_FILE
from ...pixwizard_core.encoders.load import Weights, read_source, source_tokenizer
from ...pixwizard_core.encoders.text import Tokenizers
from ...pixwizard_core.encoders.tiny import BUNDLE, CLIP_FILE, TEXT_FILE, VAE_FILE
from ...pixwizard_core.errors import CheckpointError
from ...pixwizard_core.own_settings import of_shape, own_settings
from ...pixwizard_core.taught import taught_by
from ...pixwizard_core.weights.checkpoint import Checkpoint, open_checkpoint
from ...pixwizard_core.weights.published import ENCODERS_WANTED as WANTED
from ...pixwizard_core.weights.published import ORIGIN
from ..encoders.self_check import require_right_layers
from ..encoders.text import EncoderWeights, make_clip
from ..encoders.vision import make_clip_vision
from ..host.files import known_file, model_files, model_folders, resolve
from ..host.patchers import is_dynamic, patcher_class
from ..host.progress import each, progress
from ..host.reload import reloadable
from ..host.versions import schema
from ..model.host_model import make_patcher
from ..model.transformer import RunOptions
from ..shared.base import Node

DTYPES = {
    "default": None,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
# Where files are looked for, the first folder first.
MODEL_FOLDERS = ("diffusion_models", "checkpoints")
GEMMA_FOLDERS, CLIP_FOLDERS = ("LLM", "text_encoders"), ("text_encoders", "clip_vision")
VISION_FOLDERS = ("clip_vision", "text_encoders")
DEVICES = {"default": None, "cpu": "cpu"}
HOST_CLIP_WORDS = Path(comfy.sd1_clip.__file__).parent / "sd1_tokenizer"  # CLIP-L's vocabulary


def load_transformer(path: Path, dtype: torch.dtype | None, disable_dynamic: bool = False):
    """MODEL of a checkpoint file. Raises CheckpointError when it is not a PixWizard."""
    require_right_layers()
    opened = open_checkpoint(path)
    step = progress(len(opened.shapes) + 1)
    weights = weights_of(opened, step)
    own = own_settings(opened.metadata, of_shape(opened.config))
    patcher = make_patcher(
        opened.config, weights, RunOptions(own.centres), own=own, dtype=dtype,
        taught=taught_by(opened.metadata, opened.config, opened.info.path.name),
        disable_dynamic=disable_dynamic,
    )  # fmt: skip
    step()
    return reloadable(patcher, [opened.info.path], load_transformer, path, dtype)


def weights_of(opened: Checkpoint | Weights, step) -> dict[str, torch.Tensor]:
    return {name: opened.fetch(name) for name in each(opened.shapes, step)}


def load_clip(
    gemma_path: Path, clip_path: Path, device: str | None = None, disable_dynamic: bool = False
):
    """CLIP of Gemma and CLIP text, on device or where the host puts it. Raises EncoderError, saying
    what each file is, when it is not."""
    require_right_layers()
    gemma, clip = read_source("gemma", gemma_path), read_source("clip_text", clip_path)
    has_words = any((clip.folder / name).is_file() for name in ("tokenizer.json", "vocab.json"))
    tokenizers = Tokenizers(
        source_tokenizer("gemma", gemma),
        source_tokenizer("clip_text", clip, None if has_words else HOST_CLIP_WORDS),
        clip.config["max_position_embeddings"],
    )
    step = progress(len(gemma.weights.shapes) + len(clip.weights.shapes))
    gemma_part, clip_part = (
        EncoderWeights(source.config, weights_of(source.weights, step)) for source in (gemma, clip)
    )
    made = make_clip(gemma_part, clip_part, tokenizers, device, disable_dynamic=disable_dynamic)
    beside = gemma.folder / MODEL_FILE  # a small model's files are one folder
    if beside.is_file():
        transformer = open_checkpoint(beside)
        made.cond_stage_model.taught = taught_by(
            transformer.metadata, transformer.config, MODEL_FILE
        )
    files = {*gemma.files, *clip.files}
    return reloadable(made, files, load_clip, gemma_path, clip_path, device)


def load_clip_vision(path: Path, disable_dynamic: bool = False):
    """CLIP_VISION of a file. Raises EncoderError when it is another model."""
    require_right_layers()
    source = read_source("clip_vision", path)
    step = progress(len(source.weights.shapes))
    weights = weights_of(source.weights, step)
    made = make_clip_vision(source.config, weights, disable_dynamic=disable_dynamic)
    return reloadable(made, source.files, load_clip_vision, path)


def load_vae(path: Path, dtype: torch.dtype | None, disable_dynamic: bool = False):
    """VAE of a file, in this precision or the host's choice. Raises CheckpointError when the host
    knows no VAE with such weights."""
    require_right_layers()
    made = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(path), safe_load=True), dtype=dtype)
    if made.first_stage_model is None:
        raise CheckpointError(f"{path.name} holds no autoencoder that this ComfyUI recognises")
    if disable_dynamic and is_dynamic(made.patcher):
        # The host's class has no such choice. Its plain patcher does not cast to the wanted type.
        network = made.first_stage_model.to(made.vae_dtype)
        places = {"load_device": made.device, "offload_device": made.patcher.offload_device}
        made.patcher = patcher_class(disable_dynamic)(network, **places)
    return reloadable(made, [path], load_vae, path, dtype)


class LoadTiny(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadTiny",
            display_name="PixWizard Load Tiny (bundled)",
            description="Loads PixWizard Tiny, the small model that ships with this extension: the "
            "same architecture, trained on rendered rooms. There is nothing to download.",
            search_aliases=["checkpoint", "demo model"],
            inputs=[],
            outputs=[
                io.Model.Output("model", display_name="model"),
                io.Clip.Output("clip", display_name="clip"),
                io.ClipVision.Output("clip_vision", display_name="clip_vision"),
                io.Vae.Output("vae", display_name="vae"),
            ],
        )

    @classmethod
    def run(cls):
        return io.NodeOutput(
            load_transformer(BUNDLE / MODEL_FILE, torch.float32),
            load_clip(BUNDLE / TEXT_FILE, BUNDLE / CLIP_FILE),
            load_clip_vision(BUNDLE / CLIP_FILE),
            load_vae(BUNDLE / VAE_FILE, torch.float32),
        )


class LoadModel(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadModel",
            display_name="PixWizard Load Model",
            description="Loads a PixWizard transformer: as released, converted to safetensors, or "
            f"saved by the host. {ORIGIN}, for models/diffusion_models.",
            search_aliases=["checkpoint", "diffusion model", "unet"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=model_files(*MODEL_FOLDERS),
                    tooltip="File in models/diffusion_models or models/checkpoints. It is "
                    "recognised by its content; its name does not matter.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(DTYPES),
                    default="default",
                    tooltip="How weights are stored in memory. default leaves the choice to "
                    "ComfyUI. The 2B model takes 8 GB in float32, 4 GB in bfloat16, 2 GB in fp8 "
                    "with some loss.",
                ),
            ],
            outputs=[io.Model.Output("model", display_name="model")],
        )

    @classmethod
    def validate_inputs(cls, model_name=None):
        return known_file(model_name, ORIGIN, MODEL_FOLDERS)

    @classmethod
    def run(cls, model_name, weight_dtype):
        dtype = DTYPES[weight_dtype]
        return io.NodeOutput(load_transformer(resolve(model_name, ORIGIN, MODEL_FOLDERS), dtype))


class LoadTextEncoder(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadTextEncoder",
            display_name="PixWizard Load Text Encoder",
            description=f"Loads Gemma 2B and CLIP-L text as one CLIP. {WANTED['gemma']}. "
            f"{WANTED['clip_text']}.",
            search_aliases=["gemma", "clip loader"],
            inputs=[
                io.Combo.Input(
                    "gemma",
                    options=[
                        *model_folders(*GEMMA_FOLDERS),
                        *model_files(*reversed(GEMMA_FOLDERS)),
                    ],
                    tooltip="Folder (ends in /) or single file of Gemma 2B, first generation, in "
                    "models/LLM or models/text_encoders, with its tokenizer.json beside it.",
                ),
                io.Combo.Input(
                    "clip",
                    options=[
                        *model_folders(*CLIP_FOLDERS),
                        *model_files(*CLIP_FOLDERS),
                    ],
                    tooltip="Folder (ends in /) or single file of CLIP-L/14 at 336 px with its "
                    "text half, in models/text_encoders or models/clip_vision.",
                ),
                io.Combo.Input(
                    "device",
                    options=list(DEVICES),
                    default="default",
                    optional=True,
                    tooltip="Where to encode the text. default leaves the choice to ComfyUI. cpu "
                    "leaves the GPU memory to the model and takes a few seconds per text.",
                ),
            ],
            outputs=[io.Clip.Output("clip_out", display_name="clip")],
        )

    @classmethod
    def validate_inputs(cls, gemma=None, clip=None):
        known = known_file(gemma, WANTED["gemma"], GEMMA_FOLDERS)
        return known if known is not True else known_file(clip, WANTED["clip_text"], CLIP_FOLDERS)

    @classmethod
    def run(cls, gemma, clip, device="default"):
        place = DEVICES[device]
        gemma_path = resolve(gemma, WANTED["gemma"], GEMMA_FOLDERS)
        clip_path = resolve(clip, WANTED["clip_text"], CLIP_FOLDERS)
        return io.NodeOutput(load_clip(gemma_path, clip_path, place))


class LoadVisionEncoder(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadVisionEncoder",
            display_name="PixWizard Load Vision Encoder",
            description="Loads CLIP-L/14 at 336 px as a CLIP_VISION that computes the same on "
            f"every ComfyUI; stock nodes accept it too. {WANTED['clip_vision']}.",
            search_aliases=["clip vision", "clip vision loader", "image encoder"],
            inputs=[
                io.Combo.Input(
                    "clip_vision",
                    options=[
                        *model_folders(*VISION_FOLDERS),
                        *model_files(*VISION_FOLDERS),
                    ],
                    tooltip="Folder (ends in /) or single file of CLIP-L/14 at 336 px with its "
                    "vision half, in models/clip_vision or models/text_encoders. It can be the "
                    "file that Load Text Encoder uses for its text half.",
                ),
            ],
            outputs=[io.ClipVision.Output("vision_out", display_name="clip_vision")],
        )

    @classmethod
    def validate_inputs(cls, clip_vision=None):
        return known_file(clip_vision, WANTED["clip_vision"], VISION_FOLDERS)

    @classmethod
    def run(cls, clip_vision):
        path = resolve(clip_vision, WANTED["clip_vision"], VISION_FOLDERS)
        return io.NodeOutput(load_clip_vision(path))
