"""pixwizard evaluate paper: what is measured, what is missing, and going on."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file

from pixwizard_core import cli
from pixwizard_core.config import TINY
from pixwizard_core.evaluation import paper
from pixwizard_core.evaluation.cells import paper_cells
from pixwizard_core.evaluation.paper import MEASURED, NO_DATA, CellResult
from pixwizard_core.evaluation.paper_table import cells_table, missing_lines
from pixwizard_core.taught import taught_header
from pixwizard_core.weights.checkpoint import open_checkpoint, save
from tests.support.bundles import write_bundle
from tests.support.dataset_files import put


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "b"))


def run(root, out, bundle, *more):
    return cli.main(["evaluate", "paper", "--root", str(root), "--out", str(out), "--bundle",
                     bundle, "--workers", "1", *more])  # fmt: skip


def cells(out):
    content = json.loads((out / "paper.json").read_text(encoding="utf-8"))
    return {cell["cell"]: cell for cell in content["cells"]}


def some_data(root):
    for name in ("1", "2"):
        put(root / "sots" / "outdoor" / "hazy" / f"000{name}_0.8_0.2.jpg", 0.6, 32)
        put(root / "sots" / "outdoor" / "gt" / f"000{name}.png", 0.4, 32)
    put(root / "emu-edit" / "a.png", 0.3, 32)
    line = {"instruction": "x", "input_caption": "a", "output_caption": "b", "file_name": "a.png"}
    (root / "emu-edit" / "metadata.jsonl").write_text(json.dumps(line), encoding="utf-8")
    (root / "uieb").mkdir()
    return root


def test_without_data_every_cell_says_where_it_comes_from(tmp_path, bundle, capsys):
    assert run(tmp_path, tmp_path / "out", bundle) == 0
    out = capsys.readouterr().out
    assert "0 of 58 cells measured" in out
    assert sum(line.startswith("| ") for line in out.splitlines()) == 59
    assert "data (cells 35-36): no folder sots or SOTS or RESIDE in" in out
    assert "sites.google.com/view/reside-dehaze-datasets" in out
    found = cells(tmp_path / "out")
    assert {cell["missing"] for cell in found.values()} == {"data"}
    assert found[31]["source"] == "cocodataset.org (val2014, annotations)"


def test_cells_are_measured_missing_a_weight_or_missing_data(tmp_path, bundle, capsys):
    root = some_data(tmp_path / "data")
    only = ("--only", "sots,emu-edit,uieb")
    assert run(root, tmp_path / "out", bundle, *only) == 0
    out = capsys.readouterr().out
    found = cells(tmp_path / "out")
    assert [n for n, cell in found.items() if cell["measured"] is not None] == [14, 35, 36]
    assert [found[n]["missing"] for n in (11, 15, 43)] == ["weight", "weight", "data"]
    assert found[35]["difference"] == pytest.approx(found[35]["measured"] - 28.14)
    assert found[35]["pictures"] == 2
    assert "weight (cells 11-13): weight clip-vit-base-patch32/ (605 MB)" in out
    assert "needs raw-890/*.png" in out
    assert "Found there: nothing" in out
    assert "sots: PSNR and SSIM in RGB without a crop" in out
    assert run(root, tmp_path / "out", bundle, *only) == 0
    again = capsys.readouterr()
    assert "sots-test: measured before" in again.err
    assert again.out == out
    put(root / "sots" / "outdoor" / "hazy" / "0003_0.8_0.2.jpg", 0.6, 32)
    put(root / "sots" / "outdoor" / "gt" / "0003.png", 0.4, 32)
    assert run(root, tmp_path / "out", bundle, *only) == 0
    assert cells(tmp_path / "out")[35]["pictures"] == 3


def test_a_task_that_the_model_was_not_taught_is_missing_its_model(tmp_path, capsys):
    put(tmp_path / "data" / "gopro" / "input" / "1.png", 0.5, 32)
    put(tmp_path / "data" / "gopro" / "target" / "1.png", 0.5, 32)
    folder = write_bundle(tmp_path / "b")
    path = folder / "dit.safetensors"
    config, state = open_checkpoint(path).config, load_file(path)
    save(path, state, config, taught_header(["derain"]))
    assert run(tmp_path / "data", tmp_path / "out", str(folder), "--only", "gopro") == 0
    assert "was not taught deblur; give the released one" in capsys.readouterr().out
    assert cells(tmp_path / "out")[39]["missing"] == "model"


def test_a_switched_off_part_changes_the_numbers_and_is_said(tmp_path, bundle, capsys):
    root = some_data(tmp_path / "data")
    values, keys = {}, set()
    for part in ("", "no-image-tokens", "no-image-latent", "all-tokens"):
        more = ("--only", "sots", *(("--ablate", part) if part else ()))
        assert run(root, tmp_path / f"out{part}", bundle, *more) == 0
        values[part] = cells(tmp_path / f"out{part}")[35]["measured"]
        index = tmp_path / f"out{part}" / "sots-test" / "index.jsonl"
        keys.add(json.loads(index.read_text(encoding="utf-8").splitlines()[0])["key"])
    out = capsys.readouterr().out
    assert "Switched off: no image tokens, only the image latent; table 4 trained M1 so" in out
    assert "“w/o two-stage” of table 4 is another training and no switch" in out
    assert len(keys) == 4
    assert len({values[""], values["no-image-tokens"], values["no-image-latent"]}) == 3


def test_an_interrupted_run_leaves_its_table_and_goes_on(tmp_path, bundle, capsys, monkeypatch):
    root, real = some_data(tmp_path / "data"), paper._scores

    def interrupted(run, one, folder):
        if one.data == "sots":
            raise KeyboardInterrupt
        return real(run, one, folder)

    monkeypatch.setattr(paper, "_scores", interrupted)
    only = ("--only", "sots,emu-edit,uieb")
    assert run(root, tmp_path / "out", bundle, *only) == 130
    assert "paper.md; the same command goes on" in capsys.readouterr().err
    found = cells(tmp_path / "out")
    assert found[14]["measured"] is not None
    assert [found[n]["missing"] for n in (15, 35, 43)] == ["weight", "not yet", "not yet"]
    monkeypatch.setattr(paper, "_scores", real)
    assert run(root, tmp_path / "out", bundle, *only) == 0
    assert cells(tmp_path / "out")[14] == found[14]
    assert cells(tmp_path / "out")[35]["measured"] is not None


def test_a_set_that_the_system_cannot_read_does_not_stop_the_others(tmp_path, bundle, monkeypatch):
    root, real = some_data(tmp_path / "data"), paper._scores

    def denied(run, one, folder):
        if one.data == "emu-edit":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(run, one, folder)

    monkeypatch.setattr(paper, "_scores", denied)
    assert run(root, tmp_path / "out", bundle, "--only", "sots,emu-edit") == 0
    found = cells(tmp_path / "out")
    assert (found[14]["missing"], found[35]["missing"]) == ("failed", "")
    assert found[14]["why"].endswith("emu-edit: Permission denied")


def test_a_damaged_input_is_counted_and_named(tmp_path, bundle, capsys):
    root = some_data(tmp_path / "data")
    (root / "sots" / "outdoor" / "hazy" / "0002_0.8_0.2.jpg").write_bytes(b"\xff\xd8 no more")
    assert run(root, tmp_path / "out", bundle, "--only", "sots") == 0
    assert cells(tmp_path / "out")[35]["pictures"] == 1
    found = re.search(r"- cells 35-36: 1 picture failed: (.*)", capsys.readouterr().out)
    assert found
    assert "0002_0.8_0.2" in found[1]
    assert "cannot be read" in found[1]


def test_a_part_of_the_pictures_is_said_and_not_kept_for_all(tmp_path, bundle, capsys):
    root = some_data(tmp_path / "data")
    assert run(root, tmp_path / "out", bundle, "--only", "sots", "--shard", "1/2") == 0
    assert "Only part 1/2 of the pictures; omit --shard for all." in capsys.readouterr().out
    assert run(root, tmp_path / "out", bundle, "--only", "sots") == 0
    assert cells(tmp_path / "out")[35]["pictures"] == 2


def test_another_setting_is_measured_by_itself(tmp_path, bundle):
    root = some_data(tmp_path / "data")
    values = []
    for seed in ("0", "1", "0"):
        assert run(root, tmp_path / "out", bundle, "--only", "sots", "--seed", seed) == 0
        values.append(cells(tmp_path / "out")[35]["measured"])
    assert values[0] == values[2] != values[1]


def test_a_picture_of_a_list_is_missing_what_the_list_lacks(tmp_path, bundle):
    from tests.support.metric_networks import clip_folder

    root = tmp_path / "data" / "magicbrush"
    put(root / "images" / "7" / "7-input.png", 0.3, 32)
    put(root / "images" / "7" / "7-output1.png", 0.4, 32)
    turns = [{"input": "7-input.png", "output": "7-output1.png", "instruction": "x"}]
    (root / "edit_turns.json").write_text(json.dumps(turns), encoding="utf-8")
    clip_folder(tmp_path / "w" / "clip-vit-base-patch32")
    assert run(tmp_path / "data", tmp_path / "out", bundle, "--only", "magicbrush", "--weights",
               str(tmp_path / "w")) == 0  # fmt: skip
    found = cells(tmp_path / "out")
    assert found[17]["missing"] == ""
    assert (found[16]["missing"], found[18]["missing"]) == ("data", "data")
    assert "nothing to compare with (captions" in found[18]["why"]


def test_the_zero_shot_sets_show_their_words(tmp_path, bundle, capsys):
    assert run(tmp_path, tmp_path / "out", bundle, "--only", "toled,uieb") == 0
    assert "- uieb, zero-shot: Restore the colours and the contrast" in capsys.readouterr().out


def test_unknown_names_are_refused_with_those_there_are(tmp_path, bundle, capsys):
    assert run(tmp_path, tmp_path / "out", bundle, "--only", "table4") == 2
    assert "--only knows no 'table4'; it takes table1, table2" in capsys.readouterr().err
    assert run(tmp_path / "gone", tmp_path / "out", bundle) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_the_table_says_which_way_a_difference_points():
    lower, higher = paper_cells()[0], paper_cells()[4]
    text = cells_table([
        CellResult(lower, MEASURED, 0.3, count=5), CellResult(higher, MEASURED, 39.0, count=5),
        CellResult(lower, NO_DATA, why="gone"),
    ])  # fmt: skip
    rows = text.splitlines()[2:]
    assert "| 0.287 | 0.300 | +0.013 (worse) | 5 |" in rows[0]
    assert "| 38.67 | 39.00 | +0.33 (better) | 5 |" in rows[1]
    assert rows[2].endswith("| – | – | – | data |")


def test_missing_things_are_told_once_with_their_cells():
    some = [CellResult(cell, NO_DATA, why="gone") for cell in paper_cells()[4:8]]
    assert missing_lines(some) == ["data (cells 5-8): gone"]


def test_the_weights_command_lists_what_is_there(tmp_path, capsys):
    (tmp_path / "dino-vits16").mkdir()
    assert cli.main(["evaluate", "weights", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| dino | dino-vits16/ | 87 MB | dino-vits16 | huggingface.co/facebook/dino" in out
    assert "| lpips_vgg | vgg16-397923af.pth or vgg16.safetensors | 528 MB | no |" in out


def test_paper_help_fits_two_screens(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    for kind in ("paper", "data"):
        with pytest.raises(SystemExit):
            cli.main(["evaluate", kind, "--help"])
        assert len(capsys.readouterr().out.splitlines()) <= 100


def test_a_tiny_condition_can_leave_either_part_out():
    from pixwizard_core.conditioning import Condition

    ones = Condition(
        torch.ones(1, 2, TINY.cap_feat_dim), torch.ones(1, 2, dtype=torch.bool),
        torch.ones(1, TINY.cap_clip_feat_dim), torch.ones(1, 4, TINY.image_feat_dim),
        torch.ones(1, dtype=torch.bool), torch.ones(1, 4, 2, 2),
    )  # fmt: skip
    noise = torch.zeros(1, 4, 2, 2)
    latent_only = ones.without_part("image_tokens", noise)
    assert not latent_only.has_image.any()
    assert latent_only.image_tokens.sum() == 0
    assert latent_only.image_latent.min() == 1
    tokens_only = ones.without_part("image_latent", noise)
    assert tokens_only.has_image.all()
    assert tokens_only.image_tokens.min() == 1
    assert tokens_only.image_latent.max() == 0


def test_results_of_a_damaged_file_are_measured_again(tmp_path):
    (tmp_path / "scores.json").write_text("{", encoding="utf-8")
    assert paper._kept(tmp_path / "scores.json", "m") is None
