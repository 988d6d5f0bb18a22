"""What the extension that users install must not contain, whatever it would be good for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SHIPPED = [ROOT / "__init__.py", *sorted((ROOT / "nodes").rglob("*.py"))]
CORE = sorted((ROOT / "pixwizard_core").rglob("*.py"))
# Code a graph can reach. The command line, training, building data and the batch runner are started
# by hand.
BY_HAND = (
    "cli",
    "bench/loading",
    "training/",
    "data/",
    "files/plain_pickle",
    "evaluation/truths",
    "fleet/",
    "get/",
)
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
ATTRIBUTES = {
    "os": {"system", "popen", "execv", "execve", "execvp", "spawnv", "fork", "forkpty", "kill"},
    "torch": {"hub"},
    "importlib": {"import_module", "reload"},
}
NETWORK = {
    "asyncio", "aiohttp", "ftplib", "gradio", "http", "httpx", "huggingface_hub", "requests",
    "smtplib", "socket", "socketserver", "ssl", "telnetlib", "urllib", "urllib3", "websocket",
    "websockets", "xmlrpc",
}  # fmt: skip
PROCESSES = {"subprocess", "multiprocessing", "pty", "ctypes", "cffi", "pip", "ensurepip", "venv"}
PICKLES = {"dill", "cloudpickle", "shelve", "marshal", "joblib"}
LICENCES = ROOT / "THIRD_PARTY.md"


def reachable() -> list[Path]:
    core = ROOT / "pixwizard_core"
    kept = [p for p in CORE if not p.relative_to(core).as_posix().startswith(BY_HAND)]
    return [*SHIPPED, *kept]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split(".")[0])
    return found


def findings(source: str) -> list[str]:
    """What a file does that the extension must not."""
    tree, found = ast.parse(source), []
    banned = imported(tree) & (NETWORK | PROCESSES | PICKLES)
    found += [f"imports {name}" for name in sorted(banned)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CALLS:
                found.append(f"line {node.lineno} calls {called.id}")
            found += _of_a_method(node, called) if isinstance(called, ast.Attribute) else []
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in ATTRIBUTES.get(node.value.id, ())
        ):
            found.append(f"line {node.lineno} uses {node.value.id}.{node.attr}")
    return found


def _of_a_method(node: ast.Call, called: ast.Attribute) -> list[str]:
    owner = ast.unparse(called.value)
    named = {word.arg: word.value for word in node.keywords}
    if called.attr == "load" and owner in ("torch", "pickle"):
        safe = named.get("weights_only")
        if not (isinstance(safe, ast.Constant) and safe.value is True):
            return [f"line {node.lineno} unpickles freely"]
    if owner == "pickle" and called.attr in ("loads", "Unpickler"):
        return [f"line {node.lineno} unpickles freely"]
    if called.attr == "load" and owner == "np" and "allow_pickle" in named:
        return [f"line {node.lineno} may unpickle an array"]
    return []


@pytest.mark.parametrize("path", reachable(), ids=name_of)
def test_nothing_is_executed_fetched_or_unpickled(path):
    assert findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("eval('1')", "eval"), ("exec(x)", "exec"), ("import subprocess", "subprocess"),
        ("from urllib.request import urlopen", "urllib"), ("os.system('x')", "os.system"),
        ("import socket", "socket"), ("torch.load(p)", "unpickles"),
        ("torch.load(p, weights_only=False)", "unpickles"), ("pickle.loads(b)", "unpickles"),
        ("__import__('x')", "__import__"), ("torch.hub.load('a', 'b')", "torch.hub"),
        ("import pip", "pip"), ("np.load(p, allow_pickle=True)", "array"),
        ("importlib.import_module(x)", "import_module"),
    ],
)  # fmt: skip
def test_the_search_finds(source, word):
    assert any(word in line for line in findings(source))


def test_the_search_lets_safe_loading_pass():
    assert findings("torch.load(p, weights_only=True)\nmodel.eval()\nre.compile(x)") == []


def test_the_page_fetches_from_its_own_server_only():
    banned = re.compile(
        r"""(fetch|import|WebSocket|EventSource)\s*\(\s*["'`](https?|wss?):"""
        r"""|from\s+["'](https?):|XMLHttpRequest|\beval\(|new Function|importScripts"""
    )
    for path in sorted((ROOT / "web").glob("*.js")):
        text = path.read_text(encoding="utf-8")
        assert not banned.search(text), f"{path.name}: {banned.search(text)}"
        assert "innerHTML" not in text, path.name


def test_nothing_is_installed_when_the_extension_is():
    assert not (ROOT / "install.py").exists()
    assert not (ROOT / "prestartup_script.py").exists()


def dependencies() -> list[str]:
    try:
        import tomllib
    except ImportError:
        tomllib = pytest.importorskip("tomli", reason="Python 3.10 reads no TOML by itself")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"].get("cli", [])]
    return sorted({re.match(r"[\w.-]+", line)[0] for line in sum(extras, project["dependencies"])})


@pytest.mark.parametrize("package", dependencies())
def test_licence_of_a_dependency_is_listed(package):
    text = LICENCES.read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if f"| {package} |" in row]
    assert len(rows) == 1, f"{LICENCES.name} needs a row for {package}"
    try:
        told = metadata(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed here")
    own = f"{told.get('License-Expression')} {told.get('License')} {told.get_all('Classifier')}"
    listed = rows[0].split("|")[1].strip().replace("PSF-based", "Python Software Foundation")
    first = listed.split("-")[0].split()[0]
    assert first.lower() in own.lower(), f"{package} says {own[:200]}, the list {listed}"


def test_security_policy_says_scope_and_how_to_report():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for heading in ("## Scope", "## Reporting", "## What is promised"):
        assert heading in text


def test_bandit_finds_nothing():
    pytest.importorskip("bandit", reason="bandit is not installed (pip install -e '.[lint]')")
    done = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-r", "nodes", "pixwizard_core", "__init__.py",
         "-c", "pyproject.toml"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
