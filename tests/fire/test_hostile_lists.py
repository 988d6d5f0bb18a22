"""Lists and settings of others: whatever is in the file, values or one of our errors."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest

from pixwizard_core.decode.palette import read_palette
from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation.layouts import DatasetOptions, find_data
from pixwizard_core.files.plain_pickle import read_plain_pickle
from pixwizard_core.fleet.manifest import read_json_lines, read_manifest
from pixwizard_core.training.config import read_config
from pixwizard_core.training.teach.settings import Source, TeachSettings, read_lesson
from pixwizard_core.training.teach.sources import read_source
from pixwizard_core.verify.vectors import Vectors
from tests.fire import hostile_pickles, limits

GiB = 1 << 30


def vectors(path: Path):
    folder = path.parent / "vectors"
    folder.mkdir()
    shutil.copy(path, folder / "one.json")
    return Vectors.open(folder, None, None)


def referring(references: str):
    def read(path: Path):
        """The file as the list of a dataset that is otherwise there."""
        folder = path.parent / "refcoco"
        (path.parent / "images" / "mscoco" / "images" / "train2014").mkdir(parents=True)
        folder.mkdir()
        shutil.copy(path, folder / references)
        if references != "instances.json":
            sound = {"images": [], "annotations": []}
            (folder / "instances.json").write_text(json.dumps(sound), encoding="utf-8")
        else:
            (folder / "refs(unc).json").write_text("[]", encoding="utf-8")
        return find_data("refcoco", path.parent, DatasetOptions())

    return read


def world(path: Path):
    shutil.copy(path, path.with_name("items.jsonl"))
    return find_data("world", path.parent, DatasetOptions())


READERS = {
    "manifest.csv": read_manifest,
    "manifest.jsonl": read_manifest,
    "lines.jsonl": read_json_lines,
    "pairs.jsonl": lambda path: read_source(Source(str(path))),
    "pairs.csv": lambda path: read_source(Source(str(path))),
    "pairs.tar": lambda path: read_source(Source(str(path))),
    "lesson.json": lambda path: read_lesson(path, TeachSettings()),
    "settings.json": read_config,
    "settings.toml": read_config,
    "vectors.json": vectors,
    "palette.json": lambda path: read_palette(path.read_bytes().decode("latin-1"), "mine"),
    "refs.p": referring("refs(unc).p"),
    "refs.json": referring("refs(unc).json"),
    "instances.json": referring("instances.json"),
    "world.jsonl": world,
}
NEST = 200_000
CONTENTS = {
    "empty": b"",
    "spaces": b" \n\n\t\n",
    "nul": b"path\0\n\0\0",
    "utf-16": '{"path": "a"}'.encode("utf-16"),
    "latin-1": b'{"path": "\xe9"}',
    "bom-alone": b"\xef\xbb\xbf",
    "half": b'{"path": "a',
    "nested-lists": b"[" * NEST,
    "nested-closed": b"[" * NEST + b"]" * NEST,
    "nested-objects": b'{"a":' * NEST,
    "nested-toml": b"a = " + b"[" * NEST,
    "long-number": b"9" * 5000,
    "long-number-in-toml": b"seed = " + b"9" * 5000,
    "long-number-in-a-row": b'{"path": "a.png", "seed": ' + b"9" * 5000 + b"}",
    "infinity": b'{"path": "a.png", "seed": Infinity}',
    "long-cell": b"path,caption\na.png," + b"x" * 200_000,
    "open-quote": b'path,caption\n"a.png,' + b"x\n" * 100_000,
    "null": b"null",
    "number": b"1",
    "text": b'"text"',
    "list": b"[1, null, {}, []]",
    "object": b"{}",
    "lists-as-values": b'{"path": [], "target": [], "instruction": {}, "truth": [], "images": 1}',
    "rows-of-other-things": b'[{"split": "val"}, {"split": "val", "image_id": []}]',
    "numbers-as-values": b'{"path": 1, "target": 2, "instruction": 3, "annotations": [1]}',
    "images-without-names": b'{"images": [{}], "annotations": [{"id": [], "segmentation": 1}]}',
    "control": b'{"path": "a\\u0000b.png", "target": "\\u0000", "instruction": "\\u0007"}',
    "zip": b"PK\3\4" + bytes(range(256)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", CONTENTS)
def test_list_is_read_or_refused(tmp_path, reader, content):
    path = tmp_path / reader
    path.write_bytes(CONTENTS[content])
    if reader.endswith(".toml") and sys.version_info < (3, 11):
        pytest.skip("Python reads TOML from 3.11 on")
    try:
        READERS[reader](path)
    except PixWizardError as error:
        limits.check_message(error)
    assert limits.left_open(tmp_path) == []


def numbered(opcode: bytes, number: int) -> bytes:
    return b"\x80\x02]" + opcode + number.to_bytes(4, "little") + b"."


PICKLES = {
    "memo-of-billions": numbered(b"r", 0xFFFFFFF0),
    "memo-in-words": b"\x80\x02]p" + b"9" * 12 + b"\n.",
    "recall-of-nothing": numbered(b"j", 0xFFFFFFF0),
    "bytearray-of-gigabytes": b"\x80\x05\x96" + (8 * GiB).to_bytes(8, "little") + b"abc.",
    "bytes-of-gigabytes": b"\x80\x04\x8e" + (8 * GiB).to_bytes(8, "little") + b"abc.",
    "number-of-gigabytes": b"\x80\x02\x8b" + (GiB).to_bytes(4, "little") + b"abc.",
    "frame-of-gigabytes": b"\x80\x04\x95" + (8 * GiB).to_bytes(8, "little") + b"].",
    "buffer-from-outside": b"\x80\x05\x97.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"Pid\n.",
    "build": b"\x80\x02}}b.",
    "reduce-of-text": b"\x80\x02U\x01a)R.",
    "empty": b"",
    "no-stop": b"\x80\x02]",
    "nothing-to-pop": b"0.",
    "list-as-key": b"\x80\x02}]]s.",
    "unknown-protocol": b"\x80\xff].",
    "unknown-opcode": b"\x80\x02\xff.",
    "long-number": b"L" + b"9" * 5000 + b"L\n.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickle_that_is_no_list_takes_no_memory(name):
    limits.reset_peak()
    before = limits.memory_mib("VmHWM")
    with pytest.raises(PixWizardError) as caught:
        read_plain_pickle(PICKLES[name])
    limits.check_message(caught.value)
    assert limits.memory_mib("VmHWM") - before < limits.MEMORY_MIB


ATTACKS = hostile_pickles.payloads(Path("x"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ATTACKS)
def test_pickle_that_would_run_something_runs_nothing(tmp_path, name, protocol):
    canary = tmp_path / hostile_pickles.CANARY
    attack = hostile_pickles.payloads(canary)[name]
    data = hostile_pickles.pickled([{"ref_id": 1, "x": attack}], protocol)
    with pytest.raises(PixWizardError) as caught:
        read_plain_pickle(data)
    limits.check_message(caught.value)
    assert not canary.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back(protocol):
    shared = ["a ball", 1 << 70, -1.5]
    value = {"é": shared, "again": shared, "n": [None, True, False, 7, 300, 70_000, -1, (), (1, 2)]}
    assert read_plain_pickle(pickle.dumps([value] * 300, protocol)) == [value] * 300
