"""Names in the core: one word, one meaning."""

import ast
from collections import Counter

import pytest

from tests.support.paths import CORE

# A type is a thing. The first say only that something happened to it, the others say nothing of
# what it holds.
NO_NAMES = {
    "Found", "Made", "Drawn", "Looked", "Handed", "Told", "Given", "Padded",
    "Options", "Settings", "Data", "Info", "Manager", "Helper", "Utils",
}  # fmt: skip
NO_MODULES = {"util", "utils", "helpers", "misc", "common_utils", "stuff", "base", "core"}
FILES = sorted(CORE.rglob("*.py"))


def classes(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [one.name for one in tree.body if isinstance(one, ast.ClassDef)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_type_of_the_core_is_named_after_what_it_holds(path):
    assert not {name.lstrip("_") for name in classes(path)} & NO_NAMES


def test_types_of_the_core_have_names_of_their_own():
    """But the layers of namespaces of layers, which take the names of torch.nn's."""
    layers = {"Linear", "LayerNorm", "RMSNorm"}
    names = Counter(name for path in FILES for name in classes(path) if name not in layers)
    assert [name for name, count in names.items() if count > 1 and not name.startswith("_")] == []


def test_modules_of_the_core_are_named_by_content():
    assert not {path.stem for path in FILES} & NO_MODULES


@pytest.mark.parametrize("room", ["world", "decode", "metrics", "files", "model", "encoders"])
def test_centre_names_no_point(room):
    """A centre is the side in px of the square with the area to work at. Rooms that know points and
    no such sizes call a point's place a middle."""
    for path in (CORE / room).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        named |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        assert not {"centre", "centres"} & named, path
