"""What nodes/host/uses.py relies on: devices, dtypes, files of weights, LoRA, VAE and bars."""

from __future__ import annotations

from pathlib import Path

import comfy.cli_args
import comfy.lora
import comfy.model_management as management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.utils
import comfy.weight_adapter
import probe
import torch
from safetensors.torch import save_file
from small import close

SUPPORTED = [torch.bfloat16, torch.float32]


def check_comfy_cli_args_args_disable_metadata(setup):
    parser = comfy.cli_args.parser
    assert parser.parse_args(["--disable-metadata"]).disable_metadata is True
    assert parser.parse_args([]).disable_metadata is False
    assert comfy.cli_args.args.disable_metadata is False


def check_comfy_lora_load_lora(setup):
    up, down = torch.randn(4, 2), torch.randn(2, 3)
    file = {"a.b.lora_up.weight": up, "a.b.lora_down.weight": down, "c.lora_up.weight": up}
    patches = comfy.lora.load_lora(file, {"a.b": "diffusion_model.a.b.weight"})
    assert list(patches) == ["diffusion_model.a.b.weight"]
    (patch,) = patches.values()
    assert patch.name == "lora"
    assert torch.equal(patch.weights[0], up)
    assert torch.equal(patch.weights[1], down)
    patcher = probe.make()
    square = {"n.lora_up.weight": torch.ones(2, 1), "n.lora_down.weight": torch.ones(1, 2)}
    patcher.add_patches(comfy.lora.load_lora(square, {"n": probe.WEIGHT}), 0.5)
    management.load_models_gpu([patcher])
    loaded = patcher.model.diffusion_model.layer.weight.tolist()
    management.unload_all_models()
    assert loaded == [[1.5, 1.5], [1.5, 1.5]], "weight + strength * up @ down"


def check_comfy_weight_adapter_WeightAdapterBase(setup):
    class Doubled(comfy.weight_adapter.WeightAdapterBase):
        name = "doubled"

        def __init__(self, loaded_keys, weights):
            self.loaded_keys, self.weights = loaded_keys, weights

        def calculate_weight(self, weight, key, strength, *rest, **named):
            return weight + strength * self.weights[0].to(weight)

    patcher = probe.make()
    patcher.add_patches({probe.WEIGHT: Doubled(set(), (torch.ones(2, 2), ("a", None), 1.0))}, 0.5)
    management.load_models_gpu([patcher])
    loaded = patcher.model.diffusion_model.layer.weight.tolist()
    management.unload_all_models()
    assert loaded == [[1.5, 1.5], [1.5, 1.5]], "weight + strength * ones"


def check_comfy_model_management_OOM_EXCEPTION(setup):
    assert issubclass(torch.cuda.OutOfMemoryError, management.OOM_EXCEPTION)
    assert not issubclass(ValueError, management.OOM_EXCEPTION)


def check_comfy_model_management_get_torch_device(setup):
    # This process was started with --cpu.
    for name in ("get_torch_device", "unet_offload_device", "intermediate_device"):
        assert torch.device(getattr(management, name)()) == probe.CPU, name


def check_comfy_model_management_text_encoder_device(setup):
    for name in ("text_encoder_device", "text_encoder_offload_device"):
        assert torch.device(getattr(management, name)()) == probe.CPU, name


def check_comfy_model_management_text_encoder_dtype(setup):
    assert management.text_encoder_dtype(probe.CPU) in {torch.float16, torch.float32}


def check_comfy_model_management_load_models_gpu(setup):
    patcher = probe.make()
    patcher.add_patches({probe.WEIGHT: (torch.ones(2, 2),)})
    management.load_models_gpu([patcher])
    layer = patcher.model.diffusion_model.layer
    assert layer.weight.tolist() == [[2, 2], [2, 2]]
    assert layer.weight.device == patcher.load_device
    management.unload_all_models()


def check_comfy_model_management_throw_exception_if_processing_interrupted(setup):
    met = []
    management.throw_exception_if_processing_interrupted()
    management.interrupt_current_processing(True)
    try:
        management.throw_exception_if_processing_interrupted()
    # Not an Exception on newer hosts.
    except BaseException as error:
        met.append(type(error).__name__)
    management.throw_exception_if_processing_interrupted()
    assert met == ["InterruptProcessingException"], "raised once, and then no more"


def check_comfy_model_management_InterruptProcessingException(setup):
    management.interrupt_current_processing(True)
    try:
        management.throw_exception_if_processing_interrupted()
    except management.InterruptProcessingException:
        return
    raise AssertionError("an interruption raised nothing")


def check_comfy_model_management_get_total_memory(setup):
    total = management.get_total_memory(torch.device("cpu"))
    assert 2**28 < total < 2**50, total
    assert management.vram_state.name in {state.name for state in management.VRAMState}
    assert management.vae_dtype() in (torch.float32, torch.float16, torch.bfloat16)


def check_comfy_model_management_archive_model_dtypes(setup):
    """Older hosts load each weight in the dtype that it has."""
    if not hasattr(management, "archive_model_dtypes"):
        assert not hasattr(comfy.model_patcher, "ModelPatcherDynamic")
        return "this host has none"
    layer = torch.nn.Linear(2, 2)
    layer.weight.data = layer.weight.data.to(torch.float8_e4m3fn)
    management.archive_model_dtypes(torch.nn.Sequential(layer))
    assert layer.weight_comfy_model_dtype == torch.float8_e4m3fn
    assert layer.bias_comfy_model_dtype == torch.float32
    return "noted"


def check_comfy_model_management_unet_dtype(setup):
    for stored in (torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn):
        found = management.unet_dtype(
            model_params=1000, supported_dtypes=SUPPORTED, weight_dtype=stored
        )
        assert found in {*SUPPORTED, stored}, f"{found} for weights in {stored}"


def check_comfy_model_management_unet_manual_cast(setup):
    cast = management.unet_manual_cast
    assert cast(torch.float32, probe.CPU, SUPPORTED) is None
    for stored in (torch.float16, torch.float8_e4m3fn, torch.float8_e5m2):
        assert cast(stored, probe.CPU, SUPPORTED) in SUPPORTED
    assert cast(torch.bfloat16, probe.CPU, SUPPORTED) in {None, torch.float32}


def check_comfy_model_management_unload_all_models(setup):
    patcher = probe.make()
    management.load_models_gpu([patcher])
    held = [one.model for one in management.current_loaded_models]
    assert any(one is patcher for one in held)
    management.unload_all_models()
    assert management.current_loaded_models == []


def check_comfy_sd_VAE(setup):
    tiny = setup.module("pixwizard_core.encoders.tiny")
    weights = comfy.utils.load_torch_file(str(tiny.BUNDLE / tiny.VAE_FILE), safe_load=True)
    vae = comfy.sd.VAE(sd=weights, dtype=torch.float32)
    ramp = torch.linspace(0.2, 0.8, 64).reshape(1, 1, 64, 1).expand(2, 64, 64, 3)
    latent = vae.encode(ramp)
    assert latent.shape == (2, 4, 8, 8)
    again = vae.decode(latent)
    assert again.shape == (2, 64, 64, 3)
    assert torch.equal(again, again.clamp(0, 1))
    close(again, ramp, 0.15, "a ramp, there and back")
    assert {p.dtype for p in vae.first_stage_model.parameters()} == {torch.float32}


def check_comfy_sd1_clip___file__(setup):
    folder = Path(comfy.sd1_clip.__file__).parent / "sd1_tokenizer"
    core = setup.module("pixwizard_core.encoders.tokenizer")
    tokenizer = core.load_tokenizer(folder, core.CLIP_TOKENS)
    assert tokenizer.size == 49408, "words of CLIP-L"


def check_comfy_utils_PROGRESS_BAR_ENABLED(setup):
    assert comfy.utils.PROGRESS_BAR_ENABLED is True


def check_comfy_utils_ProgressBar(setup):
    told = []
    hook = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(lambda *a, **_: told.append(a[:2]))
    try:
        bar = comfy.utils.ProgressBar(5)
        for count in (1, 2, 2):
            bar.update(count)
    finally:
        comfy.utils.set_progress_bar_global_hook(hook)
    # Newer hosts leave out what comes too close together, never the first and the last.
    assert (told[0], told[-1]) == ((1, 5), (5, 5))
    assert set(told) <= {(1, 5), (3, 5), (5, 5)}


def check_comfy_utils_common_upscale(setup):
    wide = torch.arange(32.0).reshape(1, 1, 4, 8)
    scale = comfy.utils.common_upscale
    assert torch.equal(scale(wide, 4, 4, "bilinear", "center"), wide[..., 2:6])
    assert scale(wide, 4, 2, "bilinear", "center").shape == (1, 1, 2, 4)
    halves = torch.nn.functional.interpolate(wide, (2, 4), mode="bilinear")
    close(scale(wide, 4, 2, "bilinear", "center"), halves, 1e-6, "same shape, nothing cut")


def check_comfy_utils_load_torch_file(setup):
    path = setup.folder() / "weights.safetensors"
    weights = {"a.b": torch.randn(2, 3), "c": torch.ones(1, dtype=torch.bfloat16)}
    save_file(weights, path)
    found = comfy.utils.load_torch_file(str(path), safe_load=True)
    assert sorted(found) == sorted(weights)
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert found["c"].dtype == torch.bfloat16


def check_comfy_utils_repeat_to_batch_size(setup):
    rows = torch.arange(2.0)[:, None]
    repeat = comfy.utils.repeat_to_batch_size
    assert repeat(rows, 2).tolist() == [[0], [1]]
    assert repeat(rows, 5).tolist() == [[0], [1], [0], [1], [0]]
    assert repeat(rows, 1).tolist() == [[0]]


def check_comfy_utils_weight_dtype(setup):
    half = {f"{n}": torch.ones(4, dtype=torch.bfloat16) for n in range(3)}
    assert comfy.utils.weight_dtype({**half, "x": torch.ones(1)}) == torch.bfloat16
