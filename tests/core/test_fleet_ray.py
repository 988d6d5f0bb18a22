"""The engine on Ray: the same list and pictures as here, and workers that are replaced.

Run with `-m ray`; starting Ray takes a minute on a small machine.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pixwizard_core.errors import PixWizardError
from pixwizard_core.fleet import on_ray
from pixwizard_core.fleet.job import Temporal, Tiles
from pixwizard_core.fleet.on_ray import RayOptions, run_on_ray
from pixwizard_core.fleet.plan import chains_of
from tests.core.test_fleet_run import pictures_of
from tests.support.films import cut_film, trim_film, write_film
from tests.support.fleet import items_of, run_here, small_job, write_pictures
from tests.support.paths import ROOT

pytestmark = pytest.mark.ray
COUNT = 12


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray = pytest.importorskip("ray", reason='Ray is not installed (pip install "pixwizard[ray]")')
    pytest.importorskip("ray.data", reason='Ray Data is not installed (pip install "ray[data]")')
    # Graphics cards that are there by name only: what counts is who is told to use which.
    ray.init(
        num_cpus=2, num_gpus=2, object_store_memory=80 << 20, include_dashboard=False,
        log_to_driver=False,
    )  # fmt: skip
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors do not find the tests
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    write_pictures(folder / "in", COUNT)
    job = small_job(folder, "here")
    run_here(job, items_of(folder / "in"))
    return folder


def on_ray_with(workers, events=None, retries=2):
    told = [].append if events is None else events.append
    return lambda job, chains: run_on_ray(job, chains, RayOptions(workers, retries=retries), told)


def same_as_here(base, job) -> bool:
    here = base / "here"
    index = (Path(job.out) / "index.jsonl").read_bytes()
    return index == (here / "index.jsonl").read_bytes() and pictures_of(job.out) == pictures_of(
        here
    )


def test_ray_gives_the_same_list_and_pictures(base):
    job = small_job(base, "two")
    report = run_here(job, items_of(base / "in"), workers=2, engine=on_ray_with(2))
    assert report.done == COUNT
    assert same_as_here(base, job)


@pytest.mark.parametrize(
    "changes",
    [{"best": 2, "sharp": True}, {"tiles": Tiles(100, 20), "centre": None}],
    ids=lambda changes: "-".join(changes),
)
def test_ray_gives_the_same_best_sharp_and_tiled_answers(changes, base):
    task = "hed" if "tiles" in changes else "mask"
    items = items_of(write_pictures(base / "large", 3, sizes=((130, 160),)), task="hed")
    items = [replace(item, task=task, given={"target": "it"}) for item in items]
    jobs = [small_job(base, f"{task}-{engine}", **changes) for engine in ("local", "ray")]
    run_here(jobs[0], items)
    report = run_here(jobs[1], items, workers=2, engine=on_ray_with(2))
    assert (report.done, report.failures) == (3, [])
    assert pictures_of(jobs[0].out) == pictures_of(jobs[1].out)
    lists = [(Path(job.out) / "index.jsonl").read_bytes() for job in jobs]
    assert lists[0] == lists[1]


def test_ray_gives_the_same_frames_of_films_in_any_container(base):
    pytest.importorskip("av", reason="PyAV is not installed")
    folder = base / "films"
    folder.mkdir()
    clip = write_film(folder / "a.mp4", count=20)
    write_film(folder / "b.ts", count=20)
    write_film(folder / "c.mpg", codec="mpeg2video", count=20)
    trim_film(clip, folder / "d.mp4", 13)
    cut_film(write_film(base / "whole.mkv", count=20), folder / "e.mkv", 12)
    items = items_of(folder, every=3)
    jobs = {name: small_job(base, f"films-{name}") for name in ("one", "two", "ray")}
    run_here(jobs["one"], items)
    run_here(jobs["two"], items, workers=2)
    report = run_here(jobs["ray"], items, workers=2, engine=on_ray_with(2))
    assert (report.done, report.failures) == (len(items), [])
    results = [pictures_of(job.out) for job in jobs.values()]
    assert results[0] == results[1] == results[2]
    lists = [(Path(job.out) / "index.jsonl").read_bytes() for job in jobs.values()]
    assert lists[0] == lists[1] == lists[2]


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(base):
    job, events, listed, killed = small_job(base, "killed"), [], [], []

    def kill_once(done, total, failed):
        listed.append(done)
        if done == 3 and not killed:
            killed.append(int(events[0].rsplit(" ", 1)[1]))
            os.kill(killed[0], signal.SIGKILL)

    engine = on_ray_with(2, events)
    report = run_here(job, items_of(base / "in"), workers=2, engine=engine, on_progress=kill_once)
    assert report.failures == []
    assert report.done == COUNT
    assert listed == list(range(COUNT + 1))
    started = {event.removeprefix("a worker started, process ") for event in events}
    assert len(started) == 3
    assert same_as_here(base, job)
    assert not (Path(job.out) / ".chains").exists()


class Deadly(on_ray.Remote):
    """Ends its process at one picture."""

    def __init__(self, *given):
        super().__init__(*given)
        paint = self.worker.paint

        def deadly(batch, images):
            if "a1_" in batch[0].item.name and not isinstance(images[0], Exception):
                os._exit(1)
            return paint(batch, images)

        self.worker.paint = deadly


@pytest.mark.parametrize("temporal", [None, Temporal(0.5)])
def test_an_item_that_ends_its_workers_is_given_up(temporal, base, monkeypatch):
    monkeypatch.setattr(on_ray, "Remote", Deadly)
    job = small_job(base, f"deadly{bool(temporal)}", temporal=temporal)
    items = items_of(base / "in", frames=bool(temporal))
    (size,) = {item.size for item in items if "a1_" in item.name}
    items = [item for item in items if item.size == size]  # one sequence
    report = run_here(job, items, engine=on_ray_with(1, retries=1))
    assert report.done == len(items) - 1
    (failure,) = report.failures
    assert "a1_" in failure["name"]
    assert "died without an error, 2 times" in failure["error"]


class Seeing(on_ray.Remote):
    """Tells which graphics card it may use."""

    def __init__(self, *given):
        pass

    def __call__(self, row):
        import time

        time.sleep(0.5)  # so that each of two gets some
        for _ in row["handed"].chain:
            seen = {"sees": os.environ["CUDA_VISIBLE_DEVICES"]}
            yield {"record": json.dumps(seen), "process": os.getpid()}


def test_each_worker_has_a_graphics_card_of_its_own(base, monkeypatch):
    monkeypatch.setattr(on_ray, "Remote", Seeing)
    job = small_job(base, "cards", device="cuda")
    chains, _ = chains_of(items_of(base / "in"), job, {}, workers=2)
    seen = {record["sees"] for record in on_ray_with(2)(job, chains)}
    assert seen == {"0", "1"}


class Broken(on_ray.Remote):
    def __init__(self, *given):
        raise PixWizardError("no such weights")


def test_workers_that_cannot_start_are_said_in_one_line(base, monkeypatch):
    monkeypatch.setattr(on_ray, "Remote", Broken)
    engine = on_ray_with(1, retries=0)
    with pytest.raises(PixWizardError, match=r"a worker failed: .*no such weights"):
        run_here(small_job(base, "broken"), items_of(base / "in"), engine=engine)


def test_command_does_it_on_a_cluster_of_its_own_and_says_little(base):
    out, job = base / "command", small_job(base, "as_command")
    run_here(job, items_of(base / "in", taught=job.model.taught))
    words = [base / "in", "--task", "depth", "--bundle", base / "bundle", "--centre", 64,
             "--out", out, "--engine", "ray", "--workers", 1]  # fmt: skip
    command = [sys.executable, "-m", "pixwizard_core", "batch", *map(str, words)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert f"{COUNT} done, 0 done before, 0 failed" in ended.stdout
    told = [line for line in ended.stderr.splitlines() if "core_worker.cc" not in line]
    assert all(line.startswith(("ray: ", "looking at: ")) for line in told), told
    assert (out / "index.jsonl").read_bytes() == (Path(job.out) / "index.jsonl").read_bytes()
    assert pictures_of(out) == pictures_of(job.out)
