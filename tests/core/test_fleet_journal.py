"""Chains that go on at another worker where the one before ended."""

from pathlib import Path

import pytest

from pixwizard_core.fleet.index import read_objects
from pixwizard_core.fleet.job import Temporal
from pixwizard_core.fleet.journal import go_on
from pixwizard_core.fleet.plan import chains_of
from pixwizard_core.fleet.work import Worker, work
from tests.support.fleet import items_of, small_job, without_keys, write_pictures

COUNT = 4


class Ended(BaseException):
    """What a test has instead of the end of a process."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    write_pictures(folder / "in", COUNT, sizes=((40, 40),))
    return folder


def chain_of(base, out, **changes):
    """A job, and all its pictures in one chain."""
    job = small_job(base, out, **changes)
    frames = bool(changes.get("temporal"))
    chains, _ = chains_of(items_of(base / "in", frames=frames), job, {})
    return job, tuple(batch for chain in chains for batch in chain)


class Painter:
    """A worker's process: notes what it paints, and ends at an item with `deadly` in its name."""

    def __init__(self, job, deadly=""):
        self.worker, self.deadly, self.painted = Worker(job), deadly, []
        self.paint, self.worker.paint = self.worker.paint, self._paint

    def _paint(self, batch, images):
        names = [todo.item.name for todo in batch]
        if not any(isinstance(image, Exception) for image in images):
            self.painted += names
            if self.deadly and any(self.deadly in name for name in names):
                raise Ended
        return self.paint(batch, images)


def attempt(job, chain, retries=2, deadly=""):
    """What one worker gives and paints, and whether it came to the chain's end."""
    painter, given = Painter(job, deadly), []
    try:
        for record in go_on(painter.worker, chain, retries, Path(job.out) / "journals"):
            given.append(record)
    except Ended:
        return given, painter.painted, False
    return given, painter.painted, True


def test_next_worker_gives_the_same_and_paints_only_what_is_left(base):
    job, chain = chain_of(base, "again")
    whole = list(work(Worker(job), chain))
    first, _, ended = attempt(job, chain, deadly="a2_")
    assert not ended
    assert first == whole[: len(first)]
    given, painted, ended = attempt(job, chain)
    assert ended
    assert given == whole
    assert painted == [record["name"] for record in whole[len(first) :]]
    assert list((Path(job.out) / "journals").iterdir()) == []


@pytest.mark.parametrize(("retries", "ends"), [(0, 2), (1, 2), (2, 3)])
def test_an_item_that_ends_its_workers_is_given_up_and_no_other(retries, ends, base):
    job, chain = chain_of(base, f"deadly{retries}")
    attempts = [attempt(job, chain, retries, "a1_") for _ in range(ends + 1)]
    assert [ended for *_, ended in attempts] == [False] * ends + [True]
    given = attempts[-1][0]
    assert [record["status"] for record in given] == ["done", "failed", "done", "done"]
    assert f"died without an error, {ends} times" in given[1]["error"]
    for records, *_ in attempts:  # Ray drops by place what it has had
        assert records == given[: len(records)]


def test_frames_after_one_that_is_given_up_start_from_the_one_before_it(base):
    job, chain = chain_of(base, "frames", temporal=Temporal(0.5), overrides={"steps": 2})
    for _ in range(2):
        attempt(job, chain, 1, "a1")
    given, *_ = attempt(job, chain, 1, "a1")
    assert [record["status"] for record in given] == ["done", "failed", "done", "done"]
    unread, rest = chain_of(base, "unread", temporal=Temporal(0.5), overrides={"steps": 2})
    worker = Worker(unread)
    read = worker.read
    worker.read = lambda batch: [OSError("no")] if "a1" in batch[0].item.name else read(batch)
    expected = [record for record in work(worker, rest) if record["status"] == "done"]
    assert without_keys(expected) == without_keys([given[0], *given[2:]])
    for record in expected:
        name = record["files"]["answer"]
        assert (Path(unread.out) / name).read_bytes() == (Path(job.out) / name).read_bytes()


def test_a_line_cut_off_by_the_end_is_done_again(base):
    job, chain = chain_of(base, "torn")
    first, *_ = attempt(job, chain, deadly="a3_")
    (path,) = (Path(job.out) / "journals").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    assert len(read_objects(path)) == len(first)  # with the mark of the beginning
    given, *_, ended = attempt(job, chain)
    assert ended
    assert given == list(work(Worker(job), chain))


def test_pictures_that_are_the_same_have_journals_of_their_own(base):
    job, ((one,), (other,), *_) = chain_of(base, "twins")
    attempt(job, ((one,),), deadly=one.item.name)
    attempt(job, ((other,),), deadly=other.item.name)
    assert len(list((Path(job.out) / "journals").iterdir())) == 2
