"""The released model at its real sizes: random parts, made and deleted in turn, and what they took.

    pytest -c tests/pytest.ini tests/full -m full

takes about an hour, 22 GB of memory and 20 GB of disk at TMPDIR. Its table comes at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import full_size, hosts

GB = 1e9
NEEDED = 20 * GB  # of disk at once
LONGEST_S = 1800  # without a word from the host
THREADS = os.cpu_count() or 1
SOURCE, SIZE = "scene.png", (150, 118)  # the picture that all are asked of
LORA = "random.safetensors"
ROWS = pytest.StashKey[list]()
HEAD = (
    "| what | seconds | held, GB | own memory, GB | with mapped files, GB |\n|---|---|---|---|---|"
)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.full)


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("released model at full size")
        terminalreporter.write_line("\n".join([HEAD, *rows]))


@dataclass
class Parts:
    """Random parts below folder/models, made when they are asked for. rows: of the table."""

    folder: Path
    rows: list[str]
    made: dict[str, Path] = field(default_factory=dict)

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def get(self, part: str) -> Path:
        """A part's file or folder, under its published names."""
        if part not in self.made:
            self.made[part] = full_size.PARTS[part](self.models, full_size.FULL)
        return self.made[part]

    def has_converted(self, dtype: str) -> bool:
        return self._converted(dtype).is_file()

    def converted(self, dtype: str) -> Path:
        """The transformer in bf16 or fp8, made from the released one."""
        path = self._converted(dtype)
        if not path.is_file():
            pickle = self.get("model")
            self.measure(f"convert .pth to {dtype}", "core_convert", pickle, path, dtype)
        return path

    def _converted(self, dtype: str) -> Path:
        return self.models / f"diffusion_models/pixwizard_{dtype}.safetensors"

    def drop(self, part: str) -> None:
        place = self.made.pop(part, None)
        if place:
            shutil.rmtree(place) if place.is_dir() else place.unlink()

    def measure(self, what: str, action: str, *arguments, host: hosts.Host | None = None) -> dict:
        """Run an action of tests.support.apart in a fresh process; its report, and a row of the
        table."""
        script = hosts.REPO / "tests" / "support" / "apart.py"
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        command = [host.python if host else sys.executable, script, hosts.REPO, report, action]
        done = subprocess.run(
            [str(word) for word in (*command, *arguments)],
            cwd=host.root if host else self.folder,
            env=hosts.environment(THREADS),
            capture_output=True,
            text=True,
            check=False,
        )
        assert report.is_file(), done.stderr[-3000:]
        found = json.loads(report.read_text(encoding="utf-8"))
        where = f" in ComfyUI {host.version}" if host else ""
        self.row(f"{what}{where}", found["seconds"], found["held"], found["own"], found["resident"])
        return found

    def row(self, what: str, seconds: float, held: float, own: float, resident: float) -> None:
        sizes = (f"{size / GB:.2f}" if size else "" for size in (held, own, resident))
        self.rows.append(f"| {what} | {seconds:.1f} | {' | '.join(sizes)} |")


@pytest.fixture(scope="session")
def parts(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    free = shutil.disk_usage(folder).free
    if free < NEEDED:
        pytest.skip(f"{free / GB:.0f} GB are free in {folder}; {NEEDED / GB:.0f} are needed")
    yield Parts(folder, request.config.stash.setdefault(ROWS, []))
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def all_parts(parts):
    """The four parts, the transformer in bfloat16 and in fp8, and a LoRA."""
    if not all(map(parts.has_converted, ("bf16", "fp8"))):
        parts.get("model")
        parts.converted("bf16")
        parts.converted("fp8")
    parts.drop("model")  # before Gemma comes, for the disk's sake
    for part in ("gemma", "clip", "vae", "lora"):
        parts.get(part)
    folder = parts.folder / "input"
    folder.mkdir(exist_ok=True)
    across, down = np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1])[:, None]
    waves = [np.sin(7 * across) * np.cos(5 * down), across * down, across + 0 * down]
    pixels = (255 * (np.stack(waves, -1) * 0.5 + 0.5)).clip(0, 255).astype("uint8")
    Image.fromarray(pixels).save(folder / SOURCE)
    return parts


@pytest.fixture(scope="session")
def host():
    """The newest ComfyUI."""
    found = hosts.find_hosts()
    if not found:
        pytest.skip(hosts.missing_reason())
    return found[-1]


@pytest.fixture(scope="module")
def server(host, parts):
    """A server of it that sees the parts."""
    hosts.RUN_TIMEOUT_S, before = LONGEST_S, hosts.RUN_TIMEOUT_S
    try:
        (parts.folder / "input").mkdir(exist_ok=True)
        with hosts.serve(host, parts.folder, threads=THREADS) as running:
            yield running
            lines = Path(f"/proc/{running.process}/status").read_text(encoding="utf-8").splitlines()
            most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
            parts.row(f"server of ComfyUI {host.version}, the most ever", 0, 0, 0, most * 1024)
    finally:
        hosts.RUN_TIMEOUT_S = before
