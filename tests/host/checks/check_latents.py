"""The picture that a condition holds and the latent that is sampled: one size, or said."""

from __future__ import annotations

import comfy.sample
import comfy.utils
import torch
from check_patches import by_sample, said
from small import LATENT, SCALE, SEED, STEPS, Small, close, refused

import nodes

EXACT = 1e-5
OTHER = (8, 6)  # half the width of Small's picture


def sized(small, height: int, width: int, batch: int | None = None) -> Small:
    """The same, sampled at another size."""
    small.empty_latent = torch.zeros(batch or small.batch, 4, height, width)
    small.noise = comfy.sample.prepare_noise(small.empty_latent, SEED)
    return small


def seen_latents(small, run) -> torch.Tensor:
    """Image latents of the last forward's rows that have a picture, in the host's scale."""
    seen, network = [], small.patcher.model.diffusion_model
    inner = network._forward

    def spy(x, *arguments, image_latent, has_image, **named):
        seen.append(image_latent[has_image.bool()] / SCALE)
        return inner(x, *arguments, image_latent=image_latent, has_image=has_image, **named)

    network._forward = spy
    try:
        run()
    finally:
        del network._forward
    return seen[-1]


def with_stock(small, latent: torch.Tensor):
    """The small model's conditionings as an inpainting node leaves them."""
    conds = small.conds
    small.conds = lambda text, image: [
        [features, {**values, "concat_latent_image": latent} if image else values]
        for features, values in conds(text, image)
    ]
    return small


def both_samplers(small, cfg: float = 1.0) -> list:
    full, image_only, _ = small.branches()
    return [
        lambda: small.by_ksampler(full, image_only, cfg),
        lambda: by_sample(small, small.patcher, cfg),
    ]


def check_a_picture_of_another_shape_is_refused(setup):
    error = setup.module("pixwizard_core.errors").SamplingError
    found = []
    for height, width in (OTHER, (8, 24), (24, 12), (8, 14), (12, 8), (1, 1)):
        small = sized(Small(setup, batch=1), height, width)
        words = ("96 x 64 px", f"{width * 8} x {height * 8} px", "one Encode", "crop")
        found += [refused(error, words, run) for run in both_samplers(small)]
    return found[0]


def check_a_latent_upscale_keeps_its_picture_and_is_said(setup):
    """As before any of this was looked at: bilinear, cut to the middle."""
    for height, width in ((16, 24), (12, 18), (4, 6), (8, 13), (11, 17), (12, 17)):
        small = sized(Small(setup, batch=1), height, width)
        wanted = comfy.utils.common_upscale(small.picture, width, height, "bilinear", "center")
        for run in both_samplers(small, 4.0):
            with said() as lines:
                seen = seen_latents(small, run)
            close(seen, wanted.expand(2, -1, -1, -1), EXACT, f"{width} x {height}")
            assert len(lines) == 1, lines
            assert f"96 x 64 px is resampled to the {width * 8} x {height * 8} px" in lines[0]
    small = Small(setup, batch=1)
    with said() as lines:
        for run in both_samplers(small):
            run()
    assert not lines, lines


def check_the_part_that_a_node_attaches_goes_first(setup):
    """An inpainting node or a detailer attaches the latent of the part that it samples."""
    part = torch.randn(1, 4, *OTHER, generator=torch.Generator().manual_seed(2)) / SCALE
    small = with_stock(sized(Small(setup, batch=1), *OTHER), part)
    whole = with_stock(Small(setup, batch=1), part)  # too small for what is sampled
    masked = torch.zeros(1, 4, *LATENT)
    same = with_stock(Small(setup, batch=1), masked)
    for case, wanted in ((small, part), (whole, whole.picture), (same, masked)):
        for run in both_samplers(case):
            with said() as lines:
                close(seen_latents(case, run) + 1.0, wanted + 1.0, EXACT, "image latent")
            assert not lines, lines


def check_regions_keep_the_picture_of_the_whole(setup):
    """Latents are cut to a region; the picture must be that of the whole, not of the region."""
    small = Small(setup, batch=1)
    full, image_only, _ = small.branches()
    for node in (
        lambda cond: nodes.ConditioningSetArea().append(cond, 48, 64, 48, 0, 1.0)[0],
        lambda cond: nodes.ConditioningSetAreaPercentage().append(cond, 0.5, 1.0, 0.5, 0, 1.0)[0],
    ):
        region = node(full)
        with said() as lines:
            seen = seen_latents(small, lambda r=region: small.by_ksampler([*full, *r], full, 1.0))
        close(seen, small.picture[..., 6:], EXACT, "the picture under the region")
        assert not lines, lines
    sized(small, *OTHER)
    error = setup.module("pixwizard_core.errors").SamplingError
    return refused(error, ("96 x 64 px",), small.by_ksampler, [*full, *region], image_only, 4.0)


def check_pictures_are_taken_in_turn(setup):
    """Latents and tokens of one picture stay together in a larger batch."""
    small = sized(Small(setup, batch=2), *LATENT, batch=4)
    first, second = small.picture
    wanted = torch.stack([first, second, first, second])
    with said() as lines:
        close(seen_latents(small, both_samplers(small)[1]), wanted, EXACT, "four of two")
    assert not lines, lines
    four = by_sample(small, small.patcher)
    pair = sized(Small(setup, batch=2), *LATENT)
    pair.empty_latent = torch.zeros(2, 4, *LATENT)
    close(four[:2], by_sample(pair, pair.patcher), EXACT, "the first two")
    for count in (1, 3):
        sized(small, *LATENT, batch=count)
        for run in both_samplers(small):
            with said() as lines:
                close(seen_latents(small, run), wanted[:count], EXACT, f"{count} of two")
            assert len(lines) == 1, lines
            assert f"holds 2 pictures and {count} are sampled" in lines[0], lines


def check_what_is_no_picture_is_refused(setup):
    """Latents of videos and of other autoencoders, behind a stock sampler as well."""
    error = setup.module("pixwizard_core.errors").SamplingError
    small, found = Small(setup, batch=1), []
    full, image_only, _ = small.branches()
    for shape, words in {
        (1, 4, 1, *LATENT): ("(1, 4, 1, 8, 12)", "connect the latent of Encode"),
        (1, 16, *LATENT): ("4 channels. Got: 16", "SDXL VAE"),
    }.items():
        noise = torch.ones(shape)
        found.append(
            refused(
                error, words, comfy.sample.sample, small.patcher, noise, STEPS, 1.0, "euler",
                "simple", full, image_only, torch.ones(shape),
            )
        )  # fmt: skip
    return found
