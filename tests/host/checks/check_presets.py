"""Presets and auto in the nodes: what they take of the model and the task, and that graphs without
them keep their numbers."""

from __future__ import annotations

import torch
from small import refused

NUMBERS = {"steps": 4, "time_shift": 1.0, "guided_channels": "first 3", "sampler": "euler"}


class Graph:
    """The bundled model asked for one task, encoded on one rendered picture."""

    def __init__(self, setup, task: str = "depth", **words: str) -> None:
        self.schedule = setup.module("nodes.sampling.schedule").Schedule
        nodes = setup.module("nodes.sampling.sample")
        self.sample, self.guider = nodes.Sample, nodes.DualCFGGuider
        self.model, clip, vision, vae = setup.module("nodes.loaders.load").LoadTiny.execute().args[
            :4
        ]
        scene = setup.module("nodes.pictures.demo_scene").DemoScene
        (image, *_) = scene.execute(5, 4, 128, 128).args
        ask = setup.module("nodes.conditions.instruction").Instruction
        given = {"caption": "", "target": "", "colour": "red", **words}
        self.sentence = ask.execute(task=task, phrasing=0, **given).args[0]
        encode = setup.module("nodes.conditions.encode").Encode
        *self.branches, self.latent = encode.execute(
            clip, vision, vae, image, self.sentence
        ).args
        self.plain = encode.execute(clip, vision, vae, image, str.__str__(self.sentence)).args[:3]

    def named(self, branches=None) -> dict:
        return dict(zip(("full", "image_only", "none"), branches or self.branches, strict=True))

    def sampled(self, text: float, image: float = 1.0, branches=None, **inputs):
        given = {"latent": self.latent, "seed": 3, **NUMBERS, **inputs}
        return self.sample.execute(
            model=self.model, **self.named(branches), text_guidance=text, image_guidance=image,
            **given,
        )  # fmt: skip

    def painted(self, text: float, image: float = 1.0, branches=None, **inputs) -> torch.Tensor:
        (latent,) = self.sampled(text, image, branches, **inputs).args
        return latent["samples"]


def check_auto_takes_the_models_own_settings_for_the_task(setup):
    graph = Graph(setup)
    by_hand = graph.painted(1.0, steps=1)
    for speed in ("auto", "own"):
        assert torch.equal(graph.painted(7.0, 3.0, steps=9, speed=speed), by_hand), speed
    assert not torch.equal(graph.painted(7.0, steps=9), by_hand)


def check_sample_says_what_auto_meant(setup):
    graph = Graph(setup, "mask", target="the red ball")
    assert graph.sampled(7.0, steps=9, speed="auto").ui == {
        "pixwizard_notes": [],
        "pixwizard_auto": [
            {
                "choice": "speed", "value": "auto", "steps": 8, "time_shift": 1.0,
                "sampler": "euler", "text_guidance": 2.0, "image_guidance": 1.0,
                "guided_channels": "first 3",
            }
        ],
    }  # fmt: skip
    fast = graph.sampled(7.0, speed="fast").ui["pixwizard_auto"]
    assert fast == [
        {"choice": "speed", "value": "fast", "steps": 14, "time_shift": 1.0, "sampler": "euler"}
    ]
    assert graph.sampled(7.0, steps=1).ui == {"pixwizard_notes": []}
    guider = graph.guider.execute(
        model=graph.model, **graph.named(), text_guidance=9.0, image_guidance=5.0,
        guided_channels="all", start=0.0, end=1.0, preset="auto",
    )  # fmt: skip
    assert guider.ui["pixwizard_auto"] == [
        {
            "choice": "preset", "value": "auto", "text_guidance": 2.0, "image_guidance": 1.0,
            "guided_channels": "first 3",
        }
    ]  # fmt: skip


def check_sample_warns_of_a_size_far_from_the_trained_ones(setup):
    graph = Graph(setup)
    large = {**graph.latent, "samples": graph.latent["samples"].repeat(1, 1, 2, 2)}
    (note,) = graph.sampled(1.0, steps=1, latent=large).ui["pixwizard_notes"]
    assert note == {
        "say": "far_from_trained", "warns": True, "width": 256, "height": 256, "centres": "128"
    }  # fmt: skip


def check_auto_without_a_task_takes_the_models_general_settings(setup):
    graph = Graph(setup)
    general = graph.painted(2.0, steps=4)
    assert torch.equal(graph.painted(7.0, speed="auto", branches=graph.plain), general)


def check_auto_goes_by_the_task_that_is_asked(setup):
    graph = Graph(setup, "mask", target="the red ball")
    assert torch.equal(graph.painted(7.0, speed="auto"), graph.painted(2.0, steps=8))


def check_dense_preset_takes_low_guidance_and_the_reference_steps(setup):
    graph = Graph(setup)
    found, wanted = graph.painted(7.0, speed="paper-dense"), graph.painted(1.5, steps=59)
    assert torch.equal(found, wanted)


def check_prompt_without_presets_keeps_its_numbers(setup):
    """As saved before there were presets: neither speed nor preset is in the prompt."""
    graph = Graph(setup)
    assert torch.equal(graph.painted(3.0, steps=2), graph.painted(3.0, steps=2, speed="as set"))
    given = {"model": graph.model, **graph.named(), "guided_channels": "all", "start": 0.25}
    (guider,) = graph.guider.execute(
        **given, text_guidance=3.0, image_guidance=1.5, end=0.75
    ).args
    kept = guider.guidance
    assert (kept.text, kept.image, kept.all_channels) == (3.0, 1.5, True)
    assert (kept.start, kept.end) == (0.25, 0.75)


def check_guider_takes_guidance_from_the_preset_and_times_from_its_inputs(setup):
    graph, found = Graph(setup), {}
    for preset in ("auto", "own", "reference", "paper-dense"):
        (guider,) = graph.guider.execute(
            model=graph.model, **graph.named(), text_guidance=9.0, image_guidance=5.0,
            guided_channels="all", start=0.25, end=0.75, preset=preset,
        ).args  # fmt: skip
        kept = guider.guidance
        assert (kept.image, kept.all_channels, kept.start, kept.end) == (1.0, False, 0.25, 0.75)
        found[preset] = kept.text
    assert found == {"auto": 1.0, "own": 1.0, "reference": 4.0, "paper-dense": 1.5}


def check_schedule_goes_by_the_model_and_the_task(setup):
    graph = Graph(setup)
    given = {"steps": 20, "time_shift": 3.0, "denoise": 1.0, "speed": "auto", "model": graph.model}
    lengths = [
        len(graph.schedule.execute(**given, **more).args[0]) - 1
        for more in ({}, {"full": graph.branches[0]})
    ]
    assert lengths == [4, 1]
    errors = setup.module("pixwizard_core.errors")
    alone = {**given, "model": None}
    refused(errors.SamplingError, ("connect the model",), lambda: graph.schedule.execute(**alone))


def check_canvas_goes_by_the_connected_model(setup):
    fit = setup.module("nodes.pictures.canvas").FitToCanvas
    model = setup.module("nodes.loaders.load").LoadTiny.execute().args[0]
    image = torch.zeros(1, 1080, 1920, 3)

    def size(**inputs):
        return fit.execute(image=image, centre=512, fit="stretch", **inputs).args[3:]

    assert size(centre_by="auto") == (1360, 768)
    width, height = size(centre_by="auto", model=model)
    assert 0.8 * 128**2 < width * height <= 128**2
    assert size() == size(centre_by="as set") == size(model=model)
