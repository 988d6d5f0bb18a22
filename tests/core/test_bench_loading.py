"""Reading and converting weights: what is measured, and that a large pickle is read piecemeal."""

from types import SimpleNamespace

import pytest
import torch

from pixwizard_core.bench import loading
from pixwizard_core.errors import CheckpointError, PixWizardError
from pixwizard_core.weights import weightfile
from tests.support.tiny import tiny_config

pytest.importorskip("resource", reason="this system does not tell the memory of a process")


def in_this_process(run, *arguments):
    """What loading._apart does, without the seconds that a new process takes to begin."""
    reports = []
    loading._report(SimpleNamespace(send=reports.append), run, arguments)
    return reports[0]


def test_compare_measures_each_action_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_apart", in_this_process)
    found = loading.compare(tiny_config(), tmp_path)
    assert [one.action.split()[0] for one in found] == ["read", "load", "convert"]
    assert all(one.seconds > 0 for one in found)
    assert "convert fp32 .pth to bf16" in loading.table(found)
    assert not list(tmp_path.iterdir())


def test_compare_refuses_a_full_disk(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(loading.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(PixWizardError, match="Set TMPDIR to a larger disk"):
        loading.compare(tiny_config(), tmp_path)


def test_a_mapped_pickle_is_opened_anew_and_gives_the_same(tmp_path, monkeypatch):
    weights = {f"w{i}": torch.full((64,), float(i)) for i in range(8)}
    torch.save(weights, tmp_path / "a.pth")
    monkeypatch.setattr(weightfile, "MAPPED_BYTES", 500)
    opened, unpickle, times = weightfile.open_weights(tmp_path / "a.pth"), weightfile.unpickle, []
    monkeypatch.setattr(weightfile, "unpickle", lambda path: times.append(path) or unpickle(path))
    read = {name: opened.fetch(name) for name in weights}
    assert all(torch.equal(read[name], weights[name]) for name in weights)
    assert len(times) == 3  # after every second tensor of 256 bytes


def test_a_pickle_that_changed_meanwhile_is_refused(tmp_path, monkeypatch):
    torch.save({"a": torch.ones(4), "b": torch.ones(4)}, tmp_path / "a.pth")
    monkeypatch.setattr(weightfile, "MAPPED_BYTES", 1)
    opened = weightfile.open_weights(tmp_path / "a.pth")
    opened.fetch("a")
    torch.save({"a": torch.ones(4), "b": torch.ones(5)}, tmp_path / "other.pth")
    (tmp_path / "other.pth").replace(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="changed while it was read"):
        opened.fetch("b")
