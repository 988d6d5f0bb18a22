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
KILLS = 2  # of a server for each kind of file; each begins with its start
SIDE = 1024
QUEUED = 12
SAVES = {
    "png": ("SaveDepth", {"depth": ["scene", 3], "format": "png"}),
    "exr": ("SaveDepth", {"depth": ["scene", 3], "format": "exr"}),
    "npy": ("SaveDepth", {"depth": ["scene", 3], "format": "npy"}),
    "labels": ("SaveLabels", {"image": ["scene", 6], "palette": "PixWizard Tiny world"}),
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
    prompt = live_graphs.around(
        info, f"{live_graphs.PREFIX}{node}", filename_prefix=f"{kind}/out", **inputs
    )
    kept = {name: prompt[name] for name in (live_graphs.SCENE, live_graphs.NODE)}
    kept[live_graphs.SCENE]["inputs"].update(width=SIDE, height=SIDE, seed=seed)
    return kept


def shown(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]


@pytest.mark.parametrize("kind", SAVES)
def test_server_killed_while_saving_leaves_whole_files(tmp_path, kind):
    rng, files, parts = random.Random(kind), 0, 0
    for number in range(KILLS):
        base = tmp_path / str(number)
        base.mkdir()
        with live.serve_patiently(HOSTS[0], base) as server:
            info, process = server.json("/object_info"), live.process_of(server)
            output = base / "output"
            for seed in range(QUEUED):
                body = {"prompt": saving(info, kind, seed), "client_id": "x"}
                assert "prompt_id" in server.post("/prompt", body)
            deadline = time.monotonic() + 120
            while not list(output.rglob("*.*")) and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.5))
            os.kill(int(process.name), signal.SIGKILL)
        found = shown(output)
        for path in found:
            parsed(path)
        left = [p for p in output.rglob(".*") if p.is_file()]
        assert all(p.name.endswith(".part") for p in left), left
        files, parts = files + len(found), parts + len(left)
    print(f"\n{kind}: {KILLS} kills, {files} files whole, {parts} parts left")


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
        assert not [p for p in (tmp_path / "output").rglob(".*") if p.is_file()]
        assert server.run(saving(info, "npy", 3))["error"] is None
        assert len(shown(tmp_path / "output")) > len(before)
