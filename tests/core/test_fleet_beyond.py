"""Sharp answers, the best of several and tiles for many pictures: as `pixwizard run` gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from pixwizard_core import cli
from pixwizard_core.canvas import Size
from pixwizard_core.cli.entry import _parser
from pixwizard_core.errors import CanvasError
from pixwizard_core.files.picture_bands import PictureBands
from pixwizard_core.fleet import fits
from pixwizard_core.fleet.index import read_records, write_parquet
from pixwizard_core.fleet.items import Item
from pixwizard_core.fleet.job import Temporal, Tiles
from pixwizard_core.fleet.plan import Todo
from pixwizard_core.fleet.work import Worker
from tests.core.test_fleet_index import record
from tests.core.test_fleet_run import pictures_of
from tests.support.bundles import write_bundle
from tests.support.fleet import items_of, run_here, small_job, write_pictures
from tests.support.parsers import commands

LARGE = ((150, 210), (96, 200))  # height, width
SEEDS = (7, 2**63)
SHARP = ["--task", "normal", "--sharp", "--centre", "64"]
BEST_MASK = ["--task", "mask", "--target", "the ball", "--best", "2", "--sharp", "--centre", "64"]
BEST_HIGHLIGHT = ["--task", "highlight", "--target", "it", "--color", "blue", "--best", "2"]
BEST_OF_MAPS = ["--task", "from_depth", "--caption", "a room", "--best", "2", "--centre", "64"]
TILED = ["--task", "canny", "--tile", "128", "--overlap", "20"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As each worker has: sums in another order round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Two pictures larger than the model, and a list that gives each a seed."""
    folder = tmp_path_factory.mktemp("beyond")
    write_bundle(folder / "bundle")
    write_pictures(folder / "in", 2, sizes=LARGE)
    rows = [{"path": f"in/a{i}.png", "seed": seed} for i, seed in enumerate(SEEDS)]
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / "list.jsonl").write_text(lines, encoding="utf-8")
    return folder


def batch(base: Path, out: str, *words, source: str = "list.jsonl") -> int:
    given = ["--bundle", base / "bundle", "--out", base / out, "--workers", 1, "--steps", 1]
    return cli.main(["batch", str(base / source), *map(str, given), *map(str, words)])


def records(base: Path, out: str) -> list[dict]:
    return read_records(base / out / "index.jsonl")


@pytest.mark.parametrize("words", [SHARP, BEST_MASK, BEST_HIGHLIGHT, BEST_OF_MAPS, TILED])
def test_pictures_and_scores_are_those_of_run(words, base, tmp_path, capsys):
    out = f"same-{words[1]}"
    assert batch(base, out, *words) == 0
    for number, (seed, row) in enumerate(zip(SEEDS, records(base, out), strict=True)):
        given = ["--bundle", base / "bundle", "--out", tmp_path, "--steps", 1, "--seed", seed]
        picture = base / "in" / f"a{number}.png"
        assert cli.main(["run", str(picture), *words, *map(str, given)]) == 0
        (path,) = tmp_path.glob(f"a{number}_*_report.json")
        report = json.loads(path.read_text("utf-8"))
        assert row["files"] == {what: f"in/{name}" for what, name in report["files"].items()}
        for name in report["files"].values():
            assert (base / out / "in" / name).read_bytes() == (tmp_path / name).read_bytes()
        best = row.get("best", {})
        assert set(best) == ({"scored_by", "scores", "best_seed"} if "--best" in words else set())
        assert best == {name: report[name] for name in best}
        assert row.get("confidence") == report.get("confidence")
        assert row["data"].get("sharp") == report.get("sharp")
        assert row["data"].get("tiles") == report.get("tiles")


def test_masks_alone_have_a_confidence(base):
    assert batch(base, "sure", *BEST_MASK) == 0
    assert batch(base, "unsure", *BEST_OF_MAPS) == 0
    assert all(0 <= row["confidence"] <= 1 for row in records(base, "sure"))
    assert not any("confidence" in row for row in records(base, "unsure"))


def test_sharp_answers_are_others_than_plain_ones(base):
    plain, sharp = small_job(base, "plain"), small_job(base, "sharp", sharp=True)
    for job in (plain, sharp):
        run_here(job, items_of(base / "in", task="normal"))
    names = [row["files"]["answer"] for row in records(base, "sharp")]
    assert all(row["data"]["sharp"] is True for row in records(base, "sharp"))
    assert not any("sharp" in row["data"] for row in records(base, "plain"))
    for name in names:
        assert (base / "sharp" / name).read_bytes() != (base / "plain" / name).read_bytes()


def test_what_is_not_sharpened_is_counted_and_listed(base, capsys):
    assert batch(base, "dull", "--task", "hed", "--sharp") == 0
    said = "only answers of these kinds can be sharpened: mask, highlight, depth, normal,"
    assert f"--sharp has no effect on 2 of 2 pictures: {said}" in capsys.readouterr().err
    assert all(row["data"]["sharp"].startswith(said) for row in records(base, "dull"))


def test_pictures_of_one_tile_are_counted(base, capsys):
    assert batch(base, "single", "--task", "canny", "--tile", "1024") == 0
    assert "2 of 2 pictures: one tile suffices" in capsys.readouterr().err
    assert [row["data"]["tiles"]["count"] for row in records(base, "single")] == [1, 1]


JOBS = [
    {"sharp": True},
    {"best": 2},
    {"tiles": Tiles(100, 20), "centre": None},
    {"sharp": True, "temporal": Temporal(0.5)},
    {"tiles": Tiles(100, 20), "centre": None, "temporal": Temporal()},
]


@pytest.mark.parametrize("changes", JOBS, ids=lambda changes: "-".join(changes))
def test_resumed_and_by_two_workers_it_is_the_same(changes, base, tmp_path):
    task = "hed" if "tiles" in changes else "normal"
    items = items_of(write_pictures(tmp_path / "in", 3, sizes=((100, 160),)), task=task)
    if "best" in changes:
        items = [
            replace(item, task="mask", given={"target": "it"}, name=f"{item.name}_mask")
            for item in items
        ]
    jobs = [
        small_job(base, f"{tmp_path.name}-{name}", overrides={"steps": 2}, **changes)
        for name in "abc"
    ]
    whole = run_here(jobs[0], items)
    assert (whole.done, whole.failures) == (3, [])
    run_here(jobs[1], items, workers=2)
    run_here(jobs[2], items[:1])
    resumed = run_here(jobs[2], items)
    assert (resumed.done, resumed.skipped) == (2, 1)
    for job in jobs[1:]:
        assert pictures_of(job.out) == pictures_of(jobs[0].out)
        assert (Path(job.out) / "index.jsonl").read_bytes() == whole.index.read_bytes()
    assert run_here(jobs[2], items).skipped == 3


def test_key_names_the_options_and_is_as_before_without_them(base):
    item = Item("x", "x.png", "mask", "Mask.", size=Size(100, 100), given={"target": "x"})
    plain = small_job(base)
    jobs = [
        plain, replace(plain, sharp=True), replace(plain, best=2), replace(plain, best=3),
        replace(plain, tiles=Tiles()), replace(plain, tiles=Tiles(64)),
    ]  # fmt: skip
    assert len({job.key(item) for job in jobs}) == len(jobs)
    other = replace(item, given={"target": "y"})  # which is asked for in the other forms
    assert plain.key(item) == plain.key(other)
    assert jobs[2].key(item) != jobs[2].key(other)


def test_films_can_be_answered_by_tiles(base, tmp_path):
    frames = [Image.effect_noise((160, 100), 90 + 20 * number) for number in range(2)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    items = items_of(tmp_path / "film.gif", task="hed")
    job = small_job(base, "film", tiles=Tiles(100, 20), centre=None)
    report = run_here(job, items)
    assert (report.done, report.failures) == (2, [])
    assert [row["data"]["tiles"]["count"] for row in report.records] == [2, 2]
    assert {(row["model_width"], row["model_height"]) for row in report.records} == {(128, 128)}
    assert Image.open(Path(job.out) / report.records[0]["files"]["grey"]).size == (160, 100)


def test_a_picture_that_breaks_off_fails_alone_by_tiles(base, tmp_path):
    folder = write_pictures(tmp_path / "in", 1, sizes=LARGE)
    data = (folder / "a0.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    job = small_job(base, "broken", tiles=Tiles(), centre=None)
    report = run_here(job, items_of(folder, task="hed"))
    assert (report.done, [one["name"] for one in report.failures]) == (1, ["cut_hed"])
    assert not list(Path(job.out).glob("cut*"))


def test_rectangles_need_tiles(base):
    item = items_of(base / "in" / "a0.png")[0]
    painter = Worker(small_job(base, "none"), retries=0).painter
    with pytest.raises(CanvasError, match="is read by rectangles, which tiles alone can answer"):
        painter.paint([Todo(item, "k")], [PictureBands(item.path)])


def test_parquet_has_the_scores_where_something_was_chosen(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    chosen = record("b", best={"best_seed": 3}, confidence=0.5)
    assert write_parquet(tmp_path / "p.parquet", [record("a"), chosen])
    rows = parquet.read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["confidence"] for row in rows] == [None, 0.5]
    assert [row["best"] for row in rows] == [None, '{"best_seed": 3}']
    assert write_parquet(tmp_path / "q.parquet", [record("a")])
    assert not {"best", "confidence"} & set(parquet.read_table(tmp_path / "q.parquet").column_names)


REFUSED = {
    "one-is-enough": (["--task", "depth", "--best", "4"], "'depth' (Depth map) needs one answer"),
    "many-are-right": (["--task", "style", "--caption", "x", "--best", "2"], "many right answers"),
    "own-words": (["--instruction", "make it blue", "--best", "2"], "in your own words cannot be"),
    "decoded-as": (
        ["--instruction", "show it", "--task", "mask", "--best", "2"],
        "an instruction in your own words cannot be rated",
    ),
    "count": ([*BEST_MASK[:4], "--best", "65"], "chosen of 1 to 64 answers. Got: 65"),
    "best-temporal": (
        [*BEST_MASK[:4], "--best", "2", "--temporal"],
        "--temporal gives all frames of a film one noise, and --best may choose another for each",
    ),
    "best-batch": ([*BEST_MASK[:4], "--best", "2", "--batch", "2"], "--best answers one picture"),
    "best-tile": (["--task", "denoise", "--tile", "--best", "2"], "cannot be used with --best"),
    "tile-sharp": (["--task", "canny", "--tile", "--sharp"], "cannot be used with --sharp"),
    "tile-task": (["--task", "depth", "--tile"], "'depth' is not answered tile by tile"),
    "tile-words": (["--instruction", "x", "--tile"], "instruction in your own words, whose effect"),
    "tile-batch": ([*TILED, "--batch", "2"], "--tile answers one picture after another"),
    "tile-start": ([*TILED, "--temporal", "0.5"], "which tiles do not keep"),
    "tile-centre": ([*TILED, "--centre", "64"], "cannot be used with --centre"),
    "tile-fit": ([*TILED, "--fit", "pad"], "leave out --fit pad"),
    "tile-small": (["--task", "canny", "--tile", "9"], "a tile has at least 64 px a side. Got: 9"),
    "overlap": (["--task", "canny", "--tile", "64", "--overlap", "40"], "0 to 32 px, half of a"),
    "overlap-alone": (["--task", "canny", "--overlap", "4"], "give also --tile"),
    "layers": (["--layers", "a"], "pixwizard run --layers takes any number of pictures"),
    "region": (["--region", "a.png:b"], "use pixwizard run --region for each picture"),
    "together": (["--regions-together"], "--regions-together is not for pixwizard batch"),
    "size": (["--size", "8x8"], "use pixwizard run --task text2image"),
    "tasks": (["--tasks"], "pixwizard run --tasks lists the tasks"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_batch_refuses_in_one_line_before_it_works(case, base, capsys, monkeypatch):
    words, message = REFUSED[case]
    monkeypatch.setattr(Worker, "__init__", lambda *given: pytest.fail("worked"))
    assert batch(base, f"refused-{case}", *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.rstrip("\n").rpartition("\r")[2].count("\n") == 0
    assert not (base / f"refused-{case}").exists()


def test_a_row_that_cannot_be_rated_is_named(base, capsys):
    rows = [{"path": "in/a0.png", "task": "mask", "target": "it"},
            {"path": "in/a1.png", "task": "depth"}]  # fmt: skip
    lines = "\n".join(json.dumps(row) for row in rows)
    (base / "mixed.jsonl").write_text(lines, encoding="utf-8")
    assert batch(base, "mixed", "--best", "2", source="mixed.jsonl") == 2
    assert "a1.png: task 'depth' (Depth map) needs one answer only" in capsys.readouterr().err


def test_a_picture_that_tiles_cannot_cover_is_listed_as_failed(base, capsys, monkeypatch):
    def refuse(item, job):
        raise CanvasError("it needs 30000 tiles")

    monkeypatch.setattr(fits, "grid_of", refuse)
    assert batch(base, "covered", *TILED) == 1
    assert "0 done, 0 done before, 2 failed" in capsys.readouterr().out


def test_batch_has_every_option_of_run_or_refuses_it_with_the_reason():
    """An option that is missing here would be an unknown word to the user."""
    parsers = {parser.prog: parser for parser in commands(_parser())}
    known = {
        name: {one for action in parsers[f"pixwizard {name}"]._actions for one in
               action.option_strings} for name in ("run", "batch")
    }  # fmt: skip
    assert known["run"] - known["batch"] == set()
