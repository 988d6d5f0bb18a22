"""Sentences for parts of a picture: every sampler of the host does as the core, and the host's own
masked conditions still do what they did."""

from __future__ import annotations

import logging
from dataclasses import replace

import comfy.samplers
import torch
from small import LATENT, SCALE, SEED, STEPS, Small, Spy, apart, close, refused

import nodes

EXACT = 1e-5
HEIGHT, WIDTH = LATENT


def left() -> torch.Tensor:
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.float32, device="cpu")
    mask[..., : WIDTH // 2] = 1
    return mask


class Regional(Small):
    """A small model with sentences for regions. masks: of each, (B, h, w) of any size."""

    def __init__(self, setup, masks, apart=True, **rest) -> None:
        super().__init__(setup, **rest)
        self.conds_of = setup.module("nodes.model.region_conds")
        self.masks, self.apart = masks, apart
        draw = torch.Generator().manual_seed(8)
        self.marked = [
            (torch.randn(1, 5 + n, 32, generator=draw), torch.randn(1, 24, generator=draw))
            for n in range(len(masks))
        ]

    def branches(self) -> tuple[list, list, list]:
        full, image_only, none = super().branches()
        found = tuple(
            self.conds_of.MarkedText(text, torch.ones(text.shape[:2]), pooled, mask)
            for (text, pooled), mask in zip(self.marked, self.masks, strict=True)
        )
        values = {self.conds_of.REGIONS: found, self.conds_of.REGIONS_APART: self.apart}
        return [[full[0][0], {**full[0][1], **values}]], image_only, none

    def condition(self, text: str):
        plain = super().condition(text)
        if text != "words":
            return plain
        rows = self.batch
        found = tuple(
            self.conditioning.Region(
                words.expand(rows, -1, -1), torch.ones(rows, words.shape[1], dtype=torch.bool),
                pooled.expand(rows, -1), mask.expand(rows, -1, -1),
            )
            for (words, pooled), mask in zip(self.marked, self.masks, strict=True)
        )  # fmt: skip
        return replace(plain, regions=found, regions_apart=self.apart)


def check_every_sampler_does_regions_as_the_core(setup):
    found = {}
    top = torch.zeros(2, HEIGHT, WIDTH)
    top[0, :4], top[1, :, 8:] = 1, 1
    for apart_ in (True, False):
        small = Regional(setup, [left(), top], apart_)
        for scales in ((4.0, 1.0), (3.0, 1.5), (1.0, 1.0)):
            core = small.by_core(w_text=scales[0], w_image=scales[1])
            found[f"{apart_} {scales}"] = close(small.by_guider(*scales), core, EXACT, str(scales))
        full, image_only, _ = small.branches()
        stock = small.by_ksampler(full, image_only, 4.0)
        close(stock, small.by_guider(4.0, 1.0), EXACT, "KSampler and our guider")
    plain = Small(setup).by_guider(4.0, 1.0)
    assert apart(stock, plain) > 1e-3
    return found


def check_a_region_of_everything_is_the_plain_sentence(setup):
    small = Regional(setup, [torch.ones(1, 64, 96)])
    regional = small.by_guider(4.0, 1.0)
    small.texts["words"] = small.marked[0]
    small.marked = small.masks = []
    # Without regions, both branches share a forward pass, which rounds otherwise.
    return close(regional, small.by_guider(4.0, 1.0), EXACT, "a region of everything")


def check_only_a_branch_with_regions_has_a_forward_of_its_own(setup):
    small = Regional(setup, [left()])
    with Spy(small.patcher) as spy:
        small.by_guider(3.0, 1.5)
    assert sorted(spy.calls) == sorted([small.batch, 2 * small.batch] * STEPS), spy.calls
    plain = Small(setup)
    with Spy(plain.patcher) as spy:
        plain.by_guider(3.0, 1.5)
    assert spy.calls == [3 * plain.batch] * STEPS, spy.calls


def check_regions_are_prepared_once_in_a_run(setup):
    small = Regional(setup, [left()])
    network, made = small.patcher.model.diffusion_model, []
    inner = type(network).prepare
    network.prepare = lambda *given, **named: (made.append(1), inner(network, *given, **named))[1]
    try:
        small.by_guider(4.0, 1.0)
    finally:
        del network.prepare
    assert len(made) == 2, made


def check_regions_within_an_area_of_the_host(setup):
    """The left half of the picture as an area, with a region in it and one beside it."""
    small = Regional(setup, [left(), 1 - left()])
    (text, values), image_only, _ = small.branches()[0][0], *small.branches()[1:]
    area = nodes.ConditioningSetArea().append([[text, values]], 8 * WIDTH // 2, 64, 0, 0, 1.0)[0]
    whole = {**values, small.conds_of.REGIONS: ()}
    painted = small.by_ksampler([*area, [text, whole]], image_only, 4.0)
    assert bool(painted.isfinite().all())
    values = {**values, small.conds_of.REGIONS: values[small.conds_of.REGIONS][:1]}
    alone = nodes.ConditioningSetArea().append([[text, values]], 8 * WIDTH // 2, 64, 0, 0, 1.0)[0]
    again = small.by_ksampler([*alone, [text, whole]], image_only, 4.0)
    return close(painted, again, EXACT, "a region outside of the area")


def check_masked_conditions_of_the_host_mix_whole_predictions(setup):
    """Conditioning (Set Mask) runs the network for each condition and lays the predictions over one
    another by the masks; our regions run it once."""
    small = Small(setup)
    full, _, _ = small.branches()
    other = small.conds("empty", True)
    set_mask = nodes.ConditioningSetMask().append
    both = [
        *set_mask(full, left(), "default", 1.0)[0], *set_mask(other, 1 - left(), "default", 1.0)[0]
    ]  # fmt: skip

    def one_step(conds):
        guider = comfy.samplers.CFGGuider(small.patcher)
        guider.set_conds(conds, conds)
        guider.set_cfg(1.0)
        sampler = comfy.samplers.sampler_object("euler")
        levels = small.sample.sigmas(1, 1.0)
        with Spy(small.patcher) as spy:
            painted = guider.sample(
                small.noise, small.empty_latent, sampler, levels, seed=SEED
            )
        return painted, sum(spy.calls)

    mixed, rows = one_step(both)
    assert rows == 2 * small.batch, rows
    one, two = one_step(full)[0], one_step(other)[0]
    return close(mixed, torch.where(left()[:, None] > 0, one, two), EXACT, "mixed predictions")


def check_regions_run_in_bfloat16_and_on_odd_latents(setup):
    small = Regional(setup, [left()], dtype=torch.bfloat16)
    assert bool(small.by_guider(4.0, 1.0).isfinite().all())
    odd = Regional(setup, [left()])
    odd.picture = odd.picture[..., :-1]
    odd.empty_latent, odd.noise = odd.empty_latent[..., :-1], odd.noise[..., :-1]
    assert odd.by_guider(4.0, 1.0).shape == odd.empty_latent.shape


def check_text_of_another_model_is_refused_in_a_region_too(setup):
    small = Regional(setup, [left()])
    text, _ = small.marked[0]
    small.marked = [(text, torch.zeros(1, 9))]
    errors = setup.module("pixwizard_core.errors")
    words = ("text width 32 and pooled width 24", "32 and 9")
    refused(errors.EncoderError, words, small.by_guider, 4.0, 1.0)


def check_region_node_makes_two_changes_at_once(setup):
    """The bundled model: Encode, two Regions, Sample, as the core does it."""
    model, clip, vision, vae = setup.module("nodes.loaders.load").LoadTiny.execute().args[:4]
    pipeline = setup.module("pixwizard_core.pipeline")
    asked = setup.module("pixwizard_core.regions").RegionRequest
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 112, 144, 3, generator=generator, dtype=torch.float32, device="cpu")
    masks = torch.zeros(2, 112, 144, dtype=torch.float32, device="cpu")
    masks[0, 20:60, 10:60], masks[1, 50:100, 70:130] = 1, 1
    words = ("Make the red ball blue.", "Make the white cube green.", "Leave the room as it is.")
    encode = setup.module("nodes.conditions.encode").Encode
    region = setup.module("nodes.conditions.region").Region
    full, image_only, none, latent = encode.execute(clip, vision, vae, image, words[2]).args
    for mask, sentence in zip(masks, words, strict=False):
        given = region.execute(full, clip, sentence, mask[None])
        full = given.args[0]
        assert given.ui["pixwizard_notes"] == [], given.ui
    painted = setup.module("nodes.sampling.sample").Sample.execute(
        model, full, image_only, none, 2.0, 1.0, latent, SEED, 2, 1.0, "first 3", "euler"
    ).args[0]["samples"]
    bundle = setup.module("pixwizard_core.bundle").load_tiny()
    settings = replace(bundle.settings, steps=2, w_text=2.0)
    request = pipeline.Request(
        image.movedim(-1, 1), words[2], SEED, settings,
        regions=[asked(mask, sentence) for mask, sentence in zip(masks, words, strict=False)],
    )  # fmt: skip
    core = pipeline.run(bundle, request).latent / SCALE
    logging.info("regions: host and core apart by %.1e", apart(painted, core))
    return close(painted, core, 2e-3, "Sample and the core")
