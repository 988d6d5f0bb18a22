"""Which patches of other nodes have a place in the network, and which latents are the picture's."""

from __future__ import annotations

import types

import pytest
import torch

BLOCKS = 3


@pytest.fixture
def patches(extension):
    return extension("nodes.model.patches")


@pytest.fixture
def latents(extension):
    return extension("nodes.model.latents")


@pytest.fixture
def error(extension):
    return extension("pixwizard_core.errors").SamplingError


class FreeU:
    def patch(self):
        def output_block_patch(h, hsp, options):
            return h, hsp

        return output_block_patch


class TileObject:
    def __call__(self, *arguments):
        return arguments


def host_wrapped(function):
    """As the host keeps a guidance of three arguments."""

    def old_way(args):
        return function(args)

    old_way.__module__ = "comfy.model_patcher"
    return old_way


def test_patches_are_called_by_their_node(patches):
    function = FreeU().patch()
    assert patches.patch_name(function) == "FreeU"
    assert patches.patch_name(host_wrapped(function)) == "FreeU"
    assert patches.patch_name(TileObject()) == "TileObject"


def test_hooks_of_a_block_are_used(patches):
    look = FreeU().patch()
    options = {
        "patches": {"double_block": [look]},
        "patches_replace": {"dit": {("double_block", 0): look, ("double_block", 2): look}},
    }
    assert patches.unused_hooks(options, BLOCKS) == {}


def test_hooks_of_another_network_are_unused(patches):
    options = {
        "patches": {"output_block_patch": [FreeU().patch()], "attn1_patch": [TileObject()]},
        "patches_replace": {
            "attn2": {("middle", 0, 1): TileObject()},
            "dit": {("double_block", 3): TileObject(), ("single_block", 0): TileObject()},
        },
        "rope_options": {"scale_x": 2.0},
    }
    assert patches.unused_hooks(options, BLOCKS) == {
        "FreeU": ["output_block_patch"],
        "TileObject": [
            "attn1_patch", "attn2 middle 0 1", "dit double_block 3", "dit single_block 0",
        ],
        "ScaleROPE": ["rope_options"],
    }  # fmt: skip


def test_each_patch_is_named_once_in_a_run(patches, caplog):
    log, options = patches.RunLog(), {"patches": {"output_block_patch": [FreeU().patch()]}}
    for _ in range(2):
        patches.warn_unused(log, options, BLOCKS, None)
    assert [record.getMessage() for record in caplog.records] == [
        "PixWizard: FreeU patches output_block_patch; a PixWizard model of 3 blocks has no such "
        "place, so this part of FreeU changes nothing"
    ]
    log.begin()
    patches.warn_unused(log, options, BLOCKS, None)
    assert len(caplog.records) == 2


def test_long_lists_of_hooks_are_shortened(patches, caplog):
    places = {("single_block", number): TileObject() for number in range(9)}
    patches.warn_unused(patches.RunLog(), {"patches_replace": {"dit": places}}, BLOCKS, None)
    assert "dit single_block 3 and 5 more; a PixWizard model" in caplog.text


def test_guidance_is_patched_by_any_of_its_hooks(patches):
    assert not patches.guidance_is_patched({})
    assert not patches.guidance_is_patched({"sampler_cfg_function": patches.reference_cfg})
    assert not patches.guidance_is_patched({"sampler_post_cfg_function": []})
    for key in ("sampler_pre_cfg_function", "sampler_post_cfg_function"):
        assert patches.guidance_is_patched({key: [max]})
    for key in ("sampler_cfg_function", "sampler_calc_cond_batch_function"):
        assert patches.guidance_is_patched({key: max})


def test_reference_guidance_leaves_the_last_channel(patches):
    cond, uncond = torch.full((1, 4, 1, 1), 3.0), torch.ones(1, 4, 1, 1)
    guided = patches.reference_cfg({"cond": cond, "uncond": uncond, "cond_scale": 2.0})
    assert guided.flatten().tolist() == [5.0, 5.0, 5.0, 3.0]


def sampling(name="Sampling", denoised=None, scaled=1.0, time=1.0):
    """A model_sampling of the host, by what is asked of it. time: of sigma 1."""
    made = type(name, (), {})()
    made.multiplier = 1000.0
    made.calculate_denoised = denoised or (lambda sigma, out, x: x - sigma * out)
    made.calculate_input = lambda sigma, x: x * scaled
    made.timestep = lambda sigma: sigma * 1000.0 * time
    return made


def test_a_flow_is_taken(patches):
    patches.require_flow(sampling())


@pytest.mark.parametrize(
    "other",
    [
        {"denoised": lambda sigma, out, x: out},
        {"denoised": lambda sigma, out, x: x - 2 * sigma * out},
        {"scaled": 0.5},
        {"time": 0.7},
    ],
)
def test_the_sampling_of_another_model_is_refused(patches, error, other):
    with pytest.raises(error, match=r"Other is for another kind of model.* Remove that node"):
        patches.require_flow(sampling("Other", **other))


def test_a_sampling_without_its_parts_is_refused(patches, error):
    with pytest.raises(error, match="SimpleNamespace is for another kind"):
        patches.require_flow(types.SimpleNamespace())


@pytest.mark.parametrize(
    ("height", "width", "same"),
    [
        (16, 24, True),
        (17, 25, True),  # 12.5 x 1.4 and the like, rounded
        (12, 17, True),
        (4, 6, True),
        (9, 12, True),  # one cell off
        (10, 12, False),
        (8, 10, False),
        (12, 8, False),
        (24, 12, False),
        (1, 1, False),
    ],
)
def test_the_same_aspect_is_within_a_cell(latents, height, width, same):
    picture, noise = torch.zeros(1, 4, 8, 12), torch.zeros(1, 4, height, width)
    assert latents.same_aspect(picture, noise) is same


def test_another_shape_is_refused_with_both_sizes(latents, patches, error):
    picture, noise = torch.zeros(1, 4, 16, 16), torch.zeros(1, 4, 16, 32)
    with pytest.raises(
        error, match=r"picture of 128 x 128 px, but 256 x 128 px are being sampled.*use"
    ):
        latents.of_size(noise, picture, None, patches.RunLog())


def test_the_attached_part_goes_first_where_it_fits(latents, patches, monkeypatch):
    repeat = "repeat_to_batch_size"
    monkeypatch.setattr(latents.comfy.utils, repeat, lambda latent, count: latent, raising=False)
    noise, log = torch.zeros(1, 4, 2, 3), patches.RunLog()
    own, stock, small = torch.ones(1, 4, 2, 3), torch.zeros(1, 4, 2, 3), torch.ones(1, 4, 1, 1)
    assert latents.of_size(noise, own, stock, log) is stock
    assert latents.of_size(noise, own, small, log) is own
    assert latents.of_size(noise, None, stock, log) is stock
    assert latents.of_size(noise, None, None, log) is None
