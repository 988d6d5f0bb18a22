"""PixWizard Check reports, and only reports."""

from __future__ import annotations

import comfy.ops
import comfyui_version
import torch
from check_layers import fresh, replaced, scaled


def run(setup, **inputs) -> tuple[str, torch.Tensor]:
    """The report and the picture; what the page shows is the same report."""
    output = setup.module("nodes.results.check").Check.execute(model_files=True, **inputs)
    text, image = output.args
    doctor = setup.module("pixwizard_core.verify.doctor")
    assert output.ui["text"] == [text]
    told = [(line["text"], line["trouble"]) for line in output.ui["pixwizard_report"]]
    assert told == [(line, doctor.is_trouble(line)) for line in text.splitlines()], told
    return text, image


def check_report_on_this_host(setup):
    text, image = run(setup)
    doctor = setup.module("pixwizard_core.verify.doctor")
    trouble = [line for line in text.splitlines() if doctor.is_trouble(line)]
    assert not trouble, trouble
    assert f"ComfyUI {comfyui_version.__version__}" in text
    assert text.count(" right (relative RMS") == 11, text  # five parts twice, and stock vision
    assert image.shape == (1, 64, 64, 3), image.shape
    assert float(image.std()) > 0
    return text.splitlines()


def check_report_names_what_is_connected(setup):
    load = setup.module("nodes.loaders.load")
    model, clip, vision, vae = load.LoadTiny.execute().args[:4]
    text, _ = run(setup, model=model, clip=clip, clip_vision=vision, vae=vae)
    for words in ("model: PixWizard, weights float32", "clip: PixWizard", "PixWizard's layers, "
                  "reads 336 px", "vae: TAESD"):  # fmt: skip
        assert words in text, (words, text)


def check_report_goes_on_when_layers_are_wrong(setup):
    """Loaders refuse then; the report must still come, and say where it is wrong."""
    owner = comfy.ops.disable_weight_init.Embedding
    with fresh(setup), replaced(owner, "forward", scaled(owner.__dict__["forward"], 0.1)):
        text, image = run(setup)
    assert "gemma        WRONG" in text, text
    assert "the bundled parts FAILED: EncoderError" in text, text
    assert image.shape == (1, 64, 64, 3)
    return text.splitlines()
