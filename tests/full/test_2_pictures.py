"""All four parts together, on a small canvas with few steps: from the command line and in a host.

Weights are random, so pictures mean nothing. What they must be is the same from both."""

import io
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from PIL import Image

from tests.support.hosts import REPO, environment

from .conftest import LORA, SIZE, SOURCE, THREADS

SENTENCE, SIDE, STEPS, SEED = "Estimate the depth of the picture.", 128, 2, 5


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
def painted(all_parts, by_command):
    """Pictures of the command line. All come before the server starts: memory would not do for
    both."""
    lora = "--lora", str(all_parts.get("lora"))
    return {
        "bf16": by_command("bf16, 2 steps at 128²"),
        "lora": by_command("bf16 and a LoRA", "bf16", SEED, *lora),
        "fp8": by_command("fp8", "fp8"),
    }


@pytest.fixture(scope="module")
def in_float32(all_parts):
    """The picture of the core, computing in the precision of the host on a CPU."""
    target = all_parts.folder / "float32.png"
    places = [all_parts.converted("bf16"), *map(all_parts.get, ("gemma", "clip", "vae"))]
    asked = json.dumps([SENTENCE, SIDE, STEPS, SEED])
    source = all_parts.folder / "input" / SOURCE
    what = "core in float32, 2 steps at 128²"
    all_parts.measure(what, "core_picture", *places, source, target, asked)
    return read(target)


@pytest.fixture(scope="module")
def by_host(all_parts, painted, in_float32, request):
    """A function that does the same as by_command, by nodes."""
    server = request.getfixturevalue("server")  # now that the others have painted

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
        begun = time.perf_counter()
        result = server.run(prompt)
        assert result["error"] is None, result["error"]
        name = f"{what} in ComfyUI {server.host.version}"
        all_parts.row(name, time.perf_counter() - begun, 0, 0, 0)
        (entry,) = result["outputs"]["save"]["images"]
        return read(io.BytesIO(server.image(entry)))

    return run


@pytest.fixture(scope="module")
def in_host(by_host):
    """The picture of the host."""
    return by_host("bf16, 2 steps at 128²")


@pytest.fixture(scope="module")
def other_seed(by_host):
    return by_host("another seed", seed=SEED + 1)


def test_command_line_paints_at_the_size_of_the_source(painted):
    for picture in painted.values():
        assert picture.shape == (*SIZE[::-1], 3)
        assert picture.std() > 1


def test_host_paints_the_same_picture(painted, in_float32, in_host, other_seed):
    """As the core with a transformer in float32, and as the command line in bfloat16: much nearer
    than another seed, and not equal. The host keeps CLIP vision in float16, and with random weights
    the scores of image tokens are so close that rounding decides which of them are kept."""
    pictures = in_float32, painted["bf16"], other_seed
    exact, rounded, other = (apart(in_host, one) for one in pictures)
    print(
        f"\nhost apart of 255: core in float32 {exact:.3f}, command line in bfloat16 "
        f"{rounded:.3f}, another seed {other:.1f}"
    )
    assert other > 5
    assert exact < 0.1 * other
    assert rounded < 0.25 * other


def test_lora_changes_the_picture_alike(painted, in_host, by_host):
    there = painted["lora"] - painted["bf16"]
    here = by_host("bf16 and a LoRA", lora=LORA) - in_host
    alike = np.corrcoef(there.ravel(), here.ravel())[0, 1]
    print(f"\nthe LoRA changes {there.std():.2f} and {here.std():.2f} of 255, alike {alike:.3f}")
    assert min(there.std(), here.std()) > 2
    assert alike > 0.8


def test_fp8_paints_nearly_the_same(painted, in_host, other_seed, by_host):
    other, changed = apart(in_host, other_seed), apart(painted["fp8"], painted["bf16"])
    distance = apart(by_host("fp8", "fp8"), painted["fp8"])
    print(f"\nfp8 changes {changed:.2f} of 255, host and command line apart {distance:.3f}")
    assert 0 < changed < 0.5 * other
    assert distance < 0.25 * other
