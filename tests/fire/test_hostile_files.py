"""Weight files made to harm: refused in a sentence, nothing run, nothing left open."""

from __future__ import annotations

import os
import time

import pytest

from pixwizard_core.encoders.load import load_vision_encoder, read_source
from pixwizard_core.encoders.vae import load_latent_coder
from pixwizard_core.errors import PixWizardError
from pixwizard_core.weights.checkpoint import load_model, load_state_dict
from pixwizard_core.weights.convert import convert
from pixwizard_core.weights.examine import inspect
from pixwizard_core.weights.lora_read import read_adapters
from tests.fire import hostile_pickles, hostile_tensors, limits

SECONDS = 10
LOADERS = {
    "load_model": load_model,
    "load_state_dict": load_state_dict,
    "convert": lambda path: convert(path, path.parent / "out.safetensors", "fp32"),
    "lora": lambda path: read_adapters(path, {"layers.0.attention.wq.weight": (256, 256)}),
    "gemma": lambda path: read_source("gemma", path),
    "clip_text": lambda path: read_source("clip_text", path),
    "clip_vision": load_vision_encoder,
    "vae": load_latent_coder,
}
TIMES_ITS_SIZE = 8  # memory that a list of names takes, beside the fixed allowance


def size_mib(path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / (1 << 20)


def attempt(name: str, loader, path, folder) -> Exception | None:
    """The refusal of one loader, after checking that it harmed nothing. None: it loaded."""
    limits.reset_peak()
    before, begun, refusal = limits.memory_mib("VmHWM"), time.monotonic(), None
    try:
        loader(path)
    except PixWizardError as error:
        limits.check_message(error)
        refusal = str(error)
    grown, seconds = limits.memory_mib("VmHWM") - before, time.monotonic() - begun
    assert not (folder / hostile_pickles.CANARY).exists(), f"{name} executed the file"
    assert folder.is_dir(), f"{name} removed the folder"
    allowed = limits.MEMORY_MIB + TIMES_ITS_SIZE * size_mib(path)
    assert grown < allowed, f"{name} took {grown:.0f} MiB"
    assert seconds < SECONDS, f"{name} took {seconds:.0f} s"
    assert not list(folder.glob("**/.*.part")), f"{name} left a part behind"
    if refusal:
        assert limits.left_open(folder) == [], name
    return refusal


def try_all(make, folder, must_refuse=tuple(LOADERS)) -> dict[str, str | None]:
    path = make(folder / "weights.safetensors")
    told = {}
    for name, loader in {"inspect": inspect, **LOADERS}.items():
        told[name] = attempt(name, loader, path, folder)
    accepted = [name for name in must_refuse if told[name] is None]
    assert not accepted, f"accepted by {accepted}"
    return told


EXECUTING = [name for name, _ in hostile_pickles.executing(hostile_pickles.Path("x"))]
FILLING = [name for name, _ in hostile_pickles.filling(hostile_pickles.Path("x"))]
DAMAGED = dict(hostile_tensors.headers())
FLIPPED = dict(hostile_tensors.flips())
MISFITS = (
    dict(hostile_tensors.misfits())
    | dict(hostile_tensors.configurations())
    | dict(hostile_tensors.quantisations())
)
NOT_FINITE = dict(hostile_tensors.not_finite())


@pytest.mark.parametrize("name", EXECUTING)
def test_nothing_in_a_pickle_is_executed(tmp_path, name):
    os.chdir(tmp_path)
    make = dict(hostile_pickles.executing(tmp_path))[name]
    told = try_all(make, tmp_path, ("inspect", *LOADERS))
    assert any(word in told["load_model"] for word in ("refused", "damaged")), told["load_model"]


@pytest.mark.parametrize("name", FILLING)
def test_memory_stays_bounded(tmp_path, name):
    try_all(dict(hostile_pickles.filling(tmp_path))[name], tmp_path)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_headers_are_refused(tmp_path, name):
    try_all(DAMAGED[name], tmp_path)


@pytest.mark.parametrize("name", FLIPPED)
def test_a_flipped_bit_is_refused_or_harmless(tmp_path, name):
    try_all(FLIPPED[name], tmp_path, ())


@pytest.mark.parametrize("name", MISFITS)
def test_wrong_weights_are_refused(tmp_path, name):
    try_all(MISFITS[name], tmp_path, ("load_model", "load_state_dict", "convert"))


@pytest.mark.parametrize("name", NOT_FINITE)
def test_weights_that_are_no_numbers_are_refused(tmp_path, name):
    told = try_all(NOT_FINITE[name], tmp_path, ("load_model", "load_state_dict", "convert"))
    assert "not finite" in told["load_model"]
