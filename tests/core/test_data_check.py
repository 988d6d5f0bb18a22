"""Checking a list of pairs: each kind of fault is found, and its row is named."""

import pytest
import torch
import torch.nn.functional as F

from pixwizard_core.data.check import check_pairs
from pixwizard_core.data.pairs import InstructionPair
from pixwizard_core.data.sheet import contact_sheet
from pixwizard_core.errors import PixWizardError
from pixwizard_core.files.picture_files import save_picture


def picture(seed, height=64, width=80):
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


@pytest.fixture
def pair(tmp_path):
    """A function that writes two pictures and gives their pair."""

    def make(number, before=None, after=None, **changed):
        paths = []
        for name, shown, seed in (("in", before, 2 * number), ("out", after, 2 * number + 1)):
            path = tmp_path / f"{number}_{name}.png"
            save_picture(path, picture(seed) if shown is None else shown)
            paths.append(path)
        values = {"instructions": ("Derain",), "where": f"row {number}", **changed}
        return InstructionPair(*paths, **values)

    return make


def kinds(report):
    return [(fault.kind, fault.where) for fault in report.faults]


def test_whole_pairs_have_no_fault(pair):
    report = check_pairs([pair(1), pair(2, width=80, height=64)], [pair(3)])
    assert report.lines() == ["3 pairs, no fault found"]


def test_missing_and_broken_files_are_told_apart(pair):
    one, two = pair(1), pair(2)
    one.input.unlink()
    two.target.write_bytes(b"no picture")
    assert kinds(check_pairs([one, two])) == [("missing", "row 1"), ("broken", "row 2")]


def test_tiny_targets_and_wrong_sizes_are_found(pair):
    pairs = [pair(1, picture(8, 30, 40), picture(9, 30, 40)), pair(2, width=80, height=60)]
    assert kinds(check_pairs(pairs, least=32)) == [("tiny", "row 1"), ("wrong size", "row 2")]


def test_input_of_other_proportions_is_found(pair):
    assert kinds(check_pairs([pair(1, picture(7, 64, 128))])) == [("unlike", "row 1")]


def test_same_pair_twice_and_unchanged_pairs_are_found(pair):
    one = pair(1)
    again = pair(2, picture(2), picture(3))
    other_words = pair(3, picture(2), picture(3), instructions=("No rain",))
    same = pair(4, picture(5), picture(5))
    found = kinds(check_pairs([one, again, other_words, same]))
    assert found == [("unchanged", "row 4"), ("duplicate", "row 2")]


def test_leak_is_found_in_another_size_and_kind_of_file(pair, tmp_path):
    train, held = pair(1), pair(2)
    assert kinds(check_pairs([train], [held])) == []
    smaller = F.interpolate(picture(3)[None], (48, 60), mode="bilinear", antialias=True)[0]
    save_picture(tmp_path / "copy.jpg", smaller)
    copied = InstructionPair(held.input, tmp_path / "copy.jpg", ("x",), where="held 1")
    report = check_pairs([train], [copied])
    assert kinds(report) == [("leak", "row 1")]
    assert report.faults[0].told == "1_out.png is also in held 1"


def test_blank_inputs_are_no_leak(pair):
    black = torch.zeros(3, 64, 80)
    assert kinds(check_pairs([pair(1, black)], [pair(2, black)])) == []


def test_faults_are_counted_by_kind(pair):
    pairs = [pair(number) for number in range(1, 8)]
    for one in pairs:
        one.target.unlink()
    (line,) = check_pairs(pairs).lines()
    assert line.startswith("missing: 7: row 1: there is no picture 1_out.png")
    assert line.endswith("…")


def test_contact_sheet_shows_input_and_target_of_a_pair(pair):
    red, blue = torch.zeros(3, 64, 64), torch.zeros(3, 64, 64)
    red[0], blue[2] = 1.0, 1.0
    sheet = contact_sheet([pair(1, red, blue)])
    assert sheet.shape == (3, 6 + 22 + 160 + 6, 6 + 160 + 6 + 160 + 6)
    assert sheet[:, 100, 80].tolist() == [1.0, 0.0, 0.0]
    assert sheet[:, 100, 250].tolist() == [0.0, 0.0, 1.0]
    assert float(sheet[:, 6:28, 6:100].min()) < 0.5  # words
    with pytest.raises(PixWizardError, match="at least one pair"):
        contact_sheet([])


def test_contact_sheet_draws_the_same_pairs_each_time(pair):
    pairs = [pair(number) for number in range(1, 6)]
    assert torch.equal(contact_sheet(pairs, 2), contact_sheet(pairs, 2))
    assert contact_sheet(pairs, 2).shape[2] < contact_sheet(pairs, 3).shape[2]
