"""The host's layers are compared with stored answers before anything is loaded."""

from __future__ import annotations

import time
from contextlib import contextmanager

import comfy.ops
import comfy.taesd.taesd
import comfyui_version
import torch
from small import logged, refused

NEAR = 1e-5  # relative RMS; another order of sums gives about 2e-7


@contextmanager
def fresh(setup):
    """The check as at the start of a process; what it found is forgotten again afterwards."""
    module = setup.module("nodes.encoders.self_check")
    module.findings.cache_clear()
    try:
        yield module
    finally:
        module.findings.cache_clear()


@contextmanager
def replaced(owner, name: str, value):
    """An attribute of the host changed for a while."""
    kept = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def scaled(function, factor: float):
    """A host's function whose result is off by a factor."""
    return lambda *arguments, **named: function(*arguments, **named) * factor


def loaders(setup) -> dict:
    """Every way that a loader of ours reads models, by the output it gives."""
    load = setup.module("nodes.loaders.load")
    return {
        "MODEL": lambda: load.load_transformer(load.BUNDLE / load.MODEL_FILE, None),
        "CLIP": lambda: load.load_clip(load.BUNDLE / load.TEXT_FILE, load.BUNDLE / load.CLIP_FILE),
        "CLIP_VISION": lambda: load.load_clip_vision(load.BUNDLE / load.CLIP_FILE),
        "Load Tiny": lambda: load.LoadTiny.execute(),
    }


def check_this_host_computes_the_stored_answers(setup):
    with fresh(setup) as module, logged() as lines:
        found = module.findings()
        module.require_right_layers()
    assert not found.failure, found.failure
    assert set(found.apart) == set(module.NAMES), found.apart
    assert all(apart < NEAR for apart in found.apart.values()), found.apart
    assert not [line for line in lines if "PixWizard" in line], lines
    return found.apart


def check_wrong_layers_refuse_every_loader(setup):
    """An embedding without its scale, which is what hosts from 0.28 on lost in Gemma; and an
    autoencoder that is off."""
    error, found = setup.module("pixwizard_core.errors").EncoderError, {}
    base = comfy.ops.disable_weight_init
    off = {
        "text encoder (Gemma)": (base.Embedding, "forward", 128**-0.5),
        "autoencoder, picture to latent": (comfy.taesd.taesd.TAESD, "encode", 1.2),
    }
    for part, (owner, name, factor) in off.items():
        with fresh(setup), replaced(owner, name, scaled(owner.__dict__[name], factor)):
            for output, load in loaders(setup).items():
                words = (f"ComfyUI {comfyui_version.__version__}", part, "wrong")
                found[f"{part}: {output}"] = refused(error, words, load)
    return found


def check_a_small_difference_warns_once_and_loads(setup):
    owner = comfy.taesd.taesd.TAESD
    with (
        fresh(setup) as module,
        replaced(owner, "decode", scaled(owner.__dict__["decode"], 1.01)),
        logged() as lines,
    ):
        for load in loaders(setup).values():
            load()
        apart = module.findings().apart["decoded"]
    told = [line for line in lines if "differs from the stored answer" in line]
    assert len(told) == 1, lines
    assert comfyui_version.__version__ in told[0]
    assert 1e-3 < apart < 0.1, apart
    return told[0]


def check_a_failing_check_locks_nobody_out(setup):
    def broken(*arguments, **named):
        raise RuntimeError("no such kernel")

    with (
        fresh(setup) as module,
        replaced(comfy.taesd.taesd.TAESD, "encode", broken),
        logged() as lines,
    ):
        for load in loaders(setup).values():
            load()
        assert "no such kernel" in module.findings().failure
    told = [line for line in lines if "could not compare" in line]
    assert len(told) == 1, lines
    return told[0]


def check_the_comparison_is_made_once_and_quickly(setup):
    with fresh(setup) as module:
        module.findings()
        assert module.findings() is module.findings()
        began = time.perf_counter()
        with torch.no_grad():
            module.host_answers()
        return {"seconds": round(time.perf_counter() - began, 3)}
