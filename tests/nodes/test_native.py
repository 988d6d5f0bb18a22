"""Parts of the native model that need no host: drawing image tokens."""

from __future__ import annotations

import copy

import pytest
import torch

SHAPE = (3, 5)  # layers, tokens


@pytest.fixture
def draws(extension):
    return extension("nodes.model.token_draws").TokenDraws(7)


def two_evaluations(draws, batches, has_image=(True, True)) -> list[torch.Tensor]:
    """What each evaluation of a run draws, its branches computed in these batches of one
    picture."""
    found = []

    def once():
        parts = {}
        for batch in batches:
            pictured = torch.tensor([has_image[branch] for branch in batch])
            noise = draws.of_batch(batch, pictured, SHAPE)
            parts |= dict(zip(batch, noise.unbind(1), strict=True))
        found.append(torch.stack([parts[branch] for branch in sorted(parts)]))

    draws.run(lambda: [draws.evaluate(once) for _ in range(2)])
    return found


def test_noise_follows_the_cores_order(draws, extension):
    noise = extension("pixwizard_core.model").gumbel_noise
    generator = torch.Generator().manual_seed(7)
    wanted = [torch.stack([noise(SHAPE, generator) for _ in range(2)]) for _ in range(2)]
    for batches in ([[0, 1]], [[1, 0]], [[0], [1]], [[1], [0]]):
        found = two_evaluations(draws, batches)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True)), batches


def test_pictures_draw_from_seeds_of_their_own(draws, extension):
    both = draws.of_batch([0], torch.tensor([True, True]), SHAPE)
    second = extension("nodes.model.token_draws").TokenDraws(8)
    assert torch.equal(both[:, 1:], second.of_batch([0], torch.tensor([True]), SHAPE))
    assert not torch.equal(both[:, 0], both[:, 1])


def test_rows_without_an_image_draw_nothing(draws):
    found = two_evaluations(draws, [[2, 1, 0]], (True, True, False))
    without = two_evaluations(draws, [[1, 0]])
    assert all(torch.equal(a[:2], b) for a, b in zip(found, without, strict=True))
    assert not found[0][2].any()


def test_a_failed_run_leaves_nothing_behind(draws):
    def fail():
        draws.noise(0, 1, SHAPE)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        draws.run(fail)
    first, again = (two_evaluations(draws, [[0]]) for _ in range(2))
    assert torch.equal(first[0], again[0])


def test_a_copied_model_keeps_its_draws(draws):
    """The host copies a model's options deeply, its wrappers not: both must stay one object."""
    assert copy.deepcopy({"a": draws})["a"] is draws


def test_the_largest_seed_is_taken(extension):
    made = extension("nodes.model.token_draws").TokenDraws(2**64 - 1)
    assert made.noise(0, 2, SHAPE).shape == (3, 2, 5)


@pytest.mark.parametrize("centre", [128, 512, 640, 768, 1024, 1536, 2048])
@pytest.mark.parametrize("size", [(640, 640), (1920, 1080), (300, 2000), (4000, 3000)])
def test_nodes_and_pipeline_agree_on_attention_and_positions(extension, centre, size):
    """One function decides for both; a 640 px canvas once had two bases."""
    core, transformer = extension("pixwizard_core.pipeline"), extension("nodes.model.transformer")
    settings = extension("pixwizard_core.generate").SampleSettings()
    trained = extension("pixwizard_core.canvas").CENTRES
    canvas = extension("pixwizard_core.canvas").plan(*size, (centre,))
    by_pipeline = core.settings_for(canvas, trained, settings)
    width, height = canvas.model
    by_node = transformer.RunOptions(trained).for_tokens(width * height // 256)
    assert by_node == (by_pipeline.rope, by_pipeline.base_seqlen)
