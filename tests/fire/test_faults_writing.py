"""Killed, out of space, not allowed: what is on the disk is whole, and the reason is said."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from pixwizard_core import whole_file
from pixwizard_core.errors import PixWizardError
from tests.fire import limits
from tests.fire.writer import KINDS, SIDE
from tests.support.paths import ROOT

KILLS = 3  # of each kind of file in the fast suite; `-m long` kills each of them LONG_KILLS times
LONG_KILLS = 25
NOBODY = 65534


def parsed(path: Path) -> tuple[int, ...]:
    """Read a file to its end; the size of a picture or array, else (). Raises when it is torn."""
    if path.suffix == ".safetensors":
        assert load_file(path)
    elif path.suffix == ".png":
        with Image.open(path) as file:
            file.load()
            return file.size
    elif path.suffix == ".npy":
        return np.load(path).shape
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".exr":
        check_exr(path.read_bytes())
    else:
        raise AssertionError(f"nobody knows how to read {path.name}")
    return ()


def check_exr(data: bytes) -> None:
    """Walk through the blocks of an OpenEXR file of scan lines, to the last byte."""
    assert data[:4] == bytes((0x76, 0x2F, 0x31, 0x01))
    place, attributes = 8, {}
    while data[place]:
        name, place = data[place : data.index(0, place)], data.index(0, place) + 1
        place = data.index(0, place) + 1  # its type
        (size,) = struct.unpack_from("<i", data, place)
        attributes[name] = data[place + 4 : place + 4 + size]
        place += 4 + size
    top, bottom = struct.unpack("<4i", attributes[b"dataWindow"])[1::2]
    lines = {0: 1, 2: 1, 3: 16}[attributes[b"compression"][0]]  # in a block: none, ZIPS, ZIP
    blocks = -(-(bottom - top + 1) // lines)
    offsets = struct.unpack_from(f"<{blocks}Q", data, place + 1)
    ends = [at + 8 + struct.unpack_from("<i", data, at + 4)[0] for at in offsets]
    assert max(ends) == len(data)


def readable(path: Path) -> None:
    """Raises when a file that writer.py wrote is torn."""
    size = parsed(path)
    assert size in ((), (SIDE, SIDE))


def wait_for_a_part(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while not any(name.endswith(".part") for name in os.listdir(folder)):
        assert time.monotonic() < deadline, "no file was begun"


def kill_while_writing(kind: str, folder: Path, kills: int) -> int:
    """Kill -9 a writer as soon as it has begun a file, after a wait drawn from a seed. Returns how
    many parts it left: its files are so short that some are whole before the signal arrives."""
    rng, parts = random.Random(kind), 0
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fire.writer", kind, str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, 0.3))
            wait_for_a_part(folder)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
        assert shown
        for path in shown:
            readable(path)
        left = [path for path in folder.iterdir() if path.name.startswith(".")]
        assert all(path.name.endswith(".part") for path in left)
        parts += len(left)
        for path in left:
            path.unlink()
    return parts


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["convert", "labels"])
def test_killed_while_writing_leaves_whole_files(tmp_path, kind):
    folder = tmp_path / "out"
    folder.mkdir()
    kill_while_writing(kind, folder, KILLS)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_killed_while_writing_leaves_whole_files_long(tmp_path, kind):
    folder = tmp_path / "out"
    folder.mkdir()
    parts = kill_while_writing(kind, folder, LONG_KILLS)
    print(f"\n{kind}: {LONG_KILLS} kills, {parts} in the middle of a file, none torn")


@pytest.fixture
def small_files():
    """Files of this process cannot grow beyond 32 KiB, which is what a full disk looks like."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 10, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def refused(kind: str, folder: Path, *words: str) -> None:
    """A second write fails; the files of the first stay as they are, and nothing is left over."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(PixWizardError) as caught:
        KINDS[kind](folder, 1)
    limits.check_message(caught.value)
    for word in ("cannot write", *words):
        assert word in str(caught.value)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


WRITERS = [
    kind for kind in KINDS if kind not in ("depth_png", "depth_exr", "labels")
]  # those fit into 32 KiB


@pytest.mark.parametrize("kind", WRITERS)
def test_file_that_cannot_grow_leaves_the_old_one(tmp_path, small_files, kind):
    (tmp_path / "out").mkdir()
    KINDS[kind](tmp_path / "out", 0)
    small_files()
    refused(kind, tmp_path / "out", "File too large", "free some space")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch, kind, call):
    """Some systems find out only when the file is flushed, or renamed."""
    (tmp_path / "out").mkdir()
    KINDS[kind](tmp_path / "out", 0)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_file.os, call, full)
    refused(kind, tmp_path / "out", "No space left on device", "another name or folder")


@pytest.fixture
def open_folder():
    """A folder that every user of this machine may reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def as_any_user():
    """As a user without rights; the superuser may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("kind", KINDS)
def test_read_only_folder_is_named(open_folder, kind):
    out = open_folder / "out"
    out.mkdir()
    KINDS[kind](out, 0)
    out.chmod(0o555)
    with as_any_user():
        refused(kind, out, "Permission denied")
    out.chmod(0o755)
