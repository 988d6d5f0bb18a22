"""Who may import whom, and what no file may contain."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import CORE, ROOT

HOST = {"comfy", "comfy_api", "comfy_extras", "folder_paths", "server", "execution", "nodes"}
PICTURE_PACKAGES = {"PIL", "cv2", "imageio", "matplotlib"}
MAY_OPEN_PICTURES = (
    "cli", "demo.", "evaluation.effects", "evaluation.score_report", "files.lettering",
    "files.picture_files",
)  # fmt: skip
MAY_PRINT = (
    "cli", "progress", "__main__", "demo.", "training.autoencoder", "training.tokenizer",
)  # fmt: skip
OPTIONAL = ("comfy", "kornia", "diffusers", "PIL", "tqdm", "matplotlib", "scipy", "transformers")

# Part of the core -> parts it may import besides itself. None: anything in the core.
MAY_IMPORT = {
    "errors": set(),
    "config": {"errors"},
    "conditioning": {"config", "errors"},
    "sampling": {"errors"},
    "model": {"conditioning", "config", "errors"},
    "task_table": {"errors"},
    "tasks": {"task_table", "errors"},
    "canvas": {"errors"},
    "json_text": {"errors"},
    "decode": {"canvas", "errors", "json_text", "tasks"},
    "whole_file": {"errors"},
    "weights": {"config", "errors", "json_text", "model", "whole_file"},
    "generate": {"conditioning", "errors", "model", "sampling"},
}
FORBIDDEN_WORDS = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/|\.\./shared", re.IGNORECASE)
TEXT_SUFFIXES = {".py", ".md", ".toml", ".js", ".ts", ".json", ".txt", ".ini", ".html", ".csv", ""}


def core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def module_of(path: Path) -> str:
    """decode/boxes.py -> decode.boxes; an __init__ stands for its package."""
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, top_level_only: bool = False):
    """(level, dotted name) of each import; level 0 is absolute. A from-import of a package's part
    counts as that part."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.module:
                yield node.level, node.module
            else:
                for alias in node.names:
                    yield node.level, alias.name


def core_parts(path: Path) -> set[str]:
    """First name below pixwizard_core of everything a file imports from the core."""
    package = list(path.relative_to(CORE).parent.parts)
    found = set()
    for level, name in imports(path):
        if level:
            base = package[: len(package) - (level - 1)]
            found.add((base + name.split("."))[0])
    return found


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", core_files(), ids=ids)
def test_core_knows_no_host_and_imports_itself_relatively(path):
    absolute = {name.split(".")[0] for level, name in imports(path) if level == 0}
    assert not absolute & HOST
    assert "pixwizard_core" not in absolute


@pytest.mark.parametrize("path", core_files(), ids=ids)
def test_core_opens_pictures_in_few_places(path):
    absolute = {name.split(".")[0] for level, name in imports(path) if level == 0}
    if not module_of(path).startswith(MAY_OPEN_PICTURES):
        assert not absolute & PICTURE_PACKAGES


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_part_imports_only_what_it_may(part):
    single = CORE / f"{part}.py"
    files = [single] if single.is_file() else sorted((CORE / part).rglob("*.py"))
    used = set().union(*(core_parts(path) for path in files))
    assert used - {part} <= MAY_IMPORT[part]


def test_every_listed_part_exists():
    assert [part for part in MAY_IMPORT if not list(CORE.glob(f"{part}*"))] == []


def test_metrics_take_arrays_only():
    assert core_parts(CORE / "metrics" / "measures.py") == set()


@pytest.mark.parametrize("path", core_files(), ids=ids)
def test_demo_is_used_by_the_command_line_only(path):
    if not module_of(path).startswith(("demo", "cli")):
        assert "demo" not in core_parts(path)


@pytest.mark.parametrize("path", core_files(), ids=ids)
def test_core_prints_and_exits_in_commands_only(path):
    if module_of(path).startswith(MAY_PRINT):
        return
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not calls & {"print", "sys.exit", "exit", "quit", "eval", "exec"}


def calls(tree: ast.AST) -> set[ast.Call]:
    return {node for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", core_files(), ids=ids)
def test_core_leaves_the_global_generator_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # Libraries that draw their first weights globally are seeded inside a fork, which is undone.
    forks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and "fork_rng" in ast.unparse(node.items[0])
    ]
    for call in calls(tree) - set().union(*(calls(fork) for fork in forks)):
        function = ast.unparse(call.func)
        assert function not in ("torch.manual_seed", "random.seed", "np.random.seed")
        if function in ("torch.randn", "torch.rand", "torch.randint", "torch.randperm"):
            assert any(word.arg == "generator" for word in call.keywords), ast.unparse(call)


def test_nodes_reach_the_core_relatively_and_do_no_layers():
    for path in (ROOT / "nodes").rglob("*.py"):
        for level, name in imports(path):
            assert not (level == 0 and name.startswith("pixwizard_core")), path
            assert name != "torch.nn", path


def import_without(blocked: tuple[str, ...], modules: list[str]) -> subprocess.CompletedProcess:
    """Import modules in a fresh interpreter in which the blocked packages cannot be found."""
    code = f"""
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocked())
for name in {modules!r}:
    importlib.import_module(name)
"""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_core_imports_without_host_and_optional_packages():
    modules = [
        f"pixwizard_core.{name}"
        for name in (
            "cli", "weights.checkpoint", "weights.convert", "verify", "generate", "canvas", "tasks",
            "decode", "metrics", "encoders.vision", "encoders.taesd",
        )
    ]  # fmt: skip
    result = import_without(OPTIONAL, modules)
    assert result.returncode == 0, result.stderr


def test_import_of_the_core_is_light():
    code = "import pixwizard_core.cli, sys; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "False\n"


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listing.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_file_speaks_of_the_place_it_was_made():
    found = []
    for path in tracked_files():
        if path.suffix not in TEXT_SUFFIXES or path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in FORBIDDEN_WORDS.finditer(text)]
    assert found == []
