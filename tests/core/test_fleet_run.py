"""Whole runs on the local engine: same bits in any company, resumed, retried, failures listed."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pixwizard_core import whole_file
from pixwizard_core.canvas import plan as lay
from pixwizard_core.errors import CanvasError, PixWizardError
from pixwizard_core.files.picture_files import open_picture, save_picture
from pixwizard_core.fleet import work as working
from pixwizard_core.fleet.index import read_objects, read_records
from pixwizard_core.fleet.job import ModelFiles, Temporal
from pixwizard_core.fleet.plan import canvas_of, chains_of
from pixwizard_core.fleet.work import Worker, may_pass
from pixwizard_core.pipeline import Request, run
from tests.support.bundles import write_bundle
from tests.support.fleet import items_of, run_here, small_job, write_pictures


def pictures_of(out) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in Path(out).rglob("*.png")}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    write_pictures(folder / "in", 5)
    small_job(folder)
    return folder


@pytest.fixture(scope="module")
def reference(base):
    """Everything done by one worker."""
    job = small_job(base, "reference")
    return run_here(job, items_of(base / "in")), pictures_of(job.out)


def test_run_writes_files_and_one_line_an_item(reference, base):
    report, files = reference
    assert (report.done, report.skipped, report.failures) == (5, 0, [])
    first = read_records(report.index)[0]
    assert first["name"] == "a0_depth"
    assert first["files"]["16bit"] == "a0_depth_16bit.png"
    assert (first["width"], first["height"]) == (56, 40)
    assert first["data"]["white_is"] == "near"
    assert len(files) == 15


def test_two_workers_give_the_same_bytes(reference, base):
    job = small_job(base, "two")
    report = run_here(job, items_of(base / "in"), workers=2)
    assert report.index.read_bytes() == reference[0].index.read_bytes()
    assert pictures_of(job.out) == reference[1]


def test_company_changes_no_bit_of_a_batch(base):
    full = small_job(base, "full", batch=3, centre=64)
    run_here(full, items_of(base / "in"))
    alone = small_job(base, "alone", batch=3, centre=64)
    run_here(alone, items_of(base / "in" / "a3.png"))
    assert pictures_of(alone.out).items() <= pictures_of(full.out).items()


def test_result_is_that_of_the_pipeline(base):
    job = small_job(base, "plain")
    item = items_of(base / "in" / "a0.png")[0]
    worker, image = Worker(job), open_picture(item.path)
    bundle = job.model.load("cpu")
    request = Request(
        image, item.instruction, item.own_seed(0), job.settings_of("depth"), centre=64
    )
    ((batch,),) = chains_of([item], job, {})[0]
    assert torch.equal(worker.paint(batch, [image])[0].image_01, run(bundle, request).image_01)


def test_done_items_are_skipped_until_something_changes(base, tmp_path):
    folder = write_pictures(tmp_path / "in", 3)
    job = small_job(base, "again")
    assert run_here(job, items_of(folder)).done == 3
    assert run_here(job, items_of(folder)).skipped == 3
    save_picture(folder / "a1.png", torch.zeros(3, 40, 40))
    (Path(job.out) / "a2_depth_answer.png").unlink()
    report = run_here(job, items_of(folder))
    assert (report.done, report.skipped) == (2, 1)
    other = small_job(base, "again", seed=5)
    assert run_here(other, items_of(folder)).done == 3
    assert len(read_records(report.index)) == 3


def test_interrupted_run_goes_on_where_it_was(base, reference):
    job = small_job(base, "cut")

    class Stopped(Exception):
        pass

    def stop(done, total, failed):
        if done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        run_here(job, items_of(base / "in"), on_progress=stop)
    torn = Path(job.out) / ".a3_depth_answer.png.41.42.part"
    torn.write_bytes(b"half a pic")
    other = Path(job.out) / ".of_another_program.part"
    other.write_bytes(b"not ours")
    report = run_here(job, items_of(base / "in"))
    assert (report.done, report.skipped) == (3, 2)
    assert not torn.exists()
    assert other.exists()
    assert report.index.read_bytes() == reference[0].index.read_bytes()


def test_one_bad_picture_fails_alone(base, tmp_path):
    folder = write_pictures(tmp_path / "in", 2, sizes=((40, 40),))
    data = (folder / "a0.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    job = small_job(base, "bad", batch=3)
    report = run_here(job, items_of(folder))
    assert report.done == 2
    assert [failure["name"] for failure in report.failures] == ["cut_depth"]
    listed = (Path(job.out) / "failures.jsonl").read_text(encoding="utf-8")
    assert "cannot be read" in json.loads(listed)["error"]


def test_passing_faults_are_tried_again_and_mistakes_are_not(base, monkeypatch):
    item = items_of(base / "in" / "a0.png")
    worker = Worker(small_job(base, "try"), retries=2)
    errors = [OSError("busy"), OSError("busy")]
    calls = []

    def shaky(path):
        calls.append(path)
        if errors:
            raise errors.pop()
        return open_picture(path)

    monkeypatch.setattr(working, "open_picture", shaky)
    assert isinstance(worker._read(item[0]), torch.Tensor)
    assert len(calls) == 3
    errors.append(PixWizardError("no picture"))
    assert isinstance(worker._read(item[0]), PixWizardError)
    assert len(calls) == 4


def test_faults_of_the_disk_are_tried_again_and_what_is_in_a_file_is_not(base, tmp_path):
    def caused(problem):
        error = CanvasError("cannot write")
        error.__cause__ = problem
        return error

    assert may_pass(caused(OSError(errno.EIO, "fault")))
    assert may_pass(RuntimeError("out of memory"))
    for problem in (OSError(errno.ENOSPC, "full"), OSError("truncated"), None):
        assert not may_pass(caused(problem))
    assert not may_pass(KeyError("a mistake of ours"))


def test_a_full_disk_stops_the_run_and_a_new_one_goes_on(base, monkeypatch):
    job, renamed = small_job(base, "no_room"), []
    replace = os.replace

    def full(source, target):
        renamed.append(target)
        if len(renamed) > 7:  # two pictures of three files each have found room
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(whole_file.os, "replace", full)
    with pytest.raises(PixWizardError, match=r"No space left on device; .*continues where this"):
        run_here(job, items_of(base / "in"))
    assert len(read_records(Path(job.out) / "index.jsonl")) == 2
    assert not list(Path(job.out).glob(".*.part"))
    monkeypatch.undo()
    report = run_here(job, items_of(base / "in"))
    assert (report.done, report.skipped) == (3, 2)


def test_results_of_another_picture_are_not_overwritten(base, tmp_path):
    job = small_job(base, "taken")
    mine, other = (write_pictures(tmp_path / name, 1, seed=seed) for seed, name in enumerate("xy"))
    run_here(job, items_of(mine))
    with pytest.raises(PixWizardError, match="would replace it; choose another folder for --out"):
        run_here(job, items_of(other))
    (mine / "a0.png").unlink()
    assert run_here(job, items_of(other)).done == 1


def test_parts_list_their_own_failures_and_leave_those_of_others(base, tmp_path):
    folder = write_pictures(tmp_path / "in", 4)
    unseen = [{"name": f"bad{n}", "path": f"bad{n}.png", "error": "unread"} for n in range(8)]
    job = small_job(base, "partly")
    reports = [run_here(job, items_of(folder), shard=(n, 2), failures=unseen) for n in (1, 2)]
    listed = [read_objects(Path(job.out) / f"failures-{n}-of-2.jsonl") for n in (1, 2)]
    assert [report.failures for report in reports] == listed
    assert sorted(one["name"] for rows in listed for one in rows) == [f"bad{n}" for n in range(8)]
    run_here(job, items_of(folder), shard=(1, 2))
    assert [path.name for path in Path(job.out).glob("fail*")] == ["failures-2-of-2.jsonl"]


def test_a_batch_that_fails_is_done_one_by_one(base, monkeypatch):
    items = items_of(base / "in" / "a1.png", base / "in" / "a4.png")
    job = small_job(base, "single", batch=2)
    ((batch,),) = chains_of(items, job, {})[0]
    worker = Worker(job, retries=0)
    whole = worker.painter.paint

    def fussy(todos, images):
        if len(todos) > 1:
            raise RuntimeError("out of memory")
        return whole(todos, images)

    images = worker.read(batch)
    expected = worker.paint(batch, images)
    monkeypatch.setattr(worker.painter, "paint", fussy)
    answers = worker.paint(batch, images)
    for answer, other in zip(answers, expected, strict=True):
        assert torch.equal(answer.image_01, other.image_01)


def test_shards_together_are_the_whole(base, reference):
    from pixwizard_core.fleet.runner import collect

    job = small_job(base, "shards")
    for part in (1, 2):
        run_here(job, items_of(base / "in"), shard=(part, 2))
    count, _ = collect(Path(job.out))
    assert count == 5
    index = Path(job.out) / "index.jsonl"
    assert index.read_bytes() == reference[0].index.read_bytes()


def test_batches_are_full_and_of_one_canvas_size(base):
    job = small_job(base, "groups", batch=2)
    chains, _ = chains_of(items_of(base / "in"), job, {})
    batches = [batch for chain in chains for batch in chain]
    for batch in batches:
        assert len({canvas_of(todo.item, job).model for todo in batch}) == 1
    assert sorted(map(len, batches)) == [1, 2, 2]
    assert lay(56, 40, (64,)).model != lay(64, 64, (64,)).model


def test_key_changes_with_the_weights(base, tmp_path):
    item = items_of(base / "in" / "a0.png")[0]
    job = small_job(base)
    other = ModelFiles(str(write_bundle(tmp_path, {"other": "file"})))
    changed = small_job(base, model=other, model_hash=other.fingerprint())
    assert job.key(item) != changed.key(item)


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_frames_resumed_are_those_of_one_go(start, base, tmp_path):
    folder = write_pictures(tmp_path / "shot", 4, sizes=((40, 40),))
    items = items_of(folder, frames=True)
    options = {"temporal": Temporal(start), "overrides": {"steps": 2}}
    whole = small_job(base, f"whole{start}", **options)
    run_here(whole, items)
    part = small_job(base, f"part{start}", **options)
    run_here(part, items[:2])
    report = run_here(part, items)
    assert report.index.read_bytes() == (Path(whole.out) / "index.jsonl").read_bytes()
    assert pictures_of(part.out) == pictures_of(whole.out)
    seeds = {record["seed"] for record in read_records(report.index)}
    assert len(seeds) == 1


def test_a_frame_that_cannot_be_read_breaks_no_sequence(base, tmp_path):
    folder = write_pictures(tmp_path / "shot", 3, sizes=((40, 40),))
    items = items_of(folder, frames=True)
    data = (folder / "a1.png").read_bytes()
    (folder / "a1.png").write_bytes(data[: len(data) // 2])
    job = small_job(base, "broken", temporal=Temporal(0.5))
    report = run_here(job, items)
    assert report.done == 2
    assert len(report.failures) == 1


def test_run_refuses_a_truth_that_nothing_scores(base):
    """Otherwise an evaluation would end with no numbers and say nothing."""
    items = [replace(item, truth={"protocol": "depth"}) for item in items_of(base / "in")]
    with pytest.raises(ValueError, match=r"truth to compare with; give Job\.score"):
        run_here(small_job(base, "unscored"), items)
