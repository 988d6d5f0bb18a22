"""Runs under a host's interpreter, in its folder: python run.py EXTENSION REPORT [PART].

Loads the extension the way the host does, calls every check_* function of the files beside this one
with a Setup, and writes what came of each as JSON. With PART only checks whose name holds it run.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

EXTENSION, REPORT = Path(sys.argv[1]), Path(sys.argv[2])
PART = "".join(sys.argv[3:])
sys.argv = ["main.py", "--cpu"]
sys.path[0] = os.getcwd()  # the host's own "nodes" must win over this folder and the extension's

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import folder_paths  # noqa: E402

PRIVATE = tempfile.TemporaryDirectory()
for setter, name in (
    (folder_paths.set_output_directory, "output"),
    (folder_paths.set_temp_directory, "temp"),
    (folder_paths.set_input_directory, "input"),
):
    (Path(PRIVATE.name) / name).mkdir()
    setter(str(Path(PRIVATE.name) / name))

import nodes  # noqa: E402, I001
import torch  # noqa: E402

torch.set_grad_enabled(False)


class Setup:
    """What a check gets: modules of the loaded extension and a folder of its own."""

    def __init__(self, package: str) -> None:
        self.package, self.extension = package, EXTENSION

    def module(self, name: str):
        """A module of the extension by its dotted name, for example nodes.model.patches."""
        return importlib.import_module(f"{self.package}.{name}")

    def folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=PRIVATE.name))


def outcome(function, *arguments) -> dict:
    """Data and error text of one call."""
    begun = time.monotonic()
    try:
        data, error = function(*arguments), None
    except Exception:
        data, error = None, traceback.format_exc()
    return {"error": error, "data": data, "seconds": round(time.monotonic() - begun, 2)}


def load_extension() -> None:
    if not asyncio.run(nodes.load_custom_node(str(EXTENSION), module_parent="custom_nodes")):
        raise RuntimeError("the host could not load the extension; see its log above")


def main() -> None:
    report = {"loaded": outcome(load_extension)}
    if report["loaded"]["error"] is None:
        report |= run_checks(Setup(str(EXTENSION).replace(".", "_x_")))
    REPORT.write_text(json.dumps(report, default=str), encoding="utf-8")


def counted(node, name: str, called: set[str]) -> None:
    """Note in called whenever this node is executed, by the host or by a check."""
    execute = node.execute.__func__

    @functools.wraps(execute)
    def noting(cls, *args, **kwargs):
        called.add(name)
        return execute(cls, *args, **kwargs)

    node.execute = classmethod(noting)


def run_checks(setup: Setup) -> dict:
    called: set[str] = set()
    for name, node in nodes.NODE_CLASS_MAPPINGS.items():
        if name.startswith("PixWizard_"):
            counted(node, name, called)
    report = {}
    for path in sorted(Path(__file__).parent.glob("check_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        for name, function in list(vars(module).items()):
            full = f"{path.stem}.{name}"
            if name.startswith("check_") and callable(function) and PART in full:
                called.clear()
                report[full] = {**outcome(function, setup), "nodes": sorted(called)}
    return report


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))
    main()
