"""What a loader leaves with a patcher, so that the host can have the model a second time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture
def module(extension):
    return extension("nodes.host.reload")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"first")
    return path


def load(path, dtype, disable_dynamic=False):
    """A MODEL: its own patcher."""
    return SimpleNamespace(path=path, dtype=dtype, dynamic=not disable_dynamic)


def load_wrapped(path, disable_dynamic=False):
    """A CLIP, CLIP_VISION or VAE: an object with a patcher."""
    return SimpleNamespace(patcher=load(path, None, disable_dynamic))


def as_the_host(patcher, **named):
    factory, arguments = patcher.cached_patcher_init
    return factory(*arguments, **named)


def test_a_model_is_read_again_with_its_options(module, file):
    first = load(file, "bf16")
    assert module.reloadable(first, [file], load, file, "bf16") is first
    plain, other = as_the_host(first, disable_dynamic=True), as_the_host(first)
    assert (plain.path, plain.dtype, plain.dynamic) == (file, "bf16", False)
    assert other.dynamic
    assert plain is not first
    assert other is not first


def test_of_other_parts_the_patcher_comes_back(module, file):
    first = module.reloadable(load_wrapped(file), [file], load_wrapped, file)
    again = as_the_host(first.patcher, disable_dynamic=True)
    assert (again.path, again.dynamic) == (file, False)


def test_nothing_of_the_first_is_kept(module, file):
    first = module.reloadable(load(file, "bf16"), [file], load, file, "bf16")
    _, (_, stamps, arguments) = first.cached_patcher_init
    assert stamps == ((file, (5, file.stat().st_mtime_ns)),)
    assert arguments == (file, "bf16")


@pytest.mark.parametrize("change", ["other content", "gone"])
def test_another_file_of_that_name_is_refused(module, file, extension, change):
    first = module.reloadable(load(file, None), [file], load, file, None)
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"another")
    error = extension("pixwizard_core.errors").CheckpointError
    with pytest.raises(error, match=r"model\.safetensors was changed or removed after it was"):
        as_the_host(first, disable_dynamic=True)
