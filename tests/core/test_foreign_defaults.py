"""Another extension may change torch's defaults for the whole process; the results stay."""

from contextlib import contextmanager
from dataclasses import fields

import pytest
import torch

from pixwizard_core.bundle import load_tiny
from pixwizard_core.decode.boxes import outline
from pixwizard_core.decode.depth import colourise, decode_depth, normalise
from pixwizard_core.decode.masks import (
    Cleanup,
    clean,
    decode_highlight,
    decode_highlight_hsv,
    decode_mask,
    mask_boxes,
)
from pixwizard_core.decode.normals import decode_normals
from pixwizard_core.decode.palette import tiny_world
from pixwizard_core.decode.segments import decode_segments, drop_speckles, paint
from pixwizard_core.pipeline import Request, run
from pixwizard_core.world.render import render
from pixwizard_core.world.scenes import sample_scenes


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(name):
    # What a forgotten device makes is on the meta device, where no number can be read.
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


FOREIGN = {
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    "meta": lambda: default_device("meta"),
    "grad": torch.enable_grad,
}


def scene():
    return render(sample_scenes(1, torch.Generator().manual_seed(3)), 64, 96)


def painted():
    picture = scene().rgb.float()
    result = run(load_tiny(), Request(picture, "Draw the depth of the scene.", seeds=[5]))
    return result.image_01, result.latent


def decoded():
    picture = scene().rgb.float()
    depth, mask = decode_depth(picture), decode_mask(picture, "otsu")
    segments = decode_segments(picture, tiny_world(), max_distance=60.0)
    wide = clean(mask, Cleanup(fill_holes=True, min_area=3, largest_only=True, grow=2, feather=1.5))
    return (
        depth, colourise(normalise(depth)), mask, wide, mask_boxes(mask > 0.5),
        decode_highlight(picture, picture.flip(-1), "red"), decode_highlight_hsv(picture, "red"),
        segments.labels, segments.distance, paint(segments.labels, tiny_world()),
        drop_speckles(segments.labels, 5), outline(picture, "red"), decode_normals(picture),
    )  # fmt: skip


def world():
    views = scene()
    return tuple(getattr(views, field.name) for field in fields(views))


CHAINS = {"painted": painted, "decoded": decoded, "world": world}


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("chain", CHAINS)
def test_results_under_foreign_defaults_are_the_same(chain, foreign):
    with torch.no_grad():
        wanted = CHAINS[chain]()
    with FOREIGN[foreign]():
        found = CHAINS[chain]()
    for one, other in zip(found, wanted, strict=True):
        assert (one.dtype, one.device) == (other.dtype, other.device)
        assert torch.equal(one, other)
