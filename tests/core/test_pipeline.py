"""The pipeline: any pictures in, pictures of the same size out."""

import dataclasses

import pytest
import torch

from pixwizard_core.canvas import plan
from pixwizard_core.canvas.buckets import bucket_table
from pixwizard_core.errors import CanvasError
from pixwizard_core.generate import SampleSettings, extrapolation, trained_centre
from pixwizard_core.model import RopeScaling
from pixwizard_core.pipeline import Request, run, settings_for
from tests.support.tiny import tiny_bundle


@pytest.fixture(scope="module")
def bundle():
    return tiny_bundle()


@pytest.mark.parametrize(
    "shape", [(1, 3, 128, 128), (2, 4, 97, 211), (1, 1, 17, 40), (1, 3, 1, 1), (1, 3, 12, 700)]
)
def test_result_has_the_size_of_the_source(bundle, shape):
    result = run(bundle, Request(torch.rand(shape), "Draw the depth of the scene."))
    assert result.image_01.shape == (shape[0], 3, *shape[2:])
    assert 0 <= float(result.image_01.min()) <= float(result.image_01.max()) <= 1
    assert all(side % 16 == 0 for side in result.model_image_01.shape[2:])


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_every_fit_comes_back(bundle, fit):
    result = run(bundle, Request(torch.rand(1, 3, 60, 200), "x", fit=fit))
    assert result.image_01.shape == (1, 3, 60, 200)


def test_picture_in_a_batch_equals_picture_alone(bundle):
    images = torch.rand(2, 3, 64, 96)
    words = ["Draw the depth of the scene.", "a longer sentence about a red ball and a blue cube"]
    settings = dataclasses.replace(bundle.settings, w_text=2.0, tokens="gumbel")
    both = run(bundle, Request(images, words, seeds=[4, 11], settings=settings))
    alone = run(bundle, Request(images[1:], words[1], seeds=11, settings=settings))
    assert torch.allclose(both.latent[1:], alone.latent, atol=1e-3)


def test_encoded_pictures_serve_another_instruction(bundle, monkeypatch):
    images = torch.rand(2, 3, 70, 90)
    first = run(bundle, Request(images, "Draw the depth of the scene."))
    wanted = run(bundle, Request(images, "Mark the red ball.", seeds=3))
    monkeypatch.setattr(type(bundle.vision), "encode", None)  # a call would fail
    request = Request(images, "Mark the red ball.", seeds=3, encoded=first.encoded)
    assert torch.equal(run(bundle, request).image_01, wanted.image_01)


def test_encoded_pictures_of_another_request_are_refused(bundle):
    encoded = run(bundle, Request(torch.rand(1, 3, 128, 128), "x")).encoded
    told = r"1 pictures of 128 x 128 px, but the request has 2 of 128 x 128 px.*leave encoded out"
    with pytest.raises(CanvasError, match=told):
        run(bundle, Request(torch.rand(2, 3, 128, 128), "x", encoded=encoded))
    with pytest.raises(CanvasError, match=r"the request has 1 of 192 x 80 px"):
        run(bundle, Request(torch.rand(1, 3, 60, 150), "x", encoded=encoded))


def test_progress_counts_every_step(bundle):
    seen = []
    run(
        bundle,
        Request(torch.rand(1, 3, 32, 32), ""),
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_unusable_input_is_refused_with_what_was_met(bundle):
    with pytest.raises(CanvasError, match="image is empty; give at least one picture"):
        run(bundle, Request(torch.rand(0, 3, 32, 32), "x"))
    with pytest.raises(CanvasError, match="2 instructions for 3 pictures"):
        run(bundle, Request(torch.rand(3, 3, 32, 32), ["a", "b"]))
    with pytest.raises(CanvasError, match="1 seeds for 2 pictures"):
        run(bundle, Request(torch.rand(2, 3, 32, 32), "a", seeds=[3]))
    with pytest.raises(CanvasError, match="image"):
        run(bundle, Request(torch.full((1, 3, 32, 32), float("nan")), "a"))


def test_beyond_the_trained_size_positions_are_scaled():
    settings = SampleSettings(centre=128)
    inside = settings_for(plan(500, 400, (128,)), (128,), settings)
    assert inside.rope == RopeScaling()
    canvas = plan(500, 500, (256,))
    assert canvas.model == (256, 256)
    beyond = settings_for(canvas, (128,), settings)
    assert beyond.rope.factor == 2.0
    assert beyond.base_seqlen == 64  # attention stays relative to the trained 8 x 8 tokens
    chosen = dataclasses.replace(settings, rope=RopeScaling(1.5, 0.1))
    assert settings_for(plan(500, 400, (256,)), (128,), chosen).rope == RopeScaling(1.5, 0.1)


@pytest.mark.parametrize(
    ("centre", "base"), [(512, 32**2), (768, 48**2), (1024, 64**2), (640, 48**2), (1536, 64**2)]
)
def test_released_model_uses_the_base_of_the_size_it_works_at(centre, base):
    canvas = plan(700, 700, (centre,))
    assert settings_for(canvas, (512, 768, 1024), SampleSettings()).base_seqlen == base


def test_every_candidate_size_belongs_to_its_own_centre():
    for centre in (512, 768, 1024):
        for width, height in bucket_table(centre):
            assert trained_centre(width * height // 256, (512, 768, 1024)) == centre


def test_trained_centre_by_hand():
    assert [trained_centre(n, (512, 768, 1024)) for n in (1, 1024, 1025, 2304, 2305, 9999)] == [
        512, 512, 768, 768, 1024, 1024
    ]  # fmt: skip
    assert extrapolation(4096, (512, 1024)) == RopeScaling()
    assert extrapolation(4 * 4096, (512, 1024)).factor == 2.0
