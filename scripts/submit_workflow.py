#!/usr/bin/env python3
"""Run a ComfyUI workflow for many pictures, on one server or several.

    python scripts/submit_workflow.py workflow_api.json pictures/ --out results \\
        --server http://127.0.0.1:8188 --server http://127.0.0.1:8189

The workflow is in API form (Workflow > Export (API)). Each picture is uploaded, put into the Load
Image node, and the pictures that the run saves are fetched. OUT/submitted.jsonl lists what is done;
started again, the script goes on where it was. A server that does not answer is left out and its
picture goes to another.

No part of the extension: this is the one file here that opens connections, to the servers that you
name and to no others. It needs the standard library and, beside it, PixWizard's own rules of what
is a picture and how folders are walked. comfy-cli runs one workflow on one server a call; lists,
several servers, retries and resuming would be around it all the same.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import http.client
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pixwizard_core.console import patient_output, was_cut_off
from pixwizard_core.files.kinds import is_picture
from pixwizard_core.files.left_out import LeftOut
from pixwizard_core.files.walk import RESULT, Tell, results_in, walk

OTHER = "no picture"
LIST = "submitted.jsonl"
LOAD_IMAGE = "LoadImage"
POLL_S = 0.5
LONGEST_WAIT_S = 30.0
LOST_AFTER = 3  # looks at which a run is neither queued nor finished
FAULTS = (
    urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError,
    json.JSONDecodeError,
)  # fmt: skip


class Refused(Exception):
    """The server says that the workflow or the picture is wrong; another try would not help."""


@dataclass
class Task:
    """One picture to run. key, content: hashes of it with and without its place. tries: so far."""

    path: Path
    key: str
    content: str
    tries: int = 0
    error: str = ""


@dataclass
class Server:
    """A ComfyUI server. alive: whether it answered last."""

    url: str
    timeout_s: float
    client: str = field(default_factory=lambda: uuid.uuid4().hex)

    def call(self, path: str, data: bytes | None = None, kind: str = "application/json") -> bytes:
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if 400 <= error.code < 500 and error.code not in (408, 429):
                raise Refused(f"{error.code}: {_told(error)}") from None
            raise

    def upload(self, path: Path, name: str) -> str:
        """Put a picture into the server's input folder; what Load Image is to be told."""
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n',
            f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n",
        ]
        body = "".join(parts).encode() + path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        told = json.loads(self.call("/upload/image", body, f"multipart/form-data; boundary={mark}"))
        return f"{told['subfolder']}/{told['name']}" if told.get("subfolder") else told["name"]

    def run(self, prompt: dict, limit_s: float) -> dict:
        """Queue a prompt and wait for it; its outputs by node."""
        body = json.dumps({"prompt": prompt, "client_id": self.client}).encode()
        number = json.loads(self.call("/prompt", body))["prompt_id"]
        end, lost = time.monotonic() + limit_s, 0
        while time.monotonic() < end:
            entry = json.loads(self.call(f"/history/{number}")).get(number)
            if entry and entry.get("status", {}).get("completed"):
                return entry["outputs"]
            if entry and entry.get("status", {}).get("status_str") == "error":
                raise Refused(_execution_error(entry))
            lost = 0 if entry or self._is_queued(number) else lost + 1
            if lost >= LOST_AFTER:
                raise ConnectionError("the server no longer knows the run; it was restarted")
            time.sleep(POLL_S)
        raise TimeoutError(f"not finished after {limit_s:.0f} s")

    def _is_queued(self, number: str) -> bool:
        queue = json.loads(self.call("/queue"))
        rows = [*queue.get("queue_running", []), *queue.get("queue_pending", [])]
        return any(number in row for row in rows)

    def fetch(self, picture: dict) -> bytes:
        names = ("filename", "subfolder", "type")
        query = urllib.parse.urlencode({name: picture.get(name, "") for name in names})
        return self.call(f"/view?{query}")


def _told(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        told = json.loads(text)
        return str(told.get("error", {}).get("message") or told)[:300]
    except (ValueError, AttributeError):
        return text[:300] or error.reason


def _execution_error(entry: dict) -> str:
    for kind, data in entry["status"].get("messages", []):
        if kind == "execution_error":
            return (
                f"node {data.get('node_id')} ({data.get('node_type')}): "
                + str(data.get("exception_message", "")).strip()
            )
    return "the run ended in an error"


def pictures_of(inputs: list[str], out: Path, tell: Tell) -> list[Path]:
    """Pictures of files, folders (with all below) and lists (.txt, one path a line), each place
    once. What runs wrote into out is taken only where it is named itself; tell(path, reason) is
    called for what is left out."""
    found: list[Path] = []
    for given in map(Path, inputs):
        if given.is_dir():
            found += _inside(given, out, tell)
        elif given.suffix.lower() == ".txt":
            lines = given.read_text(encoding="utf-8-sig").split("\n")
            found += [given.parent / line.strip() for line in lines if line.strip()]
        else:
            found.append(given)
    missing = [path for path in found if not path.is_file()]
    if missing or not found:
        raise SystemExit(f"there is no picture {missing[0] if missing else 'in ' + inputs[0]}")
    return list({os.path.abspath(path): path for path in found}.values())


def _inside(folder: Path, out: Path, tell: Tell) -> Iterator[Path]:
    own = Path(os.path.realpath(out))
    whole_folder = own != Path(os.path.realpath(folder))
    results = {Path(os.path.realpath(path)) for path in results_in(out)}
    for path in walk(folder, tell):
        place = Path(os.path.realpath(path))
        if place in results or (whole_folder and place.is_relative_to(own)):
            tell(path, RESULT)
        elif is_picture(path):
            yield path
        elif path.name != LIST:
            tell(path, OTHER)


def node_of(workflow: dict, wanted: str) -> str:
    """The Load Image node to fill: the one that is named, or the only one."""
    if any(not isinstance(n, dict) or "class_type" not in n for n in workflow.values()):
        raise SystemExit(
            "this is not a workflow in API form; use Workflow > Export (API) in ComfyUI"
        )
    loaders = [number for number, n in workflow.items() if n["class_type"] == LOAD_IMAGE]
    if wanted:
        if wanted not in workflow:
            raise SystemExit(f"the workflow has no node {wanted}")
        return wanted
    if len(loaders) != 1:
        raise SystemExit(
            f"the workflow has {len(loaders)} {LOAD_IMAGE} nodes ({', '.join(loaders)}); choose "
            "the one that gets the picture with --node"
        )
    return loaders[0]


def keys_of(path: Path, workflow: dict) -> tuple[str, str]:
    """Hashes of a picture, its place, and the workflow, which identify what is done; and the same
    without the place, as lists of before have it."""
    text = json.dumps(workflow, sort_keys=True).encode() + b"\0" + path.read_bytes()
    place = os.path.abspath(path).encode(errors="surrogateescape")
    content = hashlib.sha256(text)
    whole = content.copy()
    whole.update(b"\0" + place)
    return whole.hexdigest(), content.hexdigest()


def listed(path: Path) -> dict[str, dict]:
    """Rows of the list by key; a line that was cut off is left out."""
    rows = {}
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            row = json.loads(line)
            rows[row["key"]] = row
        except (ValueError, KeyError, TypeError):
            continue
    return rows


class Submission:
    """Pictures on their way through servers. Each server has a thread of its own."""

    def __init__(self, arguments: argparse.Namespace, workflow: dict, node: str) -> None:
        self.arguments, self.workflow, self.node = arguments, workflow, node
        self.out: Path = arguments.out
        self.todo: Queue[Task] = Queue()
        self.lock = threading.Lock()
        self.left = 0
        self.done: list[dict] = []
        self.failed: list[Task] = []

    def run(self, tasks: list[Task]) -> None:
        self.left = len(tasks)
        for task in tasks:
            self.todo.put(task)
        servers = [Server(url.rstrip("/"), self.arguments.timeout) for url in self.arguments.server]
        threads = [
            threading.Thread(target=self._serve, args=(server,), daemon=True) for server in servers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while not self.todo.empty():  # no server was left to do them
            self.failed.append(self.todo.get())

    def _serve(self, server: Server) -> None:
        faults = 0
        while self.left and faults <= self.arguments.retries:
            try:
                task = self.todo.get(timeout=POLL_S)
            except Empty:
                continue
            try:
                self._finish(task, server, self._submit(task, server))
                faults = 0
            except Refused as error:
                self._give_up(task, str(error))
            except FAULTS as error:
                faults += 1
                self._try_again(task, f"{server.url}: {error}")
                time.sleep(min(self.arguments.wait * 2**faults, LONGEST_WAIT_S))
            except Exception as error:  # whatever it is, no picture may vanish with its thread
                self._give_up(task, str(error) or type(error).__name__)
        if faults > self.arguments.retries:
            print(f"{server.url} does not answer and is left out", file=sys.stderr)

    def _try_again(self, task: Task, error: str) -> None:
        task.error, task.tries = error, task.tries + 1
        if task.tries > self.arguments.retries * len(self.arguments.server):
            self._give_up(task, error)
        else:
            self.todo.put(task)

    def _submit(self, task: Task, server: Server) -> list[str]:
        name = f"{task.key[:16]}{task.path.suffix.lower()}"
        prompt = copy.deepcopy(self.workflow)
        prompt[self.node]["inputs"][self.arguments.input] = server.upload(task.path, name)
        outputs = server.run(prompt, self.arguments.limit)
        return list(self._saved(task, server, outputs))

    def _saved(self, task: Task, server: Server, outputs: dict) -> Iterator[str]:
        for number in sorted(outputs):
            pictures = outputs[number].get("images", [])
            for place, picture in enumerate(pictures):
                ending = Path(picture["filename"]).suffix
                name = f"{task.path.stem}-{task.key[:8]}_{number}_{place}{ending}"
                replace_file(self.out / name, server.fetch(picture))
                yield name

    def _finish(self, task: Task, server: Server, files: list[str]) -> None:
        row = {"key": task.key, "path": str(task.path), "server": server.url, "files": files}
        with self.lock:
            with (self.out / LIST).open("ab") as file:
                file.write(json.dumps(row, sort_keys=True).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self.done.append(row)
            self.left -= 1
            print(f"{len(self.done)} done, {self.left} left: {task.path}", flush=True)

    def _give_up(self, task: Task, error: str) -> None:
        with self.lock:
            task.error = error
            self.failed.append(task)
            self.left -= 1


def replace_file(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def drop_torn_line(path: Path) -> None:
    """Cut off an incomplete last line left by a crash, so that the next one starts on a new
    line."""
    if path.is_file():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(path, whole)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status. No console ends the work."""
    with patient_output() as out:
        status = _submit_all(argv)
        out.flush()
        return status or int(was_cut_off(out))


def _submit_all(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workflow", type=Path, help="workflow file in API format (.json)")
    parser.add_argument("pictures", nargs="+", help="pictures, folders, or .txt lists of paths")
    parser.add_argument(
        "--server", action="append", help="address of ComfyUI; repeatable (default: http://127.0.0.1:8188)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("submitted"), help="output folder (default: %(default)s)"
    )
    parser.add_argument("--node", default="", help="id of the node that receives the picture")
    parser.add_argument("--input", default="image", help="input of the node (default: %(default)s)")
    parser.add_argument(
        "--retries", type=int, default=3,
        help="retries after a connection failure (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--wait", type=float, default=0.5,
        help="seconds before the first retry (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=30,
        help="seconds to wait for one response (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=float, default=3600,
        help="seconds to wait for one picture (default: %(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    arguments.server = arguments.server or ["http://127.0.0.1:8188"]
    workflow = read_workflow(arguments.workflow)
    node = node_of(workflow, arguments.node)
    left_out = LeftOut()
    pictures = pictures_of(arguments.pictures, arguments.out, left_out.tell)
    arguments.out.mkdir(parents=True, exist_ok=True)
    drop_torn_line(arguments.out / LIST)
    known = listed(arguments.out / LIST)
    tasks, unread = [], []
    for path in pictures:
        try:
            tasks.append(Task(path, *keys_of(path, workflow)))
        except OSError as error:
            unread.append(Task(path, "", "", error=error.strerror or str(error)))
    left = [task for task in tasks if not _is_kept(arguments.out, _row_of(task, known))]
    submission = Submission(arguments, workflow, node)
    submission.failed += unread
    submission.run(left)
    print(f"{len(submission.done)} done, {len(tasks) - len(left)} done before, "
          f"{len(submission.failed)} failed")  # fmt: skip
    for line in left_out.lines():
        print(line, file=sys.stderr)
    for task in submission.failed:
        print(f"failed: {task.path}: {task.error or 'no server'}", file=sys.stderr)
    return 1 if submission.failed else 0


def _row_of(task: Task, known: dict[str, dict]) -> dict | None:
    """The row of a picture that was done; one without its place counts if the path is the same."""
    old = known.get(task.content)
    return known.get(task.key) or (old if old and old.get("path") == str(task.path) else None)


def read_workflow(path: Path) -> dict:
    """A workflow file. Raises SystemExit for what is none."""
    try:
        workflow = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SystemExit(f"{path} is not valid JSON: {error}") from None
    if not isinstance(workflow, dict):
        raise SystemExit(f"{path} is not a workflow in API form; use Workflow > Export (API)")
    return workflow


def _is_kept(out: Path, row: dict | None) -> bool:
    return bool(row) and all((out / name).is_file() for name in row["files"])


if __name__ == "__main__":
    sys.exit(main())
