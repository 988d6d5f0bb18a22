"""The packages behind networks that measure pictures, and those that they are compared with: skip
without them, and let torchvision in.

The extra `metrics` has the first. The others are installed by hand: `pip install lpips clean-fid`,
and `pip install --no-deps hpsv2 clint args`, since hpsv2 wants old versions of other packages.

torchvision's published wheel is built for CUDA. Beside a torch for the CPU its operators do not
load, and importing it fails where it describes them. No measure uses one, so their names are
enough.
"""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

_defined: list[torch.library.Library] = []


def name_operators() -> None:
    """Define the names of torchvision's operators, unless they are there."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or _defined:
        return
    folder = Path(spec.submodule_search_locations[0])
    if not torch.cuda.is_available() and torch.version.cuda is None:
        files = folder.rglob("*.py")
        names = {n for path in files for n in re.findall(r"torchvision::(\w+)", path.read_text())}
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in sorted(names):
            library.define(f"{name}(Tensor x) -> Tensor")
        _defined.append(library)


def need(*packages: str) -> None:
    """Skip the test without one of these packages."""
    name_operators()
    for package in packages:
        reason = f"{package} is not installed; see tests/support/metric_packages.py"
        pytest.importorskip(package, reason=reason)
