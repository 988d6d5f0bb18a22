"""The list of results: whole lines only, one run at a time, Parquet beside it."""

import errno
import json
import os

import pytest

from pixwizard_core.errors import PixWizardError
from pixwizard_core.fleet.index import (
    Appender,
    index_path,
    locked,
    read_all,
    read_records,
    write_list,
    write_parquet,
)


def record(name: str, key: str = "k", **more) -> dict:
    texts = {"path": "p", "sequence": "", "task": "depth", "instruction": "x", "status": "done"}
    sizes = {"width": 2, "height": 3, "model_width": 16, "model_height": 16}
    nested = {"files": {}, "data": {}, "metrics": {}}
    return {"name": name, "key": key, "frame": None, "seed": 1, **texts, **sizes, **nested, **more}


def appended(path, *records) -> None:
    listed = Appender(path)
    for one in records:
        listed.add(one)
    listed.close()


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_torn_last_line_is_dropped_and_the_rest_stays(cut, tmp_path):
    path = tmp_path / "index.jsonl"
    appended(path, record("a"), record("b"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r["name"] for r in read_records(path)] == ["a"] + ["b"] * (cut == 1)
    appended(path, record("c"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["a", "c"]


def test_read_records_skips_lines_of_another_kind(tmp_path):
    path = tmp_path / "index.jsonl"
    path.write_bytes(b'\xff\xfe\n[]\n{"name": 1}\n' + json.dumps(record("a")).encode() + b"\n")
    assert [r["name"] for r in read_records(path)] == ["a"]


def test_lists_of_shards_are_read_together(tmp_path):
    for part in (1, 2):
        appended(index_path(tmp_path, (part, 2)), record(f"n{part}"))
    assert sorted(read_all(tmp_path)) == ["n1", "n2"]


def test_names_that_are_no_text_are_listed(tmp_path):
    path, name = tmp_path / "index.jsonl", b"lat\xe9n.png".decode(errors="surrogateescape")
    appended(path, record("a", path=name), record("b", path="bücher.png"))
    assert [r["path"] for r in read_records(path)] == [name, "bücher.png"]
    assert "bücher" in path.read_text(encoding="utf-8")


def test_a_list_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    listed = Appender(tmp_path / "index.jsonl")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(PixWizardError, match=r"index.jsonl: No space left on device; what is list"):
        listed.add(record("a"))


def full_disk(number):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_system_without_locks_is_worked_on_all_the_same(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="locks are others here")

    def no_locks(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with locked(tmp_path / "index.jsonl"):
        pass


def test_only_one_run_works_on_a_list(tmp_path):
    path = tmp_path / "index.jsonl"
    with (
        locked(path),
        pytest.raises(PixWizardError, match="another run is working on"),
        locked(path),
    ):
        pass
    with locked(path):
        pass


def test_write_list_sorts_by_name(tmp_path):
    path = tmp_path / "index.jsonl"
    write_list(path, [record("b"), record("a")])
    assert [r["name"] for r in read_records(path)] == ["a", "b"]


def test_parquet_holds_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    no_text = b"\xe9".decode(errors="surrogateescape")
    rows = [record("b", data={"x": [1]}), record("a", path=no_text)]
    assert write_parquet(tmp_path / "i.parquet", rows)
    rows = parquet.read_table(tmp_path / "i.parquet").to_pylist()
    assert [row["name"] for row in rows] == ["a", "b"]
    assert json.loads(rows[1]["data"]) == {"x": [1]}
    assert rows[0]["frame"] is None
    assert rows[0]["path"] == "\\udce9"
