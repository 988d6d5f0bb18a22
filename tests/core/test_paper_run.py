"""All 58 numbers of the paper on small data in every layout, by an untrained model."""

import json
from importlib.util import find_spec

import pytest

from pixwizard_core import cli
from pixwizard_core.evaluation.layouts import generation
from tests.support.bundles import write_bundle
from tests.support.metric_networks import write_weights
from tests.support.metric_packages import name_operators
from tests.support.paper_data import write_paper_data

# Cells whose networks come from packages that may be missing, or whose weights are too large.
INCEPTION, VGG, HPS = (22, 25, 27, 29, 30, 31), (28,), (32,)


@pytest.mark.slow
def test_every_number_is_measured_on_small_data_and_the_same_again(tmp_path, capsys, monkeypatch):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    name_operators()
    for side in ("SIDE", "HPS_SIDE", "COCO_SIDE"):  # the real squares cost minutes
        monkeypatch.setattr(generation, side, 64)
    bundle = write_bundle(tmp_path / "bundle")
    data, weights = write_paper_data(tmp_path / "data", 2, 64), write_weights(tmp_path / "weights")
    command = ["evaluate", "paper", "--root", str(data), "--weights", str(weights), "--bundle",
               str(bundle), "--workers", "1", "--steps", "1", "--centre", "64"]  # fmt: skip
    tables = []
    for out in ("one", "one", "two"):  # again from what was kept, and again from nothing
        assert cli.main([*command, "--out", str(tmp_path / out)]) == 0
        tables.append((tmp_path / out / "paper.json").read_text(encoding="utf-8"))
    assert tables[0] == tables[1] == tables[2]
    cells = {cell["cell"]: cell for cell in json.loads(tables[0])["cells"]}
    missing = {number: cell["missing"] for number, cell in cells.items() if cell["missing"]}
    wanted = dict.fromkeys(HPS, "weight")
    if not find_spec("torch_fidelity"):
        wanted |= dict.fromkeys(INCEPTION, "weight")
    if not (find_spec("torchvision") and find_spec("torchmetrics")):
        wanted |= dict.fromkeys(VGG, "weight")
    assert missing == wanted
    assert "measured before" in capsys.readouterr().err
