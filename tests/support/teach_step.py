"""One step of a LoRA of the 2B model with random weights, in a process of its own.

    python -m tests.support.teach_step SIDE [--plain] [--fp8] [--layers N] [--threads N]

prints JSON: seconds of the step, bytes of the weights, and the peak of resident memory. No encoder
is loaded, as in a run whose pairs are in the store. All blocks take the same memory, so what the
whole model takes follows from the peaks with one and with two of them (--layers).
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from dataclasses import replace

import torch

from pixwizard_core.canvas import Size
from pixwizard_core.config import PRESETS
from pixwizard_core.model import PixWizard, cpu_ops
from pixwizard_core.training.teach.course import Course
from pixwizard_core.training.teach.encode import KnownExample
from pixwizard_core.training.teach.settings import TeachSettings
from pixwizard_core.training.teach.store import Store
from pixwizard_core.weights.fp8_frozen import freeze_in_fp8
from pixwizard_core.weights.lora import LoraSettings, add_lora, trainable

PRESET = PRESETS["PixWizard_2B_GQA_patch2"]
WORDS = 32
EMPTY = "empty"


def random_model(layers: int = PRESET.n_layers) -> PixWizard:
    """The released shape in bfloat16; every weight is drawn. layers: number of blocks."""
    config = replace(PRESET, n_layers=layers)
    model = PixWizard(config, ops=cpu_ops, device="meta").to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    block = torch.randn(1 << 22, generator=generator).mul_(0.02).to(torch.bfloat16)
    for parameter in model.parameters():
        flat = torch.empty(parameter.numel(), dtype=torch.bfloat16)
        for start in range(0, len(flat), len(block)):
            flat[start : start + len(block)] = block[: len(flat) - start]
        parameter.data = flat.view(parameter.shape)
    return model.eval().requires_grad_(False)


def measured(side: int, settings: TeachSettings, layers: int = PRESET.n_layers) -> dict[str, float]:
    """Seconds and bytes of one step at side x side px."""
    model = random_model(layers)
    if settings.base_precision == "fp8":
        freeze_in_fp8(model)
    weights = sum(one.nbytes for one in [*model.parameters(), *model.buffers()])
    add_lora(model, LoraSettings(settings.rank))
    with tempfile.TemporaryDirectory() as folder:
        store, cells = Store(folder), (4, side // 8, side // 8)
        half = torch.bfloat16
        store.put("latent", {"latent": torch.zeros(cells)})
        store.put("tokens", {"tokens": torch.ones(576, PRESET.image_feat_dim, dtype=half)})
        for key, words in ((EMPTY, 2), ("words", WORDS)):
            text = torch.ones(words, PRESET.cap_feat_dim, dtype=half)
            pooled = torch.ones(PRESET.cap_clip_feat_dim, dtype=half)
            store.put(key, {"text": text, "pooled": pooled})
        known = KnownExample(Size(side, side), "latent", "tokens", "latent", ("words",))
        course = Course(model, trainable(model), [known], [1.0], store, EMPTY, settings, 1)
        began = time.monotonic()
        loss, _ = course.advance()
        seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"loss": loss, "seconds": seconds, "weights": weights, "peak": peak}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", type=int)
    parser.add_argument("--plain", action="store_true", help="keep the activations of all blocks")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--fp8", action="store_true", help="keep frozen matrices in 8-bit floats")
    parser.add_argument("--layers", type=int, default=PRESET.n_layers, help="number of blocks")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    settings = TeachSettings(
        steps=1, batch=1, drop_text=0.0, drop_image=0.0, drop_both=0.0,
        checkpointing=not chosen.plain, base_precision="fp8" if chosen.fp8 else "auto",
    )  # fmt: skip
    print(json.dumps(measured(chosen.side, settings, chosen.layers)))


if __name__ == "__main__":
    main()
