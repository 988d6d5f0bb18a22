"""What the nodes use of the host, read from their source: dotted names, such as
comfy.utils.ProgressBar."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

HOST = ("comfy", "comfy_api", "comfy_execution", "comfy_extras", "comfyui_version", "execution",
        "folder_paths", "latent_preview", "node_helpers", "nodes", "server")  # fmt: skip
SOURCES = (*sorted((ROOT / "nodes").rglob("*.py")), ROOT / "__init__.py")


def dotted(node: ast.AST, known: dict[str, str]) -> str | None:
    """The host's name of an expression, or None when it is not the host's. known: the host's names
    of the variables of a file."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value, known)
        return f"{inner}.{node.attr}" if inner else None
    return None


def imported(tree: ast.AST) -> dict[str, str]:
    """The host's names of what a file imports of it, by the names it has there."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                if one.name.split(".")[0] in HOST:
                    root = one.name.split(".")[0]
                    known[one.asname or root] = one.name if one.asname else root
        elif isinstance(node, ast.ImportFrom) and not node.level:
            ours = node.module.split(".")[0] in HOST
            named = {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
            known |= named if ours else {}
    return known


def assigned(tree: ast.AST, known: dict[str, str]) -> dict[str, str]:
    """The host's names of variables that stand for something of the host."""
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        (target,) = node.targets[:1]
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=True))
        for left, right in pairs:
            name = dotted(right, known)
            if name and isinstance(left, ast.Name):
                found[left.id] = name
    return found


def chains(tree: ast.AST, known: dict[str, str]) -> Iterator[str]:
    """Every name of the host in a file, each as long as it is written."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if id(node) not in inner and (name := dotted(node, known)):
            yield name
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr"):
            name, asked = dotted(node.args[0], known), node.args[1]
            if name and isinstance(asked, ast.Constant):
                yield f"{name}.{asked.value}"


def used_in(source: str) -> set[str]:
    tree = ast.parse(source)
    known = imported(tree)
    direct = set(known.values()) - {name.split(".")[0] for name in known.values()}
    known |= assigned(tree, known)
    return set(chains(tree, known)) | {name for name in direct if "." in name}


def used(sources: tuple[Path, ...] = SOURCES) -> dict[str, set[str]]:
    """The files of the nodes that use each of the host's names."""
    found: dict[str, set[str]] = {}
    for path in sources:
        for name in used_in(path.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def members(sources: tuple[Path, ...] = SOURCES) -> set[str]:
    """Names of attributes that the nodes read or define, of whatever object."""
    found = set()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            if isinstance(node, ast.FunctionDef):
                found.add(node.name)
    return found


def check_name(module: str, group: str) -> str:
    """The check of a line of nodes/host/uses.py, called by the first name in it."""
    return f"check_{module}.{group.split()[0]}".replace(".", "_")
