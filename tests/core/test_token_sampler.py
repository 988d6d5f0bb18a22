"""Selection of image tokens."""

import torch

from pixwizard_core.model.token_sampler import (
    gumbel_noise,
    keep_indices,
    straight_through_weights,
    take,
)


def test_keeps_the_best_in_ascending_order():
    logits = torch.tensor([[0.1, 5.0, -1.0, 3.0]])
    assert keep_indices(logits, 2).tolist() == [[1, 3]]


def test_noise_can_overturn_the_order():
    logits, noise = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 2.0]])
    assert keep_indices(logits, 1, noise).tolist() == [[2]]


def test_more_wanted_than_there_are_keeps_all():
    assert keep_indices(torch.zeros(1, 3), 10).tolist() == [[0, 1, 2]]


def test_take_picks_rows():
    tokens = torch.arange(6.0).reshape(1, 3, 2)
    assert take(tokens, torch.tensor([[2, 0]])).tolist() == [[[4.0, 5.0], [0.0, 1.0]]]


def test_noise_has_the_moments_of_gumbel_and_follows_the_seed():
    noise = gumbel_noise((200_000,), torch.Generator().manual_seed(1))
    assert abs(float(noise.mean()) - 0.5772) < 0.01  # Euler's constant
    assert abs(float(noise.var()) - 1.6449) < 0.03  # pi^2 / 6
    assert torch.equal(noise, gumbel_noise((200_000,), torch.Generator().manual_seed(1)))


def test_weights_are_one_and_carry_the_softmax_gradient():
    logits = torch.tensor([[2.0, 0.0, 1.0]], requires_grad=True)
    weights = straight_through_weights(logits, torch.zeros(1, 3), torch.tensor([[0, 2]]))
    assert weights.tolist() == [[1.0, 1.0]]
    weights[0, 0].backward()
    p = (torch.tensor([2.0, 0.0, 1.0]) / 5).softmax(0)
    wanted = torch.stack([p[0] * (1 - p[0]), -p[0] * p[1], -p[0] * p[2]]) / 5
    assert torch.allclose(logits.grad[0], wanted, atol=1e-6)
