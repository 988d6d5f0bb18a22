"""The engine on Ray: the same list and pictures as here, and workers that are replaced.

Run with `-m ray`; starting Ray takes a minute on a small machine.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from pixwizard_core.fleet import on_ray
from pixwizard_core.fleet.on_ray import RayOptions, run_on_ray
from tests.core.test_fleet_run import pictures_of
from tests.support.fleet import items_of, run_here, small_job, write_pictures

pytestmark = pytest.mark.ray
COUNT = 12


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray = pytest.importorskip("ray", reason='Ray is not installed (pip install "pixwizard[ray]")')
    ray.init(num_cpus=2, object_store_memory=80 << 20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    write_pictures(folder / "in", COUNT)
    job = small_job(folder, "here")
    run_here(job, items_of(folder / "in"))
    return folder


def on_two(events):
    return lambda job, chains: run_on_ray(job, chains, RayOptions(2), events.append)


def same_as_here(base, job) -> bool:
    here = base / "here"
    index = (Path(job.out) / "index.jsonl").read_bytes()
    return index == (here / "index.jsonl").read_bytes() and pictures_of(job.out) == pictures_of(
        here
    )


def test_ray_gives_the_same_list_and_pictures(base):
    job = small_job(base, "two")
    report = run_here(job, items_of(base / "in"), workers=2, engine=on_two([]))
    assert report.done == COUNT
    assert same_as_here(base, job)


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(base):
    job, events, listed = small_job(base, "killed"), [], []

    def kill_once(done, total, failed):
        listed.append(done)
        if done == 2 and len(events) == 2:
            os.kill(int(events[0].rsplit(" ", 1)[1]), signal.SIGKILL)

    engine = on_two(events)
    report = run_here(job, items_of(base / "in"), workers=2, engine=engine, on_progress=kill_once)
    assert report.failures == []
    assert report.done == COUNT
    assert listed == list(range(COUNT + 1))
    assert any(event.startswith("a worker ended") for event in events)
    assert same_as_here(base, job)


class Deadly(on_ray.Remote):
    """Ends its process at one picture."""

    def __init__(self, job, retries):
        super().__init__(job, retries)
        paint = self.worker.paint

        def deadly(batch, images):
            if "a1_" in batch[0].item.name:
                os._exit(1)
            return paint(batch, images)

        self.worker.paint = deadly


def test_an_item_that_ends_its_workers_is_given_up(base, monkeypatch):
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors do not find the tests
    monkeypatch.setattr(on_ray, "Remote", Deadly)
    job = small_job(base, "deadly")
    items = items_of(*(base / "in" / f"a{n}.png" for n in (0, 1, 2)))
    report = run_here(
        job, items, workers=1,
        engine=lambda job, chains: run_on_ray(job, chains, RayOptions(1, retries=1)),
    )  # fmt: skip
    assert report.done == 2
    (failure,) = report.failures
    assert failure["name"] == "a1_depth"
    assert "ended without a word, 2 times" in failure["error"]
