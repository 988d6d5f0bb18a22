"""A report on an installation for a person, and for a bug report: versions, whether the bundled
parts compute what they should, one small picture, and what each model file is. It only reports."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..bundle import load_tiny
from ..encoders import reference
from ..encoders.tiny import BUNDLE
from ..errors import PixWizardError, kind_and_reason
from ..pipeline import Bundle, Request, run
from ..tasks import instruction
from ..version import __version__
from ..weights.examine import inspect
from ..weights.weightfile import WEIGHT_ENDINGS, size_in_words

PACKAGES = (
    "torch", "torchvision", "transformers", "tokenizers", "safetensors", "einops", "numpy",
    "pillow", "kornia", "scipy", "diffusers", "ray", "av",
)  # fmt: skip
LONGEST = 300  # characters of an error in a line
WRONG = 0.1  # relative RMS of a stored answer
NEAR = {torch.float32: 1e-3, torch.float16: 5e-3, torch.bfloat16: 2e-2}  # what rounding explains
Part = tuple[str, Callable[[], Tensor]]


def versions() -> list[str]:
    """Lines on the system, the packages and the devices."""
    lines = [f"PixWizard {__version__}, Python {platform.python_version()}, {platform.platform()}"]
    found: list[str] = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} –")
    lines.append(", ".join(found))
    lines += [
        f"GPU {index}: {torch.cuda.get_device_name(index)}, "
        f"{_memory_bytes(index) / 2**30:.1f} GiB"
        for index in range(torch.cuda.device_count())
    ]
    lines.append(f"default type {torch.get_default_dtype()}, {torch.get_num_threads()} threads")
    return lines


def _memory_bytes(gpu: int) -> int:
    return cast(Any, torch.cuda).get_device_properties(gpu).total_memory


def verdict(apart: float, dtype: torch.dtype = torch.float32) -> str:
    """A relative RMS in words. dtype: what the part computes in."""
    if apart <= NEAR[dtype]:
        return "right"
    return "a little off" if apart <= WRONG else "WRONG"


def compared(parts: Iterable[Part], dtype: torch.dtype = torch.float32) -> Iterator[str]:
    """A line for each part: how far its answer is from the stored one. A part that raises has its
    error in its line."""
    try:
        stored = reference.stored_answers(BUNDLE)
    except PixWizardError as error:
        yield f"FAILED stored answers: {error}"
        return
    for name, answer in parts:
        began = time.perf_counter()
        try:
            apart = reference.relative_rms(answer(), stored[name])
        except Exception as error:  # it only reports
            yield f"{name:<12} FAILED: {kind_and_reason(error, LONGEST)}"
            continue
        seconds = time.perf_counter() - began
        told = f"relative RMS {apart:.1e}, {seconds * 1000:.0f} ms"
        yield f"{name:<12} {verdict(apart, dtype)} ({told})"


@torch.no_grad()
def core_parts(device: torch.device | str, dtype: torch.dtype) -> list[str]:
    """Lines on the bundled parts as the core runs them on a device."""
    try:
        bundle = load_tiny(device=device)
    except (PixWizardError, RuntimeError) as error:
        return [f"FAILED to load the bundled model: {kind_and_reason(error, LONGEST)}"]
    painted = small_picture(bundle)  # before the encoders change their type
    text, vision = bundle.text.to(dtype), bundle.vision.to(dtype)
    tokens, place = text.tokenizers, torch.device(device)
    picture = reference.reference_picture().to(place)
    latent = reference.reference_latent().to(place)
    pixels = reference.vision_input(vision.model).to(place, dtype)
    parts = [
        ("gemma", lambda: reference.text_answer(text.gemma, tokens, place)),
        ("clip_text", lambda: reference.pooled_answer(text.clip, tokens, place)),
        ("clip_vision", lambda: reference.few(vision.model(pixels))),
        ("latent", lambda: reference.few(bundle.vae.encode(picture))),
        ("decoded", lambda: reference.few(bundle.vae.decode(latent))),
    ]
    return [*compared(parts, dtype), painted]


def small_picture(bundle: Bundle) -> str:
    """A line on one picture of the bundled model: how long it took, and whether it is finite."""
    image_01 = reference.reference_picture() / 2 + 0.5
    sentence = instruction("depth", taught=bundle.taught)
    request = Request(image_01, sentence, settings=bundle.settings_of("depth"))
    began = time.perf_counter()
    try:
        made = run(bundle, request).image_01
    except (PixWizardError, RuntimeError) as error:
        return f"{'picture':<12} FAILED: {kind_and_reason(error, LONGEST)}"
    seconds = time.perf_counter() - began
    fine = "right" if bool(made.isfinite().all()) and float(made.std()) > 0 else "WRONG: it is flat"
    return f"{'picture':<12} {fine} ({seconds:.1f} s, mean {float(made.mean()):.3f})"


def files_in(folders: Iterable[Path]) -> Iterator[str]:
    """A line for each weight file below the folders: what it is by its content, how its numbers are
    stored and how large it is. Files that cannot be read say why."""
    for folder in folders:
        if not Path(folder).is_dir():
            yield f"{folder}: MISSING, there is no such folder"
            continue
        found = sorted(
            path
            for path in Path(folder).rglob("*")
            if path.suffix.lower() in WEIGHT_ENDINGS and path.is_file()
        )
        yield f"{folder}: {len(found)} weight file{'' if len(found) == 1 else 's'}"
        for path in found:
            yield f"  {path.relative_to(folder)}: {what_is(path)}"


def what_is(path: Path) -> str:
    """A weight file in words."""
    try:
        info = inspect(path)
    except (PixWizardError, OSError) as error:
        return f"UNREADABLE ({kind_and_reason(error, LONGEST)})"
    kind = f"{info.kind} {info.preset}" if info.preset else info.kind
    return f"{kind}, {info.stored}, {size_in_words(info.n_bytes)}"


def is_trouble(line: str) -> bool:
    """Whether a line of the report tells of a problem."""
    return any(word in line for word in ("WRONG", "FAILED", "UNREADABLE", "MISSING"))


def report(
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    folders: Iterable[Path] = (),
) -> Iterator[str]:
    """The whole report, line by line. folders: where model files are looked for."""
    yield from versions()
    yield f"bundled parts on {device} in {str(dtype).removeprefix('torch.')}:"
    yield from core_parts(device, dtype)
    yield from files_in(folders)
