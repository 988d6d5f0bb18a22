"""kill -9 of a live server while it saves, and a disk that is full under it.

nice -n 10 pytest -c tests/pytest.ini tests/fire/test_live_kills.py -m long -s
"""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from tests.fire import live, live_graphs
from tests.fire.test_faults_writing import parsed
from tests.support.hosts import find_hosts, missing_reason

HOSTS = find_hosts()
MIDDLE, MOST_KILLS = 2, 8  # of a server in the middle of a file, and in all, for each kind
SIDE = 1024
QUEUED = 12
SAVES = {
    "png": ("SaveDepth", {"depth": ["scene", 3], "format": "png"}),
    "exr": ("SaveDepth", {"depth": ["scene", 3], "format": "exr"}),
    "npy": ("SaveDepth", {"depth": ["scene", 3], "format": "npy"}),
    "labels": ("SaveLabels", {"image": ["scene", 6], "palette": "PixWizard Tiny world"}),
    "view": ("DecodeDepth", {"image": ["scene", 3]}),  # its picture for the page
}
LIMIT = 1 << 20  # bytes a file may have while the disk is "full"

pytestmark = [
    pytest.mark.host,
    pytest.mark.long,
    pytest.mark.skipif(not HOSTS, reason=missing_reason()),
]


def saving(info: dict, kind: str, seed: int) -> dict:
    """Scene and save, nothing else, so that most of the time is spent on the file."""
    node, inputs = SAVES[kind]
    name = {"filename_prefix": f"{kind}/out"} if node.startswith("Save") else {}
    prompt = live_graphs.around(info, f"{live_graphs.PREFIX}{node}", **name, **inputs)
    wanted = (live_graphs.SCENE, live_graphs.NODE, "shown")
    kept = {name: prompt[name] for name in wanted if name in prompt}
    kept[live_graphs.SCENE]["inputs"].update(width=SIDE, height=SIDE, seed=seed)
    return kept


def shown(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]


def parts_in(folder: Path) -> list[Path]:
    return [p for p in folder.rglob(".*") if p.is_file()]


def kill_at_a_part(host, base: Path, kind: str, files: int, wait_s: float) -> Path:
    """Let a server save this many files, and kill it this long after one more is begun. Returns
    their folder."""
    base.mkdir()
    folder = base / ("temp" if kind == "view" else "output")
    with live.serve_patiently(host, base) as server:
        info, process = server.json("/object_info"), live.process_of(server)
        for seed in range(QUEUED):
            body = {"prompt": saving(info, kind, seed), "client_id": "x"}
            assert "prompt_id" in server.post("/prompt", body)
        deadline = time.monotonic() + 120
        while len(shown(folder)) < files or not parts_in(folder):
            assert time.monotonic() < deadline, f"{len(shown(folder))} files were saved"
        time.sleep(wait_s)
        os.kill(int(process.name), signal.SIGKILL)
    return folder


@pytest.mark.parametrize("kind", SAVES)
@pytest.mark.parametrize("host", HOSTS, ids=lambda h: h.version)
def test_server_killed_while_saving_leaves_whole_files(host, tmp_path, kind):
    rng, files, parts, kills = random.Random(kind), 0, 0, 0
    while parts < MIDDLE and kills < MOST_KILLS:
        base = tmp_path / str(kills)
        folder = kill_at_a_part(host, base, kind, rng.randrange(4), rng.choice((0, 0, 0.001)))
        for path in shown(folder):
            parsed(path)
        left = parts_in(folder)
        assert all(p.name.endswith(".part") for p in left), left
        files, parts, kills = files + len(shown(folder)), parts + len(left), kills + 1
    print(
        f"\n{host.version} {kind}: {kills} kills, {parts} in the middle; {files} files, all whole"
    )
    assert parts >= MIDDLE, f"{kills} kills, and only {parts} in the middle of a file"


@pytest.mark.parametrize("host", HOSTS, ids=lambda h: h.version)
def test_full_disk_is_said_and_the_next_prompt_is_served(host, tmp_path):
    with live.serve_patiently(host, tmp_path) as server:
        info, process = server.json("/object_info"), int(live.process_of(server).name)
        assert server.run(saving(info, "npy", 1))["error"] is None
        before = {path: path.read_bytes() for path in shown(tmp_path / "output")}
        usual = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (LIMIT, usual[1]))
        error = server.run(saving(info, "npy", 2))["error"]
        resource.prlimit(process, resource.RLIMIT_FSIZE, usual)
        assert "cannot write" in error["exception_message"]
        assert "free some space" in error["exception_message"]
        assert {path: path.read_bytes() for path in shown(tmp_path / "output")} == before
        assert not parts_in(tmp_path / "output")
        assert server.run(saving(info, "npy", 3))["error"] is None
        assert len(shown(tmp_path / "output")) > len(before)
