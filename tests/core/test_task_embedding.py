"""Separation of labelled points by hand, and the study of instructions on small models."""

import json
import math

import pytest
import torch

from pixwizard_core import cli
from pixwizard_core.evaluation.separation import neighbour_accuracy, principal_plane, silhouette
from pixwizard_core.evaluation.task_embedding import sentences_of
from tests.support.bundles import write_bundle


def points(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_silhouette_is_that_worked_out_by_hand():
    # 0 and 1 against 4 and 6: within 1, 1, 2, 2; to the others 5, 4, 3.5, 5.5
    wanted = (4 / 5 + 3 / 4 + 1.5 / 3.5 + 3.5 / 5.5) / 4
    assert silhouette(points(0, 1, 4, 6), torch.tensor([0, 0, 1, 1])) == pytest.approx(wanted)


def test_silhouette_of_a_lone_point_is_nought():
    # 0 and 1 keep together (within 1; to the lone one 10 and 9)
    wanted = (9 / 10 + 8 / 9 + 0) / 3
    assert silhouette(points(0, 1, 10), torch.tensor([0, 0, 1])) == pytest.approx(wanted)


def test_silhouette_needs_two_labels():
    assert math.isnan(silhouette(points(0, 1), torch.tensor([3, 3])))


def test_silhouette_and_neighbours_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    random = torch.Generator().manual_seed(2)
    cloud = torch.randn(60, 5, generator=random) + torch.arange(60)[:, None] % 3
    labels = torch.arange(60) % 3
    theirs = metrics.silhouette_score(cloud.numpy(), labels.numpy())
    assert silhouette(cloud, labels) == pytest.approx(float(theirs), abs=1e-6)


def test_neighbours_vote_without_the_point_itself():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert neighbour_accuracy(points(0, 1, 2, 10, 11, 12), labels, 2) == 1
    # each point's two neighbours are of the other label, or one of each with the other nearer
    assert neighbour_accuracy(points(0, 0.4, 1, 1.4, 2, 2.4), torch.tensor([0, 1] * 3), 1) == 0
    assert math.isnan(neighbour_accuracy(points(0, 1), torch.tensor([0, 1]), 2))


def test_the_principal_plane_keeps_what_lies_in_a_plane():
    flat = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [3, 1, 0]])
    plane = principal_plane(flat)
    assert torch.allclose(torch.cdist(plane, plane), torch.cdist(flat, flat).double())


def test_sentences_of_a_task_differ_and_are_as_many_as_asked():
    found = sentences_of(["depth", "mask", "recolour"], 12)
    for task, least in (("depth", 8), ("mask", 12), ("recolour", 12)):
        mine = [text for text, name in zip(found.texts, found.tasks, strict=True) if name == task]
        assert least <= len(set(mine)) == len(mine) <= 12


def test_the_command_prints_and_writes_both_kinds(tmp_path, capsys):
    folder = write_bundle(tmp_path / "b")
    words = ["evaluate", "task-embedding", "--tasks", "depth,mask,derain", "--each", "6",
             "--bundle", str(folder), "--out", str(tmp_path / "out")]  # fmt: skip
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "18 sentences of 3 tasks" in out
    assert "| pooled text |" in out
    assert "| task embedding |" in out
    content = json.loads((tmp_path / "out" / "task_embedding.json").read_text(encoding="utf-8"))
    assert len(content["sentences"]) == 18
    assert set(content["sentences"][0]["places"]) == {"pooled text", "task embedding"}
    assert "PCA" in content["sentences"][0]["places"]["pooled text"]


def test_one_task_alone_is_refused(tmp_path, capsys):
    words = ["evaluate", "task-embedding", "--bundle", str(write_bundle(tmp_path / "b"))]
    assert cli.main([*words, "--tasks", "depth"]) == 2
    assert "at least two tasks" in capsys.readouterr().err
    assert cli.main([*words, "--each", "1"]) == 2
    assert "--each must be at least 2" in capsys.readouterr().err


@pytest.mark.slow
def test_the_bundled_model_keeps_tasks_apart(capsys):
    assert cli.main(["evaluate", "task-embedding", "--each", "8"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "ed" in line]
    embedded = next(row for row in rows if row[0].strip("| ") == "task embedding")
    assert float(embedded[3].strip(" |")) > 0.4  # of 39 tasks; by chance it would be 0.03
