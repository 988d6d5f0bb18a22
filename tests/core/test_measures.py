"""Measures of answers on disk: values by hand, what is left out, and what is read back."""

import json
import math

import pytest
import torch

from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation.answer_files import AnswerFiles
from pixwizard_core.evaluation.layouts import LAYOUTS
from pixwizard_core.evaluation.measures import MEASURES, hps_total, mean_of_each
from pixwizard_core.evaluation.measuring import check_measures, measure
from pixwizard_core.evaluation.networks.weight_files import WeightFolder
from pixwizard_core.files.picture_files import save_mask, save_picture
from tests.support.dataset_files import put
from tests.support.metric_networks import clip_folder, dino_folder, inception_file, picture
from tests.support.metric_packages import need

NO_WEIGHTS = WeightFolder(None)


def shown(folder, name="a", answer=0.5, source=0.2, true=None, side=16, **truth):
    if true is not None:
        truth["file"] = str(put(folder / f"{name}_true.png", true, side))
    return AnswerFiles(name, f"key {name}", put(folder / f"{name}_answer.png", answer, side),
                 put(folder / f"{name}_source.png", source, side), truth)  # fmt: skip


def taken(several, names, out, weights=NO_WEIGHTS, layout="magicbrush", **more):
    return measure(several, names, weights, out, LAYOUTS[layout], **more)


def test_l1_is_taken_against_the_input_and_the_true_picture(tmp_path):
    found = taken([shown(tmp_path, answer=0.6, source=0.2, true=0.8)], ["l1"], tmp_path / "out")
    assert found.scores == {
        "l1_source": pytest.approx(0.4, abs=2e-3), "l1": pytest.approx(0.2, abs=2e-3),
    }  # fmt: skip


def test_a_mean_is_over_the_pictures_that_have_the_value():
    assert mean_of_each([{"a": 1.0}, {"a": 3.0, "b": 5.0}]) == {"a": 2.0, "b": 5.0}


def test_an_answer_is_compared_in_the_size_of_the_truth(tmp_path):
    one = shown(tmp_path, answer=0.6, true=0.6)
    put(tmp_path / "a_answer.png", 0.6, 40)
    assert taken([one], ["fidelity"], tmp_path / "out").scores["psnr_8bit_db"] == 100


def test_what_was_given_is_laid_over_an_answer_with_a_hole(tmp_path):
    hole = torch.zeros(16, 16, dtype=torch.bool)
    hole[:, 8:] = True
    save_mask(tmp_path / "hole.png", hole)
    one = shown(tmp_path, answer=1.0, true=0.2, hole=str(tmp_path / "hole.png"))
    assert one.answer[..., 8:].min() == 1
    assert one.answer[..., :8].max() == pytest.approx(0.2, abs=1e-3)
    # half of the pixels differ by 0.8
    assert taken([one], ["l1"], tmp_path / "out").scores["l1"] == pytest.approx(0.4, abs=2e-3)


def test_a_missing_weight_is_named_and_the_others_are_taken(tmp_path):
    found = taken([shown(tmp_path)], ["clip", "l1", "fid"], tmp_path / "out")
    assert list(found.scores) == ["l1_source"]
    assert "clip-vit-base-patch32/ (605 MB)" in found.missing["clip"]
    assert "torch-fidelity" in found.missing["fid"]


def test_an_unknown_measure_is_refused_with_those_there_are():
    with pytest.raises(PixWizardError, match=r"no measure 'fidd'; there are l1, fidelity"):
        check_measures(["l1", "fidd"])


def test_values_are_kept_and_read_back(tmp_path):
    several = [shown(tmp_path, name, answer=0.6) for name in ("a", "b")]
    before = taken(several, ["l1"], tmp_path / "out").scores
    for one in several:
        one.answer_file.unlink()  # nothing is opened again
    assert taken(several, ["l1"], tmp_path / "out").scores == before
    (tmp_path / "out" / "l1.jsonl").unlink()
    found = taken(several, ["l1"], tmp_path / "out")
    assert found.scores == {}
    assert found.lacking["l1"].startswith("2 answers are left out, the first: a (there is no pic")


def test_one_answer_that_cannot_be_read_is_left_out_and_named(tmp_path):
    several = [shown(tmp_path, name, answer=0.6, true=0.6) for name in ("a", "b", "c")]
    (tmp_path / "b_true.png").write_bytes(b"\x89PNG no more")
    found = taken(several, ["l1", "fidelity"], tmp_path / "out")
    assert found.scores["l1"] == pytest.approx(0, abs=1e-3)
    assert found.notes["l1"].startswith("1 answer is left out: b (b_true.png cannot be read")
    rows = (tmp_path / "out" / "l1.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["key"] for row in rows] == ["key a", "key c"]


def test_a_true_picture_that_cannot_be_read_stops_fid_alone(tmp_path, monkeypatch):
    weights = tmp_path / "w"
    weights.mkdir()
    (weights / "inception.safetensors").write_bytes(b"")
    monkeypatch.setattr("pixwizard_core.evaluation.set_measures.Inception", lambda *args: None)
    one = shown(tmp_path, answer=0.6, true=0.6)
    (tmp_path / "a_true.png").write_bytes(b"\x89PNG no more")
    found = taken([one], ["l1", "fid"], tmp_path / "out", WeightFolder(weights))
    assert found.lacking["fid"].endswith("replace this picture or take it out of the set")


def test_a_fid_of_one_answer_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("pixwizard_core.evaluation.measuring.measure_set",
                        lambda *args, **more: {"fid": math.nan, "is": 1.0})  # fmt: skip
    weights = tmp_path / "w"
    weights.mkdir()
    (weights / "inception.safetensors").write_bytes(b"")
    one = shown(tmp_path, answer=0.6, true=0.6)
    found = taken([one], ["fid", "is"], tmp_path / "out", WeightFolder(weights))
    assert found.scores == {"is": 1.0}
    assert found.lacking["fid"].endswith("Got: 1 and 1")
    assert found.notes["is"].startswith("IS of so few answers (1) lies far below that of a full")


def test_values_of_another_answer_are_taken_again(tmp_path):
    one = shown(tmp_path, answer=0.6)
    taken([one], ["l1"], tmp_path / "out")
    other = AnswerFiles(one.name, "another key", put(one.answer_file, 0.9), one.source_file, {})
    scores = taken([other], ["l1"], tmp_path / "out").scores
    assert scores["l1_source"] == pytest.approx(0.7, abs=2e-3)


def lines(path, column, side=48):
    image = torch.zeros(3, side, side)
    image[..., column:] = 1
    save_picture(path, image)


def test_canny_f1_is_over_all_answers_to_a_question(tmp_path):
    several = []
    for draw, column in enumerate((24, 24, 8, 8)):  # two right, two with the edge elsewhere
        one = shown(tmp_path, f"q{draw}", true=0, side=48, question="q", draw=draw)
        lines(tmp_path / f"q{draw}_answer.png", column)
        lines(tmp_path / f"q{draw}_true.png", 24)
        several.append(one)
    assert taken(several, ["canny_f1"], tmp_path / "out").scores == {"canny_f1": pytest.approx(0.5)}


def test_canny_f1_of_pictures_without_edges_is_nought(tmp_path):
    one = shown(tmp_path, answer=0.5, true=0.5, side=48)
    assert taken([one], ["canny_f1"], tmp_path / "out").scores == {"canny_f1": 0.0}


def test_hps_is_the_mean_of_parts_with_their_spread():
    rows = [{"hps_v2": 26.0}] * 80 + [{"hps_v2": 28.0}] * 80
    assert hps_total("hps_v2")(rows) == {"hps_v2": 27.0, "hps_v2_spread": 1.0}


def test_clip_gives_what_the_captions_and_pictures_allow(tmp_path):
    clip_folder(tmp_path / "w" / "clip-vit-base-patch32")
    dino_folder(tmp_path / "w" / "dino-vits16")
    captions = {"caption": "a red ball", "source_caption": "a ball"}
    several = [
        shown(tmp_path, "a", true=0.5, **captions),  # the answer is the true picture
        shown(tmp_path, "b", source=0.5, caption="same", source_caption="same"),
    ]
    found = taken(several, ["clip", "dino"], tmp_path / "out", WeightFolder(tmp_path / "w"))
    rows = [json.loads(line)["values"] for line in (tmp_path / "out" / "clip.jsonl").open()]
    assert set(rows[0]) == {"clip_source", "clip_image", "clip_out", "clip_dir"}
    assert rows[0]["clip_image"] == pytest.approx(1)
    assert set(rows[1]) == {"clip_source", "clip_out", "clip_dir"}
    assert rows[1]["clip_source"] == pytest.approx(1)  # nothing changed
    assert rows[1]["clip_dir"] == 0
    assert found.scores["dino"] == pytest.approx(1)
    assert found.notes == {"clip": "1 of 2 rows have equal captions; they give 0"}


@pytest.mark.slow
def test_fid_goes_on_where_it_was_stopped_and_is_the_same(tmp_path):
    need("torchvision", "torch_fidelity")
    from pixwizard_core.evaluation import set_measures

    (tmp_path / "w").mkdir()
    inception_file(tmp_path / "w")
    several = []
    for number in range(5):
        one = shown(tmp_path, f"p{number}", true=0)
        save_picture(one.answer_file, picture(number, 40, 40)[0])
        save_picture(one.truth["file"], picture(50 + number, 40, 40)[0])
        several.append(one)
    weights = WeightFolder(tmp_path / "w")
    whole = taken(several, ["fid", "is"], tmp_path / "one", weights, "places-outpaint")
    assert whole.scores["fid"] > 0
    assert whole.scores["is"] >= 1
    assert "5 answers" in whole.notes[0]

    def stop(done, total):
        if done > 7:  # after the real ones and part of the answers
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_measures, "AT_ONCE", 2)
        patch.setattr(set_measures, "KEEP_EVERY", 1)
        with pytest.raises(KeyboardInterrupt):
            taken(several, ["fid", "is"], tmp_path / "two", weights, "places-outpaint",
                  on_progress=stop)  # fmt: skip
        assert list((tmp_path / "two").glob("real-*.sums"))
        again = taken(several, ["fid", "is"], tmp_path / "two", weights, "places-outpaint")
        straight = taken(several, ["fid", "is"], tmp_path / "three", weights, "places-outpaint")
    assert again.scores == straight.scores
    assert again.scores["fid"] == pytest.approx(whole.scores["fid"], rel=1e-4)


def test_every_measure_that_a_layout_takes_is_there():
    for layout in LAYOUTS.values():
        check_measures(layout.metrics)
    assert set(MEASURES) >= {"l1", "clip", "clip_s", "dino", "hps_v2", "hps_v2.1"}
