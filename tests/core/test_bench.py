"""Measurements: what they count, on sizes small enough to count by hand."""

import pytest
import torch

from pixwizard_core.bench import decoders, kernels
from pixwizard_core.bench.machine import machine, told
from pixwizard_core.bench.memory import peak_bytes
from pixwizard_core.bench.steps import compare, random_model
from tests.support.tiny import tiny_config


def test_peak_counts_what_is_alive_at_once():
    def run():
        a = torch.ones(1000)  # 4000 bytes
        b = a + 1  # and 4000
        del a
        return b.double()  # 4000 and 8000

    assert peak_bytes(run) == 12_000


def test_peak_counts_views_once_and_own_tensors_never():
    own = torch.ones(1000)

    def run():
        views = own.view(10, 100), own[5:]
        own.mul_(2)
        return views, own[:100] + 1

    assert peak_bytes(run, [own]) == 400


def test_peak_counts_meta_tensors():
    assert peak_bytes(lambda: torch.empty(7, device="meta", dtype=torch.bfloat16)) == 14


@pytest.fixture(scope="module")
def timings():
    return compare(random_model(tiny_config()), side=16, text=16, pairs=1)


def test_every_way_gives_the_same_velocity(timings):
    assert [one.case for one in timings] == ["two branches", "three branches", "one branch"]
    assert all(0 <= one.difference < 1e-4 for one in timings)


def test_ours_holds_less_than_the_reference_way(timings):
    assert all(one.memory_share < 0.7 for one in timings)


def test_machine_tells_what_was_measured_on():
    facts = machine()
    assert facts["torch"] == torch.__version__
    assert f"{facts['threads']} threads" in told(facts)


def test_kernels_tell_figures_or_why_there_are_none():
    peak, found = kernels.compare(random_model(tiny_config()), side=8, text=8, rounds=1)
    assert peak > 0
    assert [one.way for one in found] == ["as chosen by torch", *kernels.BACKENDS]
    assert all(one.note or (one.seconds > 0 and one.peak_share > 0) for one in found)
    assert not found[0].note
    assert "Tflop/s" in kernels.table(peak, found)


def test_every_decoder_is_measured():
    found = decoders.compare(side=64, rounds=1)
    assert [one.kind for one in found] == list(decoders.DECODERS)
    assert all(one.seconds > 0 for one in found)
    assert all(one.bytes >= 64 * 64 * 3 * 4 for one in found)


@pytest.mark.parametrize("kind", list(decoders.DECODERS))
def test_measured_answers_are_pictures(kind):
    made = decoders.answer(kind, 64, torch.Generator().manual_seed(0))
    assert made.shape == (1, 3, 64, 64)
    assert 0 <= float(made.min()) < float(made.max()) <= 1
