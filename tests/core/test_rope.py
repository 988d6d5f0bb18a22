"""Rotary positions."""

import math

import pytest
import torch

from pixwizard_core.model.rope import (
    RopeScaling,
    frequencies,
    pad_table,
    rope_table,
    rotate,
    rotate_real,
)


def test_first_frequency_turns_one_radian_per_row_and_column():
    cos, sin = rope_table(3, 2, 8, RopeScaling(), t=1.0).unbind(-1)
    row_two_col_one = 2 * 2 + 1
    assert cos[row_two_col_one, 0] == pytest.approx(math.cos(2.0))  # row
    assert sin[row_two_col_one, 1] == pytest.approx(math.sin(1.0))  # column
    # Head width 8 has two frequencies per axis: 1 and 10000^(-4/8) = 0.01.
    assert sin[row_two_col_one, 2] == pytest.approx(math.sin(0.02), rel=1e-5)


def test_rotate_by_hand_a_quarter_turn():
    table = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])  # pair 0 turns 90 degrees, pair 1 stays
    x = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]])
    assert rotate(x, table).flatten().tolist() == [-2.0, 1.0, 3.0, 4.0]


def test_rotate_keeps_norm_and_type():
    x = torch.randn(2, 6, 3, 8, dtype=torch.bfloat16)
    turned = rotate(x, rope_table(2, 3, 8, RopeScaling(), t=0.5))
    assert turned.dtype == torch.bfloat16
    assert torch.allclose(turned.float().norm(dim=-1), x.float().norm(dim=-1), rtol=2e-2)


def test_scores_depend_on_distance_only():
    table = rope_table(6, 6, 16, RopeScaling(), t=1.0)
    q, k = torch.randn(2, 1, 36, 1, 16).unbind(0)
    q, k = q[:, :1].expand(-1, 36, -1, -1), k[:, :1].expand(-1, 36, -1, -1)
    scores = torch.einsum("blnd,bmnd->lm", rotate(q, table), rotate(k, table))
    here, there = 1 * 6 + 1, 3 * 6 + 2  # two rows down, one column right of each other
    moved_here, moved_there = 2 * 6 + 3, 4 * 6 + 4
    assert scores[here, there] == pytest.approx(float(scores[moved_here, moved_there]), abs=1e-4)


def test_linear_below_the_watershed_and_ntk_from_it_on():
    scaling = RopeScaling(factor=2.0, watershed=0.3)
    plain = frequencies(16, RopeScaling(), 0.0)
    assert torch.equal(frequencies(16, scaling, 0.29), plain / 2)
    at = frequencies(16, scaling, 0.3)
    assert at[0] == plain[0]  # NTK leaves the fastest frequency alone
    assert at[-1] == pytest.approx(1 / 20000 ** (12 / 16), rel=1e-6)


def test_padding_repeats_the_last_position():
    table = rope_table(2, 2, 8, RopeScaling(), t=1.0)
    padded = pad_table(table, 6)
    assert padded.shape == (6, 4, 2)
    assert torch.equal(padded[4], table[3])
    assert torch.equal(padded[5], table[3])


def test_rotating_without_complex_numbers_agrees():
    x, table = torch.randn(2, 6, 3, 8), rope_table(2, 3, 8, RopeScaling(), t=0.5)
    pairs = x.unflatten(-1, (-1, 2))
    real = rotate_real(pairs, table.unsqueeze(-3)).flatten(-2)
    assert torch.allclose(rotate(x, table), real, atol=1e-6)
