"""No tensor takes its dtype or device from torch's defaults, which others may change."""

import ast

import pytest
import torch

from tests.support.paths import CORE, ROOT

MAKERS = {
    "arange", "empty", "eye", "full", "linspace", "logspace", "ones", "rand", "randint", "randn",
    "randperm", "scalar_tensor", "tensor", "zeros",
}  # fmt: skip
# Layers with weights of their own, and what makes them.
LAYERS = {
    "Conv1d", "Conv2d", "ConvTranspose2d", "Embedding", "GroupNorm", "LayerNorm", "Linear",
    "RMSNorm", "skip_init",
}  # fmt: skip
# Rooms that no node runs: commands of their own process, where nobody else sets defaults.
COMMANDS = {"bench", "cli", "data", "demo", "evaluation", "fleet", "training", "verify"}
FILES = [
    *sorted((ROOT / "nodes").rglob("*.py")),
    *sorted(p for p in CORE.rglob("*.py") if p.relative_to(CORE).parts[0] not in COMMANDS),
]


def unsaid(source: str) -> list[tuple[int, str]]:
    """(line, name) of each call that makes a tensor without naming both dtype and device."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of_torch = isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"
        named = {keyword.arg for keyword in node.keywords}
        chooses = node.func.attr == "where" and all(map(is_number, node.args[1:]))
        makes = node.func.attr in LAYERS or (of_torch and node.func.attr in MAKERS)
        if of_torch and chooses and len(node.args) == 3:
            found.append((node.lineno, "where"))
        if makes and None not in named and not {"dtype", "device"} <= named:
            found.append((node.lineno, node.func.attr))
    return sorted(found)


def is_number(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(inner, ast.Constant)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_file_names_dtype_and_device(path):
    assert unsaid(path.read_text(encoding="utf-8")) == []


def test_rule_finds_what_is_left_out():
    source = "torch.ones(2)\ntorch.zeros(2, dtype=d)\ntorch.rand(2, dtype=d, device=e)\n"
    source += "torch.ones_like(x)\nnn.Linear(2, 3)\nnn.Linear(2, 3, **factory)\nmath.ones(2)\n"
    source += "torch.where(x, 1.0, -2.0)\ntorch.where(x, y, 1.0)\n"
    assert unsaid(source) == [(1, "ones"), (2, "zeros"), (5, "Linear"), (8, "where")]


def test_defaults_of_this_process_are_untouched():
    assert torch.get_default_dtype() is torch.float32
