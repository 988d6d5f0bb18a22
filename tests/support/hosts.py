"""Real ComfyUI installations on this machine, and a server of one for the length of a test
session."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / "tests" / "browser"
EXTENSION_NAME = "PixWizard"
START_TIMEOUT_S = 400  # half a minute where nothing else runs
RUN_TIMEOUT_S = 180
CHECKS_TIMEOUT_S = 1800  # two minutes where nothing else runs


@dataclass(frozen=True)
class Host:
    """A ComfyUI folder and the interpreter that runs it."""

    root: Path
    python: Path

    @property
    def version(self) -> str:
        text = (self.root / "comfyui_version.py").read_text(encoding="utf-8")
        return re.search(r'__version__ = "(.+?)"', text)[1]


def places() -> list[Path]:
    """Where a host may be: COMFYUI_PATH alone when it is set, else the usual folders."""
    named = os.environ.get("COMFYUI_PATH")
    if named:
        return [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    usual = sorted((Path.home() / "comfy").glob("ComfyUI*"))
    above = [REPO.parent.parent] if REPO.parent.name == "custom_nodes" else []
    return [*usual, *above]


def interpreter(root: Path) -> Path | None:
    """COMFYUI_PYTHON, or the virtual environment inside the host's folder."""
    named = os.environ.get("COMFYUI_PYTHON")
    inside = [
        root / folder / tail
        for folder in (".venv", "venv")
        for tail in ("bin/python", "Scripts/python.exe")
    ]
    return next((path for path in ([Path(named)] if named else inside) if path.exists()), None)


def number(version: str) -> tuple[int, ...]:
    """A version as something to sort by; what is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def find_hosts() -> list[Host]:
    """Every installation that can be run, the oldest first."""
    roots = [
        root for root in places() if (root / "main.py").is_file() and (root / "comfy").is_dir()
    ]
    found = [Host(root, python) for root in roots if (python := interpreter(root))]
    return sorted(found, key=lambda host: number(host.version))


def missing_reason() -> str:
    """One line for the report when there is no host."""
    looked = ", ".join(map(str, places())) or str(Path.home() / "comfy")
    return (
        f"no ComfyUI with an interpreter (looked at: {looked}; set COMFYUI_PATH and COMFYUI_PYTHON)"
    )


def environment(threads: int = 1) -> dict[str, str]:
    """The environment for a host process: this test's import path must not leak into it."""
    dropped = ("PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    # One thread unless asked: most models are tiny, and threads that wait for each other cost more
    # than they bring.
    settings = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return {**kept, **settings, "OMP_NUM_THREADS": str(threads)}


def install(base: Path) -> Path:
    """Put the extension into base/custom_nodes by a link, and return its path there."""
    target = base / "custom_nodes" / EXTENSION_NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_symlink():  # another server may have used this base
        target.symlink_to(REPO, target_is_directory=True)
    return target


def copy_example(host: Host, base: Path) -> None:
    """The picture that every host brings for Load Image, into a private input folder."""
    (base / "input").mkdir(exist_ok=True)
    shutil.copy(host.root / "input" / "example.png", base / "input")


@dataclass
class Server:
    """A running host."""

    host: Host
    port: int
    base: Path
    log: Path
    process: int = 0
    client: str = field(default_factory=lambda: uuid.uuid4().hex)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url(path), timeout=60) as answer:
            return answer.read()

    def json(self, path: str):
        return json.loads(self.get(path))

    def post(self, path: str, data: dict) -> dict:
        """The answer to a JSON body; a refusal (HTTP 400) is an answer as well."""
        request = urllib.request.Request(
            self.url(path), json.dumps(data).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return {"status": error.code, **json.loads(error.read())}

    def image(self, entry: dict) -> bytes:
        """Bytes of a picture that a node reported in its output."""
        return self.get(f"/view?{urllib.parse.urlencode(entry)}")

    def run(
        self,
        prompt: dict,
        on_progress: Callable[[dict], None] | None = None,
        on_node: Callable[[str], None] | None = None,
    ) -> dict:
        """Execute an API prompt. Returns {"outputs", "messages", "error"} once the server is done
        with it.

        error: None, what a node raised, or what the server refused. on_progress gets each progress
        report, on_node the number of each node that begins.
        """
        import websocket

        channel = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/ws?clientId={self.client}", timeout=RUN_TIMEOUT_S
        )
        try:
            answer = self.post("/prompt", {"prompt": prompt, "client_id": self.client})
            if "prompt_id" not in answer:
                return {"outputs": {}, "messages": [], "error": answer}
            messages = _until_done(channel, answer["prompt_id"], on_progress, on_node)
        finally:
            channel.close()
        failed = [data for kind, data in messages if kind == "execution_error"]
        failed += [answer["node_errors"]] if answer.get("node_errors") else []
        entry = self.json(f"/history/{answer['prompt_id']}").get(answer["prompt_id"], {})
        return {
            "outputs": entry.get("outputs", {}),
            "messages": messages,
            "error": failed[0] if failed else None,
        }


def _until_done(channel, prompt_id: str, on_progress, on_node) -> list[tuple[str, dict]]:
    messages = []
    while True:
        message = channel.recv()
        if isinstance(message, bytes):  # a preview picture
            messages.append(("preview", {"bytes": len(message)}))
            continue
        message = json.loads(message)
        data = message.get("data", {})
        messages.append((message["type"], data))
        if on_progress and message["type"] == "progress":
            on_progress(data)
        ours = data.get("prompt_id") == prompt_id
        if on_node and ours and message["type"] == "executing" and data["node"] is not None:
            on_node(data["node"])
        if ours and message["type"] == "executing" and data["node"] is None:
            return messages
        if ours and message["type"] in ("execution_error", "execution_interrupted"):
            return messages


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve(host: Host, base: Path, frontend: Path | None = None, threads: int = 1):
    """A server with a private base directory, stopped when the block ends, however it ends.

    frontend: the page to serve instead of the host's own. threads: for its computations.
    """
    install(base)
    copy_example(host, base)
    log, port = base / "server.log", free_port()
    arguments = [
        "--cpu",
        "--listen",
        "127.0.0.1",
        "--port",
        str(port),
        "--base-directory",
        str(base),
        *(["--front-end-root", str(frontend)] if frontend else []),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(host.python), "main.py", *arguments, "--disable-auto-launch"],
            cwd=host.root,
            env=environment(threads),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            server = Server(host, port, base, log, process.pid)
            _wait_ready(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(server: Server, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            server.get("/queue")
            return
        except OSError:
            time.sleep(0.3)
    tail = server.log.read_text(encoding="utf-8", errors="replace")[-3000:]
    raise RuntimeError(f"ComfyUI {server.host.version} did not start:\n{tail}")


def run_checks(host: Host, script: Path, base: Path) -> dict[str, dict]:
    """Run a file of check_* functions under the host's interpreter; the report by function name."""
    report = base / "report.json"
    process = subprocess.run(
        [str(host.python), str(script), str(REPO), str(report)],
        cwd=host.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=CHECKS_TIMEOUT_S,
        check=False,
    )
    if not report.exists():
        sys.stderr.write(process.stdout[-2000:])
        raise RuntimeError(f"the checks died before reporting:\n{process.stderr[-4000:]}")
    return json.loads(report.read_text(encoding="utf-8"))
