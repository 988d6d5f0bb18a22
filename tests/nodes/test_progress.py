"""Long preparations tell how far they are, and stop where they are told to."""

from __future__ import annotations

import pytest

from tests.fakes.host import Bar


class Stopped(Exception):
    pass


def interrupt(management, monkeypatch) -> None:
    """The user's button, pressed before the next step."""

    def told():
        raise Stopped

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", told)


def test_text_encoder_reads_its_tensors_with_progress(extension):
    """Weights of the bundled encoder, in place of the released ones, which no test machine has."""
    load = extension("nodes.loaders.load")
    source = load.read_source("gemma", load.BUNDLE / load.TEXT_FILE)
    step = load.progress(len(source.weights.shapes))
    found = load.weights_of(source.weights, step)
    assert set(found) == set(source.weights.shapes)
    assert Bar.made[-1].done == 0
    assert [found.pop(name).device.type for name in source.weights.shapes][:2] == ["cpu", "cpu"]
    assert not found
    assert Bar.made[-1].done == Bar.made[-1].total > 0


def test_a_transformer_is_read_with_progress_and_can_be_stopped(extension, monkeypatch):
    load = extension("nodes.loaders.load")
    opened = load.open_checkpoint(load.BUNDLE / load.MODEL_FILE)
    found = load.weights_of(opened, load.progress(len(opened.shapes)))
    assert {name: tuple(value.shape) for name, value in found.items()} == opened.shapes
    assert {value.device.type for value in found.values()} == {"meta"}
    for name in opened.shapes:
        assert found.pop(name).isfinite().all()
    assert Bar.made[-1].done == Bar.made[-1].total > 100

    interrupt(load.comfy.model_management, monkeypatch)
    again = load.weights_of(opened, load.progress(len(opened.shapes)))
    with pytest.raises(Stopped):
        again.pop(next(iter(opened.shapes)))
    assert Bar.made[-1].done == 0
