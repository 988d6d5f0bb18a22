"""Masks of text tokens, as they are after other nodes joined conditionings."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="module")
def tokens_used(extension):
    return extension("nodes.model.text_masks").tokens_used


def text(*used, width=3):
    """Features (1, T, width): ones, and zeros where the token is padding."""
    return torch.tensor(used, dtype=torch.float32).view(1, -1, 1).expand(-1, -1, width)


def test_mask_of_the_texts_length_is_taken_as_it_is(tokens_used):
    mask = torch.tensor([[1.0, 0.0, 1.0]])
    assert tokens_used(text(1, 1, 1), mask).tolist() == [[1, 0, 1]]
    assert tokens_used(text(1, 1, 1), mask[:, None]).tolist() == [[1, 0, 1]]
    assert tokens_used(text(1, 1, 1), mask).dtype == torch.int64


def test_without_a_mask_every_token_is_used(tokens_used):
    assert tokens_used(text(1, 0, 1), None).tolist() == [[1, 1, 1]]


def test_appended_tokens_are_used_unless_they_are_padding(tokens_used):
    joined = torch.cat([text(1, 1, 0, 0), text(1, 1, 1, 0)], 1)
    assert tokens_used(joined, torch.tensor([[1, 1, 0, 0]])).tolist() == [[1, 1, 0, 0, 1, 1, 1, 0]]


def test_one_mask_serves_a_batch_of_joined_texts(tokens_used):
    joined = text(1, 1, 1, 0).expand(2, -1, -1)
    assert tokens_used(joined, torch.tensor([[0, 1]])).tolist() == [[0, 1, 1, 0]] * 2


@pytest.mark.parametrize("shape", [(1, 5), (2, 3), (3, 1)])
def test_other_masks_are_refused_naming_the_nodes(tokens_used, extension, shape):
    error = extension("pixwizard_core.errors").EncoderError
    with pytest.raises(error, match=r"4 text tokens and a mask .*ConditioningConcat"):
        tokens_used(text(1, 1, 1, 1), torch.ones(shape))


def test_text_without_any_token_is_refused(tokens_used, extension):
    error = extension("pixwizard_core.errors").EncoderError
    with pytest.raises(error, match="at least one token to use"):
        tokens_used(text(1, 1), torch.zeros(1, 2))
