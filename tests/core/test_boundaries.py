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
    "cli", "demo.", "evaluation.sampler_study", "evaluation.score_report",
    "evaluation.task_embedding", "files.film_pages", "files.lettering", "files.picture_files",
    "files.picture_values",
)  # fmt: skip
MAY_PRINT = (
    "cli", "__main__", "demo.", "training.autoencoder", "training.tokenizer",
)  # fmt: skip
OPTIONAL = ("comfy", "kornia", "diffusers", "PIL", "tqdm", "matplotlib", "scipy", "transformers")

# The rooms from right to left: each may use what stands above it as said, and nothing below.
# Files at the root of the core are rooms of one file.
COMMON = {"errors", "json_text", "seeds", "torch_types", "whole_file"}  # what everything shares
BASE = {"config", "conditioning", "model", "sampling", "weights", "encoders", "generate", *COMMON}
WORDS = {"taught", "tasks"}
RUN = {"canvas", "decode", "files", "inpaint", "own_settings", "presets", "pipeline", "bundle",
       "regions", *WORDS, *BASE}  # fmt: skip
MAY_IMPORT = {
    "version": set(),
    "errors": set(),
    "json_text": {"errors"},
    "seeds": {"errors"},
    "torch_types": set(),
    "console": set(),
    "whole_file": {"errors"},
    "config": {"errors"},
    "conditioning": {"config", "errors"},
    "sampling": {"errors"},
    "model": {"conditioning", "config", "errors"},
    "weights": {"config", "model", *COMMON},
    "encoders": {"config", "model", "weights", *COMMON},
    "released": {"encoders", "weights", *COMMON},
    "get": {"encoders", "released", "weights", *COMMON},
    "generate": {"conditioning", "model", "sampling", "errors"},
    "presets": {"generate", "errors"},
    "task_table": {"errors"},
    "taught": {"config", "task_table", "errors", "json_text"},
    "tasks": {"task_table", "taught", "errors"},
    "metrics": {"config", "errors"},
    "canvas": {"errors"},
    "own_settings": {"canvas", "config", "encoders", "generate", *COMMON},
    "decode": {"canvas", "tasks", *COMMON},
    "files": {"decode", "canvas", *COMMON},
    "inpaint": {"decode", "canvas", "errors"},
    "regions": {"canvas", "conditioning", "encoders", "model", "errors"},
    "pipeline": {"canvas", "decode", "inpaint", "files", "regions", "taught", "tasks", *BASE},
    "bundle": {"decode", "own_settings", "pipeline", "taught", *BASE},
    "interface": {"bundle", *RUN},
    "best": {"metrics", "task_table", *RUN},
    "cutout": RUN,
    "tiles": RUN,
    "world": {"files", "decode", "canvas", "tasks", "taught", *COMMON},
    "fleet": {"best", "tiles", "version", *RUN},
    "data": {"fleet", "world", *RUN},
    "training": {"data", "fleet", "metrics", "world", *RUN},
    "evaluation": {"best", "cutout", "data", "fleet", "metrics", "tiles", "version", "world", *RUN},
    "demo": {"evaluation", "metrics", "world", *RUN},
    "verify": {"version", *RUN},
    "bench": {"fleet", "metrics", "world", *RUN},
    "cli": {"bench", "best", "console", "cutout", "data", "demo", "evaluation", "fleet", "get",
            "metrics", "released", "tiles", "training", "verify", "version", "world", *RUN},
    "__main__": {"cli"},
    "": {"bundle", "interface", "pipeline", "tasks", "version"},  # what the package exports
}  # fmt: skip
NODES_MAY_IMPORT = {
    "shared": set(),
    "host": {"shared"},
    "model": {"host", "shared"},
    "encoders": {"model", "host", "shared"},
    "conditions": {"encoders", "model", "host", "shared"},
    "pictures": {"model", "host", "shared"},
    "sampling": {"model", "host", "shared"},
    "loaders": {"encoders", "model", "host", "shared"},
    "decoders": {"host", "shared"},
    "results": {"loaders", "sampling", "encoders", "model", "host", "shared"},
    "short": {"conditions", "encoders", "loaders", "sampling", "model", "host", "shared"},
}
DATA_ONLY = {"tiny"}
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


def core_imports(path: Path) -> set[str]:
    """Dotted names below pixwizard_core of everything a file imports from the core, inside
    functions and under TYPE_CHECKING too. A name that a package only re-exports counts as the
    package; "" is the core itself."""
    package = list(path.relative_to(CORE).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                name = ".".join([*base, alias.name])
                found.add(name if is_module(name) else ".".join(base))
    return found


def is_module(name: str) -> bool:
    place = CORE.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or place.is_dir()


def room_of(module: str) -> str:
    return module.split(".")[0]


def core_parts(path: Path) -> set[str]:
    """The rooms of everything a file imports from the core."""
    return {room_of(name) for name in core_imports(path)}


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


@pytest.mark.parametrize("path", core_files(), ids=ids)
def test_file_imports_only_what_its_room_may(path):
    room = room_of(module_of(path))
    assert core_parts(path) - {room} <= MAY_IMPORT[room]


def test_table_of_rooms_points_one_way():
    """A room stands behind all that it may use, so no arrow can point back."""
    seen = set()
    for room, allowed in MAY_IMPORT.items():
        assert allowed <= seen, room
        seen.add(room)


def test_table_of_rooms_names_what_is_there():
    there = {room_of(module_of(path)) for path in core_files()}
    assert there - set(MAY_IMPORT) == set()
    assert set(MAY_IMPORT) - there == set()


def test_room_of_data_holds_no_code():
    for room in DATA_ONLY:
        assert list((CORE / room).rglob("*.py")) == []
        assert list((CORE / room).iterdir()) != []


def test_imports_of_the_core_are_acyclic():
    """Over all modules, TYPE_CHECKING and imports inside functions included. A file of a package
    does not wait for the package's own __init__, which gathers names."""
    graph = {module_of(path): core_imports(path) for path in core_files()}
    order, waiting = [], dict(graph)
    while waiting:
        free = [
            name
            for name, used in waiting.items()
            if not any(other in waiting and not name.startswith(f"{other}.") for other in used)
        ]
        assert free, f"in a circle or above one: {sorted(waiting)}"
        order += free
        for name in free:
            del waiting[name]
    assert len(order) == len(graph)


@pytest.mark.parametrize("path", core_files(), ids=ids)
def test_core_never_imports_for_type_checking_alone(path):
    """What is needed for a type is an arrow like any other."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            inside = [n for n in ast.walk(node) if isinstance(n, ast.ImportFrom)]
            assert not any(one.level for one in inside)


def test_metrics_take_arrays_only():
    assert core_imports(CORE / "metrics" / "measures.py") == {"metrics.arrays"}
    assert core_imports(CORE / "metrics" / "arrays.py") == {"errors"}


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


def test_rooms_of_nodes_use_what_they_may():
    """The list of nodes alone may use every room."""
    folder, seen = ROOT / "nodes", {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        if len(parts) == 1:
            assert parts == ("__init__.py",)
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2:
                assert node.module, f"{path} imports the list of nodes"
                seen.setdefault(parts[0], set()).add(room_of(node.module))
        seen.setdefault(parts[0], set())
    assert set(seen) == set(NODES_MAY_IMPORT)
    for room, used in seen.items():
        assert used <= NODES_MAY_IMPORT[room], room
    above = set()
    for room, allowed in NODES_MAY_IMPORT.items():  # each stands behind all that it may use
        assert allowed <= above
        above.add(room)


def test_only_the_demo_scene_node_needs_the_world():
    """And no node needs what the command line alone starts."""
    by_hand = {"cli", "data", "demo", "evaluation", "fleet", "get", "training"}
    users = {}
    for path in (ROOT / "nodes").rglob("*.py"):
        for _, name in imports(path):
            if name.startswith("pixwizard_core."):
                users.setdefault(name.split(".")[1], set()).add(path.name)
    assert users["world"] == {"demo_scene.py"}
    assert users["verify"] == {"check.py"}  # the long form of its report
    assert by_hand & set(users) == set()


def test_the_hub_is_used_in_one_file_and_only_when_asked():
    users = {
        module_of(path)
        for path in core_files()
        if any(name.split(".")[0] == "huggingface_hub" for _, name in imports(path))
    }
    assert users == {"get.hub"}
    at_import = {name for _, name in imports(CORE / "get" / "hub.py", top_level_only=True)}
    assert not any(name.startswith("huggingface_hub") for name in at_import)
    assert {module_of(path) for path in core_files() if "get" in core_parts(path)} <= {
        "cli.get", "get.parts",
    }  # fmt: skip


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
