"""No print ends a run: consoles of few signs, closed pipes, no console at all."""

import io
import os
import subprocess
import sys

import pytest

from pixwizard_core.console import Output, was_cut_off
from tests.support.bundles import write_bundle
from tests.support.fleet import write_pictures
from tests.support.paths import ROOT

COMMAND = [sys.executable, "-m", "pixwizard_core"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    write_bundle(folder / "bundle")
    write_pictures(folder / "in", 2, sizes=((40, 40),))
    for path in sorted((folder / "in").iterdir()):
        path.rename(path.with_name(f"長いné-{path.name}"))
    return folder


def words(base, command, out):
    pictures = sorted((base / "in").iterdir())
    return [*COMMAND, command, *map(str, pictures), "--task", "depth", "--centre", "64",
            "--steps", "1", "--bundle", str(base / "bundle"), "--out", str(base / out)]  # fmt: skip


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "ascii:strict", "utf-8"])
@pytest.mark.parametrize("command", ["run", "batch"])
def test_command_ends_well_on_any_console(command, encoding, base):
    out = f"{command}-{encoding.replace(':', '-')}"
    ended = subprocess.run(
        words(base, command, out), cwd=ROOT, capture_output=True, timeout=300,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert len(list((base / out).glob("*_answer.png"))) == 2
    if command == "run":
        shown = "長" if encoding == "utf-8" else r"\u9577"
        assert shown in ended.stdout.decode(encoding.split(":")[0])


@pytest.mark.parametrize("command", ["run", "batch"])
def test_command_goes_on_when_nobody_reads_any_more(command, base):
    started = subprocess.Popen(
        words(base, command, f"{command}-closed"), cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    started.stdout.close()
    started.stderr.close()
    assert started.wait(timeout=300) == 0
    assert len(list((base / f"{command}-closed").glob("*_answer.png"))) == 2


@pytest.mark.skipif(os.name == "nt", reason="closes file descriptors as a shell does")
def test_command_works_without_any_console(base):
    line = " ".join(f"'{word}'" for word in words(base, "batch", "none"))
    ended = subprocess.run(["sh", "-c", f"{line} >&- 2>&- <&-"], cwd=ROOT, timeout=300)
    assert ended.returncode == 0
    assert len(list((base / "none").glob("*_answer.png"))) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_could_not_be_written_is_no_success():
    golden = ROOT / "tests" / "golden" / "checkpoint"
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*COMMAND, "inspect", str(golden)], cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=120,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("pixwizard: the output could not be written: ")
    assert len(ended.stderr.splitlines()) == 1


def test_output_escapes_what_a_console_cannot_show():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", errors="strict")
    out = Output(stream)
    out.write("né 長\udce9\n")
    out.flush()
    assert raw.getvalue() == b"n\xe9 \\u9577\\udce9\n"
    assert out.encoding == "cp1252"


def test_output_to_a_closed_stream_is_dropped():
    stream = io.StringIO()
    stream.close()
    out = Output(stream)
    assert out.write("x") == 1
    out.flush()
    assert isinstance(out.lost, ValueError)
    assert not out.isatty()


def test_a_reader_that_left_is_no_fault_and_a_full_disk_is():
    out = Output(None)
    assert not was_cut_off(out)
    out.lost = BrokenPipeError(32, "Broken pipe")
    assert not was_cut_off(out)
    out.lost = OSError(28, "No space left on device")
    assert was_cut_off(out)
