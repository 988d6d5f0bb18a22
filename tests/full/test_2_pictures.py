"""All four parts together, on a small canvas with few steps: from the command line and in a host.

Weights are random, so pictures mean nothing. What they must be is the same from both."""

import io
import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from PIL import Image

from tests.support import workflow
from tests.support.hosts import REPO, environment

from .conftest import THREADS

WITH_FILES = workflow.shipped(REPO / "workflows", with_files=True)
SOURCE, SIZE = "scene.png", (150, 118)
SENTENCE, SIDE, STEPS, SEED = "Estimate the depth of the picture.", 128, 2, 5
LORA = "random.safetensors"


@pytest.fixture(scope="module")
def all_parts(parts):
    """Folder of the four parts, the transformer in bfloat16, and a LoRA."""
    parts.converted("bf16")
    for part in ("gemma", "clip", "vae", "lora"):
        parts.get(part)
    folder = parts.folder / "input"
    folder.mkdir(exist_ok=True)
    across, down = np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1])[:, None]
    waves = [np.sin(7 * across) * np.cos(5 * down), across * down, across + 0 * down]
    pixels = (255 * (np.stack(waves, -1) * 0.5 + 0.5)).clip(0, 255).astype("uint8")
    Image.fromarray(pixels).save(folder / SOURCE)
    return parts


@pytest.fixture(scope="module")
def by_command(all_parts, tmp_path_factory):
    """A function that runs `pixwizard run` in a process of its own and gives its picture."""

    def run(what: str, dtype: str = "bf16", seed: int = SEED, *more: str) -> np.ndarray:
        out = tmp_path_factory.mktemp("run")
        places = {
            "--model": all_parts.converted(dtype), "--gemma": all_parts.get("gemma"),
            "--clip": all_parts.get("clip"), "--vae": all_parts.get("vae"), "--out": out,
            "--instruction": SENTENCE, "--centre": SIDE, "--steps": STEPS, "--seed": seed,
            "--w-text": 4, "--w-image": 1, "--shift": 1,
        }  # fmt: skip
        options = [str(word) for pair in places.items() for word in pair]
        command = [sys.executable, "-m", "pixwizard_core", "run"]
        begun = time.perf_counter()
        with (out / "errors.txt").open("w") as errors:
            process = subprocess.Popen(
                [*command, str(all_parts.folder / "input" / SOURCE), *options, *more],
                cwd=REPO, env=environment(THREADS), stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
            _, status, used = os.wait4(process.pid, 0)
        assert status == 0, (out / "errors.txt").read_text()[-3000:]
        seconds = time.perf_counter() - begun
        all_parts.row(f"pixwizard run, {what}", seconds, 0, 0, used.ru_maxrss * 1024)
        (picture,) = out.glob("*.png")
        return read(picture)

    return run


def read(picture) -> np.ndarray:
    """A picture as (H, W, 3) in 0..255."""
    return np.asarray(Image.open(picture).convert("RGB"), dtype=float)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the difference of two pictures, in steps of 1/255."""
    assert one.shape == other.shape
    return float(np.sqrt(np.mean((one - other) ** 2)))


@pytest.fixture(scope="module")
def by_host(all_parts, server):
    """A function that does the same as by_command, by nodes."""

    def run(what: str, dtype: str = "bf16", seed: int = SEED, lora: str = "") -> np.ndarray:
        clip = "text_encoders/clip-vit-large-patch14-336/"
        stored = {"bf16": "bfloat16", "fp8": "fp8_e4m3fn"}[dtype]
        all_parts.converted(dtype)
        nodes = {
            "model": ("PixWizard_LoadModel", {
                "model_name": f"diffusion_models/pixwizard_{dtype}.safetensors",
                "weight_dtype": stored}),
            "clip": ("PixWizard_LoadTextEncoder", {"gemma": "LLM/gemma-2b/", "clip": clip}),
            "vision": ("PixWizard_LoadVisionEncoder", {"clip_vision": clip}),
            "vae": ("VAELoader", {"vae_name": "sdxl_vae.safetensors"}),
            "image": ("LoadImage", {"image": SOURCE}),
            "fit": ("PixWizard_FitToCanvas", {
                "image": ["image", 0], "centre": SIDE, "fit": "stretch"}),
            "encode": ("PixWizard_Encode", {
                "clip": ["clip", 0], "clip_vision": ["vision", 0], "vae": ["vae", 0],
                "image": ["fit", 0], "instruction": SENTENCE}),
            "lora": ("PixWizard_LoadLora", {
                "model": ["model", 0], "lora_name": f"loras/{lora or LORA}", "strength": 1.0,
                "allow_unmatched": False}),
            "sample": ("PixWizard_Sample", {
                "model": ["lora" if lora else "model", 0], "full": ["encode", 0],
                "image_only": ["encode", 1], "none": ["encode", 2], "latent": ["encode", 3],
                "text_guidance": 4.0, "image_guidance": 1.0, "seed": seed, "steps": STEPS,
                "time_shift": 1.0, "guided_channels": "first 3", "sampler": "euler",
                "speed": "as set"}),
            "decode": ("VAEDecode", {"samples": ["sample", 0], "vae": ["vae", 0]}),
            "restore": ("PixWizard_RestoreFromCanvas", {
                "canvas": ["fit", 2], "image": ["decode", 0]}),
            "save": ("SaveImage", {"images": ["restore", 0], "filename_prefix": "full"}),
        }  # fmt: skip
        if not lora:
            del nodes["lora"]
        prompt = {key: {"class_type": kind, "inputs": put} for key, (kind, put) in nodes.items()}
        return read(io.BytesIO(server.image(_saved(all_parts, server, prompt, what, "save"))))

    return run


def _saved(parts, server, prompt: dict, what: str, key: str) -> dict:
    """Run a prompt; the entry of its saved picture, and a row of the table."""
    begun = time.perf_counter()
    result = server.run(prompt)
    assert result["error"] is None, result["error"]
    name = f"{what} in ComfyUI {server.host.version}"
    parts.row(name, time.perf_counter() - begun, 0, 0, 0)
    (entry,) = result["outputs"][key]["images"]
    return entry


@pytest.fixture(scope="module")
def painted(by_command):
    """The picture of the command line."""
    return by_command("bf16, 2 steps at 128²")


@pytest.fixture(scope="module")
def other_seed(by_host):
    return by_host("another seed", seed=SEED + 1)


def test_command_line_paints_at_the_size_of_the_source(painted):
    assert painted.shape == (*SIZE[::-1], 3)
    assert painted.std() > 1


def test_host_paints_the_same_picture_as_the_command_line(painted, by_host, other_seed):
    """Both compute in their own precision, so the same means: much nearer than another seed."""
    here = by_host("bf16, 2 steps at 128²")
    distance, other = apart(here, painted), apart(here, other_seed)
    print(f"\nhost and command line apart {distance:.3f} of 255, another seed {other:.1f}")
    assert other > 5
    assert distance < 0.1 * other


@pytest.mark.parametrize("path", WITH_FILES, ids=lambda path: path.stem)
def test_template_runs_as_shipped_with_the_parts_in_place(all_parts, server, path):
    info = server.json("/object_info")
    prompt = workflow.small_and_ours(workflow.to_prompt(workflow.load(path), info))
    begun = time.perf_counter()
    result = server.run(prompt)
    assert result["error"] is None, result["error"]
    all_parts.row(f"{path.stem}, 1 step at 128²", time.perf_counter() - begun, 0, 0, 0)
    source = Image.open(server.base / "input" / "example.png").size
    for key, node in prompt.items():
        if node["class_type"] == "SaveImage":
            (entry,) = result["outputs"][key]["images"]
            picture = read(io.BytesIO(server.image(entry)))
            assert picture.shape[1::-1] == workflow.saved_size(path.stem, source)


def test_lora_changes_the_picture_alike(all_parts, painted, by_command, by_host):
    file = str(all_parts.get("lora"))
    there = by_command("bf16 and a LoRA", "bf16", SEED, "--lora", file)
    here = by_host("bf16 and a LoRA", lora=LORA)
    changed, distance = apart(there, painted), apart(here, there)
    print(f"\nthe LoRA changes {changed:.2f} of 255, host and command line apart {distance:.3f}")
    assert changed > 2 * distance


def test_fp8_paints_nearly_the_same(painted, other_seed, by_command, by_host):
    there, here = by_command("fp8", "fp8"), by_host("fp8", "fp8")
    other, changed, distance = apart(painted, other_seed), apart(there, painted), apart(here, there)
    print(f"\nfp8 changes {changed:.2f} of 255, host and command line apart {distance:.3f}")
    assert 0 < changed < 0.5 * other
    assert distance < 0.1 * other
