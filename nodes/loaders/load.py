"""Loaders: the bundled model, the released model and its encoders. None of them touches the
network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.sd
import comfy.sd1_clip
import comfy.utils
import torch
from comfy_api.latest import io

from ...pixwizard_core.bundle import MODEL_FILE, About, about
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
from ..host.patchers import WeightsInFile, is_dynamic, patcher_class
from ..host.progress import progress
from ..host.quantised import NONE, Packed, kept
from ..host.reload import reloadable
from ..host.versions import schema
from ..model.host_model import make_patcher
from ..model.transformer import RunOptions
from ..shared.base import Node
from . import choices
from .bundle import whole_outputs, whole_result

DTYPES = {
    "default": None,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
DEVICES = {"default": None, "cpu": "cpu"}
HOST_CLIP_WORDS = Path(comfy.sd1_clip.__file__).parent / "sd1_tokenizer"  # CLIP-L's vocabulary


def load_transformer(path: Path, dtype: torch.dtype | None, disable_dynamic: bool = False):
    """MODEL of a checkpoint file. Raises CheckpointError when it is not a PixWizard."""
    require_right_layers()
    return transformer_of(open_checkpoint(path), path, dtype, disable_dynamic)


def load_described(path: Path, dtype: torch.dtype | None) -> tuple[Any, About]:
    """MODEL of a checkpoint file, and what it is, from one opening of the file. Raises as
    load_transformer() does."""
    require_right_layers()
    opened = open_checkpoint(path)
    return transformer_of(opened, path, dtype), about(opened)


def transformer_of(
    opened: Checkpoint, path: Path, dtype: torch.dtype | None, disable_dynamic: bool = False
):
    """MODEL of an open checkpoint. path: as the user named it, to load it from again."""
    step = progress(len(opened.shapes) + 1)
    weights = weights_of(opened, step, kept(opened.info.path.name, opened.packed, dtype))
    own = own_settings(opened.metadata, of_shape(opened.config))
    patcher = make_patcher(
        opened.config, weights, RunOptions(own.centres), own=own, dtype=dtype,
        taught=taught_by(opened.metadata, opened.config, opened.info.path.name),
        disable_dynamic=disable_dynamic,
    )  # fmt: skip
    step()
    return reloadable(patcher, [opened.info.path], load_transformer, path, dtype)


def weights_of(opened: Checkpoint | Weights, step, packed: Packed = NONE) -> WeightsInFile:
    """The weights, read when they are taken, with a step after each. packed: those that stay
    quantised."""

    def fetch(name: str) -> torch.Tensor:
        tensor = opened.fetch(name)
        step()
        return tensor

    return WeightsInFile(opened.shapes, opened.dtypes, fetch, packed, step)


def load_clip(
    gemma_path: Path, clip_path: Path, device: str | None = None, disable_dynamic: bool = False
):
    """CLIP of Gemma and CLIP text, on device or where the host puts it. Raises EncoderError that
    says what each file is when it is another one."""
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
        EncoderWeights(one.config, weights_of(one.weights, step, kept(at.name, one.weights.packed)))
        for at, one in ((gemma_path, gemma), (clip_path, clip))
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
    knows no VAE with these weights."""
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


def dtype_input() -> io.Combo.Input:
    """The input for the precision of the transformer in memory."""
    return io.Combo.Input(
        "weight_dtype",
        options=list(DTYPES),
        default="default",
        tooltip="How weights are stored in memory. default leaves the choice to ComfyUI and keeps "
        "the int8 or fp8_scaled weights of a file as they are. The 2B model takes 8 GB in float32, "
        "4 GB in bfloat16, 2.5 GB in fp8 with some loss.",
    )


def device_input() -> io.Combo.Input:
    """The input for where the text is encoded."""
    return io.Combo.Input(
        "device",
        options=list(DEVICES),
        default="default",
        optional=True,
        tooltip="Where to encode the text. default leaves the choice to ComfyUI. cpu leaves the "
        "GPU memory to the model and takes a few seconds per text.",
    )


class LoadTiny(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadTiny",
            display_name="PixWizard Load Tiny (bundled)",
            description="Loads PixWizard Tiny, the small model that ships with this extension: the "
            "same architecture, trained on rendered rooms and, for restoration, edges and filling, "
            "on a few photographs. There is nothing to download.",
            search_aliases=["checkpoint", "demo model"],
            inputs=[],
            outputs=whole_outputs(),
        )

    @classmethod
    def run(cls):
        return whole_result(
            load_described(BUNDLE / MODEL_FILE, torch.float32),
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
                choices.TRANSFORMER.socket(
                    "model_name",
                    "The list has files in models/diffusion_models and models/checkpoints.",
                ),
                dtype_input(),
            ],
            outputs=[io.Model.Output("model", display_name="model")],
        )

    @classmethod
    def validate_inputs(cls, model_name=None):
        return choices.known({choices.TRANSFORMER: model_name})

    @classmethod
    def fingerprint_inputs(cls, model_name=None, **_others):
        return choices.fingerprint({choices.TRANSFORMER: model_name})

    @classmethod
    def run(cls, model_name, weight_dtype):
        path = choices.chosen({choices.TRANSFORMER: model_name})["model"]
        return io.NodeOutput(load_transformer(path, DTYPES[weight_dtype]))


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
                choices.GEMMA_TEXT.socket(
                    "gemma",
                    "The list has folders (they end in /) and single files of Gemma 2B, first "
                    "generation, in models/LLM and models/text_encoders, with tokenizer.json "
                    "beside the weights.",
                ),
                choices.CLIP_TEXT.socket(
                    "clip",
                    "The list has folders (they end in /) and single files of CLIP-L/14 at 336 px "
                    "with its text half, in models/text_encoders and models/clip_vision.",
                ),
                device_input(),
            ],
            outputs=[io.Clip.Output("clip_out", display_name="clip")],
        )

    @classmethod
    def validate_inputs(cls, gemma=None, clip=None):
        return choices.known({choices.GEMMA_TEXT: gemma, choices.CLIP_TEXT: clip})

    @classmethod
    def fingerprint_inputs(cls, gemma=None, clip=None, **_others):
        return choices.fingerprint({choices.GEMMA_TEXT: gemma, choices.CLIP_TEXT: clip})

    @classmethod
    def run(cls, gemma, clip, device="default"):
        paths = choices.chosen({choices.GEMMA_TEXT: gemma, choices.CLIP_TEXT: clip})
        return io.NodeOutput(load_clip(paths["gemma"], paths["clip_text"], DEVICES[device]))


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
                choices.CLIP_VISION.socket(
                    "clip_vision",
                    "The list has folders (they end in /) and single files of CLIP-L/14 at 336 px "
                    "with its vision half, in models/clip_vision and models/text_encoders. It can "
                    "be the file that Load Text Encoder uses for its text half.",
                ),
            ],
            outputs=[io.ClipVision.Output("vision_out", display_name="clip_vision")],
        )

    @classmethod
    def validate_inputs(cls, clip_vision=None):
        return choices.known({choices.CLIP_VISION: clip_vision})

    @classmethod
    def fingerprint_inputs(cls, clip_vision=None, **_others):
        return choices.fingerprint({choices.CLIP_VISION: clip_vision})

    @classmethod
    def run(cls, clip_vision):
        path = choices.chosen({choices.CLIP_VISION: clip_vision})["clip_vision"]
        return io.NodeOutput(load_clip_vision(path))
