"""Names in nodes/: one word, one meaning."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.core.test_names import NO_NAMES
from tests.support.paths import CORE, ROOT

FILES = sorted((ROOT / "nodes").rglob("*.py"))


def defined(path: Path, kind: type) -> list[ast.AST]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [one for one in body if isinstance(one, kind) and not one.name.startswith("_")]


def is_node(one: ast.ClassDef) -> bool:
    return [ast.unparse(base) for base in one.bases] == ["Node"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_type_of_nodes_is_named_after_a_thing(path):
    assert not {one.name for one in defined(path, ast.ClassDef)} & NO_NAMES


def test_types_of_nodes_have_names_of_their_own():
    """In nodes/, and beside the core. Classes of nodes are named after their ids, which stay."""
    ours = [one for path in FILES for one in defined(path, ast.ClassDef)]
    core = {one.name for path in CORE.rglob("*.py") for one in defined(path, ast.ClassDef)}
    assert [name for name, count in Counter(one.name for one in ours).items() if count > 1] == []
    assert {one.name for one in ours if not is_node(one)} & core == set()


def test_functions_of_nodes_have_names_of_their_own():
    names = Counter(one.name for path in FILES for one in defined(path, ast.FunctionDef))
    assert [name for name, count in names.items() if count > 1] == []
