"""The script that runs a workflow for many pictures, against small servers on the loopback."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from pixwizard_core.files.picture_files import save_picture
from tests.support.paths import ROOT

WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "submit_workflow.py"
    spec = importlib.util.spec_from_file_location("submit_workflow", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["submit_workflow"] = module
    spec.loader.exec_module(module)
    module.POLL_S = 0.01
    return module


class Fake(BaseHTTPRequestHandler):
    """As much of ComfyUI's API as the script uses; a run gives its uploaded picture back."""

    def do_POST(self):
        state, body = self.server.state, self.rfile.read(int(self.headers["Content-Length"]))
        if state["faults"] > 0:
            state["faults"] -= 1
            return self.answer(500, {})
        if self.path == "/upload/image":
            name = body.split(b'filename="')[1].split(b'"')[0].decode()
            state["input"][name] = body.split(b"\r\n\r\n")[-1].rsplit(b"\r\n--", 1)[0]
            return self.answer(200, {"name": name, "subfolder": "", "type": "input"})
        prompt = json.loads(body)["prompt"]
        if prompt["2"]["class_type"] == "Nonsense":
            return self.answer(400, {"error": {"message": "no such node"}})
        number = f"run{len(state['runs'])}"
        state["runs"][number] = prompt["1"]["inputs"]["image"]
        return self.answer(200, {"prompt_id": number})

    def do_GET(self):
        state, (path, _, query) = self.server.state, self.path.partition("?")
        if path == "/queue":
            return self.answer(200, {"queue_running": [], "queue_pending": []})
        if path == "/view":
            name = urllib.parse.parse_qs(query)["filename"][0]
            return self.answer(200, state["input"][name])
        number = path.removeprefix("/history/")
        if state["forgets"]:
            return self.answer(200, {})
        status = {"completed": True, "status_str": "success"}
        if state["breaks"]:
            message = {"node_id": "2", "node_type": "SaveImage", "exception_message": "no disk"}
            status = {"completed": False, "status_str": "error",
                      "messages": [["execution_error", message]]}  # fmt: skip
        outputs = {"2": {"images": [{"filename": state["runs"][number], "type": "output"}]}}
        return self.answer(200, {number: {"status": status, "outputs": outputs}})

    def answer(self, code, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def fakes():
    servers = []

    def start(**state):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Fake)
        none = {"faults": 0, "forgets": False, "breaks": False, "input": {}, "runs": {}}
        server.state = {**none, **state}
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(6):
        save_picture(tmp_path / "in" / f"p{number}.png", torch.full((3, 4, 4), number / 6))
    (tmp_path / "flow.json").write_text(json.dumps(WORKFLOW), encoding="utf-8")
    return tmp_path


def submit(script, folder, *words, servers=()):
    named = [word for server in servers for word in ("--server", getattr(server, "url", server))]
    base = [str(folder / "flow.json"), str(folder / "in"), "--out", str(folder / "out")]
    return script.main([*base, "--wait", "0.001", *named, *map(str, words)])


def rows(folder) -> list[dict]:
    lines = (folder / "out" / "submitted.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_submit_shares_the_pictures_and_fetches_the_results(script, fakes, folder, capsys):
    servers = [fakes(), fakes()]
    assert submit(script, folder, servers=servers) == 0
    assert sorted(row["path"] for row in rows(folder)) == sorted(
        str(path) for path in (folder / "in").iterdir()
    )
    assert sum(len(server.state["runs"]) for server in servers) == 6
    for row in rows(folder):
        (name,) = row["files"]
        source = folder / "in" / f"{name.split('-')[0]}.png"
        assert (folder / "out" / name).read_bytes() == source.read_bytes()
    assert "6 done, 0 done before, 0 failed" in capsys.readouterr().out


def test_submit_goes_on_after_a_torn_list(script, fakes, folder, capsys):
    assert submit(script, folder, servers=[fakes()]) == 0
    path = folder / "out" / "submitted.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert submit(script, folder, servers=[fakes()]) == 0
    assert "1 done, 5 done before, 0 failed" in capsys.readouterr().out
    assert len(rows(folder)) == 6


def test_submit_tries_again_after_faults(script, fakes, folder):
    assert submit(script, folder, servers=[fakes(faults=2)]) == 0


def test_submit_leaves_out_a_server_that_does_not_answer(script, fakes, folder, capsys):
    gone = fakes()
    gone.shutdown()
    gone.server_close()
    assert submit(script, folder, "--retries", 1, servers=[gone, fakes()]) == 0
    assert len(rows(folder)) == 6


def test_submit_fails_when_no_server_is_left(script, fakes, folder, capsys):
    gone = fakes()
    gone.shutdown()
    gone.server_close()
    assert submit(script, folder, "--retries", 1, servers=[gone]) == 1
    out, err = capsys.readouterr()
    assert "0 done, 0 done before, 6 failed" in out
    assert "does not answer and is left out" in err


@pytest.mark.parametrize(
    ("state", "message"),
    [({"breaks": True}, "node 2 (SaveImage): no disk"), ({"forgets": True}, "restarted")],
)
def test_submit_says_why_a_picture_failed(state, message, script, fakes, folder, capsys):
    assert submit(script, folder, "--retries", 0, servers=[fakes(**state)]) == 1
    assert message in capsys.readouterr().err


def test_submit_reports_what_the_server_refuses_once(script, fakes, folder, capsys):
    flow = {**WORKFLOW, "2": {"class_type": "Nonsense", "inputs": {}}}
    (folder / "flow.json").write_text(json.dumps(flow), encoding="utf-8")
    assert submit(script, folder, servers=[fakes()]) == 1
    assert "400: no such node" in capsys.readouterr().err


def test_submit_refuses_workflows_it_cannot_fill(script, folder):
    (folder / "flow.json").write_text('{"nodes": []}', encoding="utf-8")
    with pytest.raises(SystemExit, match="not a workflow in API form"):
        submit(script, folder)
    two = {**WORKFLOW, "3": WORKFLOW["1"]}
    (folder / "flow.json").write_text(json.dumps(two), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"2 LoadImage nodes \(1, 3\)"):
        submit(script, folder)


def test_submit_does_equal_pictures_in_two_places_twice(script, fakes, folder):
    (folder / "in" / "sub").mkdir()
    for place in ("copy.png", "sub/p0.png"):
        (folder / "in" / place).write_bytes((folder / "in" / "p0.png").read_bytes())
    assert submit(script, folder, servers=[fakes()]) == 0
    assert len(rows(folder)) == 8
    assert len({name for row in rows(folder) for name in row["files"]}) == 8


@pytest.mark.parametrize("out", ["in/results", "in"])
def test_submit_takes_no_result_for_a_picture(out, script, fakes, folder, capsys):
    words = [str(folder / "flow.json"), str(folder / "in"), "--out", str(folder / out)]
    server = fakes()
    for told in ("6 done, 0 done before", "0 done, 6 done before"):
        assert script.main([*words, "--server", server.url]) == 0
        assert told in capsys.readouterr().out
    assert len(server.state["runs"]) == 6


def test_submit_leaves_out_hidden_files_and_says_the_rest(script, fakes, folder, capsys):
    (folder / "in" / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "in" / "._p0.png").write_bytes(b"x")
    (folder / "in" / "loop").symlink_to(folder / "in")
    (folder / "in" / "p1.png").rename(folder / "in" / "p1.JFIF")
    assert submit(script, folder, servers=[fakes()]) == 0
    out, err = capsys.readouterr()
    assert "6 done, 0 done before, 0 failed" in out
    assert "left out (no picture): 1: notes.txt" in err
    assert "left out (a link to a folder that is already read): 1: loop" in err
    assert "._p0" not in out + err


def test_submit_goes_on_from_a_list_that_knows_no_places(script, fakes, folder, capsys):
    assert submit(script, folder, servers=[fakes()]) == 0
    listed, old = folder / "out" / "submitted.jsonl", []
    for row in rows(folder):
        row["key"] = script.keys_of(script.Path(row["path"]), WORKFLOW)[1]
        old.append(json.dumps(row) + "\n")
    listed.write_text("".join(old), encoding="utf-8")
    assert submit(script, folder, servers=[fakes()]) == 0
    assert "0 done, 6 done before" in capsys.readouterr().out


def test_submit_ends_well_on_a_console_of_few_signs(fakes, folder):
    (folder / "in" / "p0.png").rename(folder / "in" / "長い.png")
    command = [sys.executable, str(ROOT / "scripts" / "submit_workflow.py"),
               str(folder / "flow.json"), str(folder / "in"), "--out", str(folder / "out"),
               "--server", fakes().url]  # fmt: skip
    env = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}
    ended = subprocess.run(command, capture_output=True, env=env, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert b"\\u9577\\u3044.png" in ended.stdout
    assert len(rows(folder)) == 6


def test_submit_refuses_a_workflow_that_is_no_json(script, folder):
    for text, told in (("{", "is not valid JSON"), ("[]", "is not a workflow in API form")):
        (folder / "flow.json").write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit, match=told):
            submit(script, folder)


def test_submit_lists_a_picture_whose_server_talks_nonsense(script, fakes, folder, monkeypatch):
    monkeypatch.setattr(script.Server, "run", lambda *a: (_ for _ in ()).throw(KeyError("x")))
    assert submit(script, folder, servers=[fakes()]) == 1
