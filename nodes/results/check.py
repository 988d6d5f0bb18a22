"""PixWizard Check: a report on this installation for a person, and for a bug report."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import comfy.clip_vision
import comfy.model_management
import comfy.sd
import comfy.utils
import torch
from comfy_api.latest import io

from ...pixwizard_core.bundle import MODEL_FILE
from ...pixwizard_core.encoders import reference
from ...pixwizard_core.encoders.load import read_source
from ...pixwizard_core.encoders.taesd import LATENT_SCALE
from ...pixwizard_core.encoders.tiny import BUNDLE, CLIP_FILE, TEXT_FILE, VAE_FILE
from ...pixwizard_core.errors import kind_and_reason
from ...pixwizard_core.own_settings import bundled_settings
from ...pixwizard_core.tasks import instruction
from ...pixwizard_core.verify import doctor
from ..encoders import conditioning, self_check
from ..encoders.text import TextModel
from ..encoders.vision import HostClipVision
from ..host import quantised
from ..host.files import model_files, resolve
from ..host.versions import host_version, schema
from ..loaders.load import load_clip, load_clip_vision, load_transformer, load_vae
from ..model.host_model import HostModel, name_of
from ..sampling.guider import Guidance
from ..sampling.sample import make_guider, run_sampler, sigmas
from ..shared.base import Node
from ..shared.layouts import from_image_01, to_image_01

FILE_KINDS = ("diffusion_models", "checkpoints", "text_encoders", "LLM", "clip_vision", "vae")
TASK = "depth"  # of the small picture
FIELDS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "patch_size", "image_size",
)  # fmt: skip


def host_lines() -> list[str]:
    """The host, its devices, and how it keeps and computes models."""
    management = comfy.model_management
    device = management.get_torch_device()
    total = management.get_total_memory(device) / 2**30
    return [
        f"ComfyUI {host_version()} on {device} ({total:.1f} GiB), memory "
        f"{management.vram_state.name.lower()}, text encoders on "
        f"{management.text_encoder_device()} in {name_of(management.text_encoder_dtype())}, VAE in "
        f"{name_of(management.vae_dtype())}",
    ]


def layer_lines() -> list[str]:
    """What the comparison at the first load found for our layers on the CPU in float32."""
    found = self_check.findings()
    if found.failure:
        return [f"FAILED: {found.failure}"]
    return [
        f"{name:<12} {doctor.verdict(apart)} (relative RMS {apart:.1e})"
        for name, apart in found.apart.items()
    ]


def device_lines(clip, clip_vision, vae) -> Iterator[str]:
    """The bundled parts where the host runs them, with its memory management and attention."""
    picture = reference.reference_picture() / 2 + 0.5
    latent = reference.reference_latent() / LATENT_SCALE

    def text() -> torch.Tensor:
        features, values = conditioning.encode_text(clip, reference.SENTENCE)[0]
        return reference.few(features[values["attention_mask"].bool()])

    def pooled() -> torch.Tensor:
        (entry,) = conditioning.encode_text(clip, reference.SENTENCE)
        return reference.few(entry[1]["pooled_output"])

    def decoded() -> torch.Tensor:
        return reference.few(to_image_01(vae.decode(latent)) * 2 - 1)

    yield from doctor.compared(
        [
            ("gemma", text),
            ("clip_text", pooled),
            ("clip_vision", lambda: reference.few(conditioning.image_tokens(clip_vision, picture))),
            (
                "latent",
                lambda: reference.few(vae.encode(from_image_01(picture)) * LATENT_SCALE),
            ),
            ("decoded", decoded),
        ]
    )


def stock_vision_line() -> str:
    """How close the host's own CLIP vision comes, which computes for a CLIP_VISION of another
    loader."""
    source = read_source("clip_vision", BUNDLE / CLIP_FILE)
    settings = {name: source.config[name] for name in FIELDS}
    settings |= {"model_type": "clip_vision_model", "num_channels": 3}
    try:
        with tempfile.TemporaryDirectory() as folder:  # older hosts read it only from a file
            path = Path(folder) / "config.json"
            path.write_text(json.dumps(settings), encoding="utf-8")
            stock = comfy.clip_vision.ClipVisionModel(str(path))
        stock.load_sd({name: source.weights.fetch(name) for name in source.weights.shapes})
        tokens = conditioning.image_tokens(stock, reference.reference_picture() / 2 + 0.5)
    except Exception as error:  # this node only reports
        told = kind_and_reason(error, doctor.LONGEST)
        return f"ComfyUI's own CLIP vision (stock loaders): FAILED: {told}"
    stored = reference.stored_answers(BUNDLE)["clip_vision"]
    apart = reference.relative_rms(reference.few(tokens), stored)
    return (
        f"ComfyUI's own CLIP vision (stock loaders): {doctor.verdict(apart)} (relative RMS "
        f"{apart:.1e})"
    )


def connected_lines(model, clip, clip_vision, vae) -> Iterator[str]:
    """What is connected, and whose layers compute it."""
    if model is not None:
        ours = isinstance(model.model, HostModel)
        kind = "PixWizard" if ours else type(model.model).__name__
        note = "" if ours else "; it is not PixWizard; sampling nodes refuse it"
        packed = quantised.storage_of(model.model)
        yield (
            f"model: {kind}, weights {name_of(model.model.get_dtype())}"
            f"{f' ({packed})' if packed else ''}, computed in "
            f"{name_of(model.model.manual_cast_dtype or model.model.get_dtype())}, "
            f"{len(model.patches)} patched weights{note}"
        )
    if clip is not None:
        ours = isinstance(clip.cond_stage_model, TextModel)
        note = "" if ours else "; it is not PixWizard's; the model refuses its text"
        packed = quantised.storage_of(clip.cond_stage_model)
        stored = f", weights: {packed}" if packed else ""
        yield f"clip: {'PixWizard' if ours else type(clip.cond_stage_model).__name__}{stored}{note}"
    if clip_vision is not None:
        ours = isinstance(clip_vision, HostClipVision)
        note = "PixWizard's layers" if ours else "ComfyUI's own layers, compared above"
        yield f"clip_vision: {note}, reads {getattr(clip_vision, 'image_size', '?')} px"
    if vae is not None:
        yield f"vae: {type(vae.first_stage_model).__name__}, {name_of(vae.vae_dtype)}"


def file_lines() -> Iterator[str]:
    """Every weight file in the host's model folders, by its content."""
    found = model_files(*FILE_KINDS)
    yield f"model files: {len(found)}"
    for name in found:
        yield f"  {name}: {doctor.what_is(resolve(name))}"


def small_picture(model, clip, clip_vision, vae) -> torch.Tensor:
    """IMAGE that the bundled model paints of the stored picture."""
    settings = bundled_settings().of(TASK)
    encoded = conditioning.encode_picture(clip_vision, vae, reference.reference_picture() / 2 + 0.5)
    full = conditioning.encode_text(clip, instruction(TASK))
    empty = conditioning.encode_text(clip, "")
    guider = make_guider(
        model,
        conditioning.with_picture(full, encoded),
        conditioning.with_picture(empty, encoded),
        empty,
        Guidance(settings.w_text, settings.w_image),
    )
    latent = run_sampler(
        guider, conditioning.empty_latent(encoded), sigmas(settings.steps, 1.0), settings.solver, 0
    )
    return vae.decode(latent["samples"])


def painted_line(image: torch.Tensor) -> str:
    fine = bool(image.isfinite().all()) and float(image.std()) > 0
    return f"{'picture':<12} {'right' if fine else 'WRONG: flat or not finite'}"


class Check(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Check",
            display_name="PixWizard Check",
            description="Reports on this installation, for you and for bug reports: versions, "
            "whether each part computes correctly here, one small picture from the bundled model, "
            "and what each model file is. It changes nothing.",
            search_aliases=["doctor", "diagnose", "bug report", "self test"],
            is_output_node=True,
            inputs=[
                io.Boolean.Input(
                    "model_files",
                    default=True,
                    tooltip="Say what each weight file in the model folders is. Reads only the "
                    "headers; large pickles take a few seconds each.",
                ),
                io.Model.Input(
                    "model", optional=True, tooltip=("A model to report on in more detail.")
                ),
                io.Clip.Input(
                    "clip", optional=True, tooltip=("A text encoder to report on in more detail.")
                ),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip=("A vision encoder to report on in more detail."),
                ),
                io.Vae.Input(
                    "vae", optional=True, tooltip=("An autoencoder to report on in more detail.")
                ),
            ],
            outputs=[
                io.String.Output("report", display_name="report"),
                io.Image.Output("picture", display_name="picture"),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs):
        return float("nan")  # files and the host's state change without the graph

    @classmethod
    def run(cls, model_files, model=None, clip=None, clip_vision=None, vae=None):
        lines = [*doctor.versions(), *host_lines()]
        lines += ["our layers on the CPU in float32:", *layer_lines()]
        image = torch.zeros(1, 64, 64, 3, dtype=torch.float32, device="cpu")
        try:
            parts = (
                load_clip(BUNDLE / TEXT_FILE, BUNDLE / CLIP_FILE),
                load_clip_vision(BUNDLE / CLIP_FILE),
                load_vae(BUNDLE / VAE_FILE, torch.float32),
            )
            lines += ["the bundled parts where ComfyUI runs them:", *device_lines(*parts)]
            image = small_picture(load_transformer(BUNDLE / MODEL_FILE, torch.float32), *parts)
            lines.append(painted_line(image))
        except comfy.model_management.InterruptProcessingException:
            raise
        except Exception as error:  # this node only reports
            lines.append(f"the bundled parts FAILED: {kind_and_reason(error, doctor.LONGEST)}")
        lines.append(stock_vision_line())
        lines += connected_lines(model, clip, clip_vision, vae)
        lines += file_lines() if model_files else []
        text = "\n".join(lines)
        told = [{"text": line, "trouble": doctor.is_trouble(line)} for line in lines]
        return io.NodeOutput(text, image, ui={"text": [text], "pixwizard_report": told})
