"""Long preparations tell how far they are, and stop where they are told to."""

from __future__ import annotations

import pytest
import torch

from tests.fakes.host import Bar


class Stopped(Exception):
    pass


def interrupt(management, monkeypatch) -> None:
    """The user's button, pressed before the next step."""

    def told():
        raise Stopped

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", told)


@pytest.fixture
def parts(extension):
    return extension("nodes.host.progress")


def test_every_item_moves_the_bar(parts):
    assert list(parts.each("abc", parts.progress(3))) == ["a", "b", "c"]
    assert (Bar.made[-1].done, Bar.made[-1].total) == (3, 3)


def test_an_interruption_ends_the_loop_at_once(parts, monkeypatch):
    interrupt(parts.comfy.model_management, monkeypatch)
    seen = []
    with pytest.raises(Stopped):
        seen.extend(parts.each("abc", parts.progress(3)))
    assert Bar.made[-1].done == 0


def test_text_encoder_reads_its_tensors_with_progress(extension):
    """Weights of the bundled encoder, in place of the released ones, which no test machine has."""
    load = extension("nodes.loaders.load")
    source = load.read_source("gemma", load.BUNDLE / load.TEXT_FILE)
    step = load.progress(len(source.weights.shapes))
    found = load.weights_of(source.weights, step)
    assert set(found) == set(source.weights.shapes)
    assert Bar.made[-1].done == Bar.made[-1].total == len(found) > 0


def test_a_transformer_is_read_with_progress_and_can_be_stopped(extension, monkeypatch):
    load = extension("nodes.loaders.load")
    opened = load.open_checkpoint(load.BUNDLE / load.MODEL_FILE)
    found = load.weights_of(opened, load.progress(len(opened.shapes)))
    assert set(found) == set(opened.shapes)
    assert Bar.made[-1].done == Bar.made[-1].total == len(found) > 100

    interrupt(load.comfy.model_management, monkeypatch)
    with pytest.raises(Stopped):
        load.load_transformer(load.BUNDLE / load.MODEL_FILE, torch.float32)
    assert Bar.made[-1].done == 0
