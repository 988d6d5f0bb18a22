"""The list of what the nodes use of the host: complete, and each line with a check."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.fakes.host import modules as fake_modules
from tests.support.host_uses import check_name, members, used, used_in
from tests.support.paths import ROOT

CHECKS = ROOT / "tests" / "host" / "checks"


@pytest.fixture(scope="module")
def listed(extension):
    return extension("nodes.host.uses")


def covered(name: str, entries: set[str]) -> bool:
    """Whether a name of the source is an entry, something of an entry, or only leads to entries."""
    parts = name.split(".")
    inside = any(".".join(parts[:end]) in entries for end in range(1, len(parts) + 1))
    return inside or any(entry.startswith(f"{name}.") for entry in entries)


def test_uses_of_the_host_are_all_listed(listed):
    entries = set(listed.names())
    unlisted = {name: files for name, files in used().items() if not covered(name, entries)}
    assert not unlisted, f"add to nodes/host/uses.py, with a check on every host: {unlisted}"


def test_list_of_uses_holds_only_what_is_used(listed):
    chains, attributes = set(used()), members()
    for entry in listed.names():
        written = any(f"{chain}.".startswith(f"{entry}.") for chain in chains)
        of_object = any(entry.startswith(f"{chain}.") for chain in chains)
        member = of_object and entry.split(".")[-1] in attributes
        assert written or member, f"{entry} is not used; take it from nodes/host/uses.py"


def test_each_line_of_uses_has_one_check(listed):
    wanted = [check_name(module, group) for module, of in listed.USES.items() for group in of]
    found = [
        node.name
        for path in CHECKS.glob("check_uses_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    ]
    assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import comfy.utils\ncomfy.utils.ProgressBar(3).update(1)", {"comfy.utils.ProgressBar"}),
        ("import comfy.sd as sd\nsd.VAE()", {"comfy.sd.VAE"}),
        ("from comfy.sd import VAE as Coder", {"comfy.sd.VAE"}),
        (
            "if 1:\n    from comfy.cli_args import args\n    args.cpu",
            {"comfy.cli_args.args.cpu"},
        ),
        ("import comfy.ops\nwhere = comfy.ops\nwhere.cast(1)", {"comfy.ops.cast"}),
        ("import comfy.ops\none, two = 1, comfy.ops\ntwo.cast(1)", {"comfy.ops.cast"}),
        ("import comfy.sd\ngetattr(comfy.sd, 'New', None)", {"comfy.sd.New"}),
        ("import server\nserver.PromptServer.instance", {"server.PromptServer.instance"}),
        ("from . import host\nhost.choice\nimport torch\ntorch.nn", set()),
    ],
)
def test_used_in_finds_every_way_to_write_a_use(source, names):
    found = used_in(source)
    assert names <= found
    ours = {"comfy.ops", "comfy.sd", "comfy.cli_args.args"}  # what only leads there
    assert found - names <= ours


def test_fake_host_has_the_modules_of_the_list_and_no_others(listed):
    parts = [name.split(".") for name in listed.USES]
    known = {".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)}
    known -= {"comfy_api.latest.io", "comfy_api.latest.ui"}  # namespaces, not modules
    late = {"comfy.cli_args"}  # write_to brings it, for the nodes that save
    assert set(fake_modules(Path("models"))) == known - late


def test_fake_host_offers_nothing_beyond_the_list(listed):
    entries, extra = set(listed.names()), []
    for module, content in fake_modules(Path("models")).items():
        for name, value in vars(content).items():
            own = not name.startswith("_") and not isinstance(value, ModuleType)
            nested = vars(value) if isinstance(value, SimpleNamespace) and name == "io" else [""]
            extra += [f"{module}.{name}.{one}".rstrip(".") for one in nested if own]
    assert not [name for name in extra if not covered(name, entries)]
