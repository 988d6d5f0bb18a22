"""Numbers that are not finite are said by the node that makes them, with the part and the cure."""

from __future__ import annotations

import comfy.utils
import folder_paths
import torch
from safetensors.torch import save_file
from small import STEPS, Small, refused

import nodes

SIDE = 64
WQ = "diffusion_model.layers.0.attention.wq.weight"


class Parts:
    """The bundled parts, and ways to make them overflow with weights that are finite."""

    def __init__(self, setup) -> None:
        self.setup, self.load = setup, setup.module("nodes.loaders.load")
        self.bundle = setup.module("pixwizard_core.encoders.tiny")
        self.error = setup.module("pixwizard_core.errors").EncoderError
        self.node = setup.module("nodes.conditions.encode").Encode
        self.model, self.clip, self.vision, self.vae = self.load.LoadTiny.execute().args[:4]
        self.image = torch.rand(1, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))

    def vae_in(self, dtype, factor: float):
        """The bundled autoencoder with larger weights, in this type."""
        weights = comfy.utils.load_torch_file(str(self.bundle.BUNDLE / self.bundle.VAE_FILE))
        scaled = {
            name: (value.float() * (factor if value.dim() == 4 else 1)).clamp(-6e4, 6e4)
            for name, value in weights.items()
        }
        path = self.setup.folder() / "vae.safetensors"
        save_file(scaled, str(path))
        return self.load.load_vae(path, dtype)

    def encoded(self, clip=None, vision=None, vae=None):
        return self.node.execute(
            clip or self.clip, vision or self.vision, vae or self.vae, self.image, "Depth."
        ).args


def larger(module: torch.nn.Module) -> None:
    """Matrices of a module at 1e38, in float32: still numbers, whose products are not."""
    for weight in module.float().parameters():
        if weight.dim() == 2:
            weight.data = torch.full_like(weight, 1e38)


def check_encode_names_a_vae_that_overflows_in_float16(setup):
    parts = Parts(setup)
    words = ("the VAE gave", "float16", "sdxl-vae-fp16-fix", "--fp32-vae")
    return refused(parts.error, words, parts.encoded, None, None, parts.vae_in(torch.float16, 40.0))


def check_encode_names_a_vae_that_overflows_in_float32(setup):
    parts = Parts(setup)
    words = ("the VAE gave", "float32", "its file is damaged")
    return refused(parts.error, words, parts.encoded, None, None, parts.vae_in(torch.float32, 1e4))


def check_encode_and_the_stock_node_name_the_text_encoder(setup):
    parts = Parts(setup)
    larger(parts.clip.cond_stage_model.gemma["transformer"])
    words = ("the text encoder gave", "a LoRA on it is too strong")
    refused(parts.error, words, nodes.CLIPTextEncode().encode, parts.clip, "Depth.")
    return refused(parts.error, words, parts.encoded)


def check_encode_and_the_stock_node_name_the_vision_encoder(setup):
    parts = Parts(setup)
    larger(parts.vision.model)
    words = ("the vision encoder gave", "its file is damaged")
    refused(parts.error, words, nodes.CLIPVisionEncode().encode, parts.vision, parts.image, "none")
    return refused(parts.error, words, parts.encoded)


def with_nan(setup, keys: dict):
    """A small model, and CONDITIONING that another node has filled with NaN. keys: what it fills,
    of which shape."""
    small = Small(setup, batch=1)
    ((features, values),) = small.conds("words", True)
    filled = {key: torch.full(shape, torch.nan) for key, shape in keys.items()}
    return small, [[filled.pop("text", features), {**values, **filled}]]


def check_conditionings_of_other_nodes_are_looked_at(setup):
    error = setup.module("pixwizard_core.errors").EncoderError
    native, latent = setup.module("nodes.model.host_model"), (1, 4, 8, 12)
    told = []
    for what, keys in (
        ("the conditioning's text holds 224 numbers", {"text": (1, 7, 32)}),
        ("the conditioning's text holds 24 numbers", {"pooled_output": (1, 24)}),
        ("the conditioning's image tokens hold 9216", {native.IMAGE_TOKENS: (1, 576, 16)}),
        ("the conditioning's picture holds 384", {native.IMAGE_LATENT: latent}),
        ("the conditioning's picture holds 384", {"concat_latent_image": latent}),
    ):
        small, conds = with_nan(setup, keys)
        words = (what, "not finite")
        told.append(refused(error, words, small.by_ksampler, conds, small.branches()[1], 4.0))
    return told


def check_a_latent_of_a_stock_vae_is_looked_at(setup):
    """Stock VAE Encode gives NaN and says nothing; KSampler and Sample meet it before any step."""
    small = Small(setup, batch=1)
    error = setup.module("pixwizard_core.errors").EncoderError
    words = ("the latent to sample holds 384", "sdxl-vae-fp16-fix", "--fp32-vae")
    small.empty_latent = torch.full_like(small.empty_latent, torch.nan)
    refused(error, words, small.by_ksampler, *small.branches()[:2], 4.0)
    node, latent = setup.module("nodes.sampling.sample").Sample, {"samples": small.empty_latent}
    return refused(
        error, words, node.execute, small.patcher, *small.branches(), 4.0, 1.0, latent, 0, STEPS,
        1.0, "all", "euler",
    )  # fmt: skip


def lora(setup, size: float) -> str:
    """Name of a LoRA file on one layer, all of whose numbers are of this size."""
    folder = setup.folder()
    folder_paths.folder_names_and_paths["loras"][0].insert(0, str(folder))
    layer = WQ.removesuffix(".weight")
    parts = {f"{layer}.lora_A.weight": (1, 64), f"{layer}.lora_B.weight": (64, 1)}
    made = {name: torch.full(shape, size) for name, shape in parts.items()}
    save_file(made, str(folder / "strong.safetensors"))
    folder_paths.filename_list_cache.clear()
    return "strong.safetensors"


def check_our_loader_refuses_a_lora_that_overflows(setup):
    small, error = Small(setup), setup.module("pixwizard_core.errors").CheckpointError
    node = setup.module("nodes.loaders.lora").LoadLora
    words = ("beyond the numbers of float32", "lower the strength")
    name = lora(setup, 1e20)
    assert node.execute(small.patcher, name, 0.0, False).args
    return refused(error, words, node.execute, small.patcher, name, 1.0, False)


def check_the_sampler_names_the_weight_that_a_lora_of_the_stock_loader_broke(setup):
    small, error = Small(setup), setup.module("pixwizard_core.errors").SamplingError
    (patched,) = nodes.LoraLoaderModelOnly().load_lora_model_only(
        small.patcher, lora(setup, 1e20), 1.0
    )
    words = ("the weight layers.0.attention.wq.weight holds some", "a LoRA", "lower its strength")
    return refused(error, words, small.by_guider, 3.0, 1.5, False, patched)


def check_a_model_too_large_for_its_type_is_refused_when_it_loads(setup):
    small, error = Small(setup), setup.module("pixwizard_core.errors").CheckpointError
    name = WQ.removeprefix("diffusion_model.")
    small.weights[name][0, 0] = 500.0
    words = (f"{name} reaches 500, beyond 448", "use bf16")

    def loaded() -> None:
        options = {"dtype": torch.float8_e4m3fn}
        small.native.make_patcher(small.config, dict(small.weights), small.options, **options)

    return refused(error, words, loaded)
