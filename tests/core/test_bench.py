"""Measurements: what they count, on sizes small enough to count by hand."""

import pytest
import torch

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
