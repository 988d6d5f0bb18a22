"""What reaches a node is looked at before it is used, and refused by the name of its input."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

LINKED = ("IMAGE", "MASK", "LATENT", "CONDITIONING", "MODEL", "CLIP", "CLIP_VISION", "VAE")
WRONG = {
    **dict.fromkeys(LINKED, "x"),
    "PIXWIZARD_CANVAS": [1, 2],
    "PIXWIZARD_ABOUT": SimpleNamespace(task="depth"),
    "PIXWIZARD": SimpleNamespace(model=1),
    "STRING": ["x"],
    "COMBO": {"a": 1},
    "BOOLEAN": "yes",
    "INT": 1.5,
}


def some(socket):
    """Anything of the right type."""
    made = {
        "IMAGE": torch.zeros(1, 16, 16, 3), "MASK": torch.zeros(1, 16, 16), "LATENT": {},
        "CONDITIONING": [[torch.zeros(1, 1, 1), {}]], "STRING": "", "BOOLEAN": True,
        "PIXWIZARD_ABOUT": SimpleNamespace(task="", words={}, palette=None, kind=None),
        "PIXWIZARD": SimpleNamespace(model=1, clip=1, clip_vision=1, vae=1, about=1),
        "INT": socket.settings.get("default", 0), "FLOAT": socket.settings.get("default", 0.0),
    }  # fmt: skip
    if socket.io_type == "COMBO":
        return (socket.options or ["x"])[0]
    return made.get(socket.io_type, SimpleNamespace())


def test_a_value_of_another_type_is_refused_by_name(nodes, extension):
    error, tried = extension("pixwizard_core.errors").InstructionError, 0
    for node in nodes.values():
        sockets = node.define_schema().inputs
        for wrong in (one for one in sockets if one.io_type in WRONG):
            inputs = {one.id: some(one) for one in sockets}
            inputs[wrong.id] = WRONG[wrong.io_type]
            with pytest.raises(error, match=rf"^{wrong.id} must be .*Got: "):
                node.execute(**inputs)
            tried += 1
    assert tried > 100


def test_numbers_of_other_kinds_are_taken_as_what_they_are(nodes):
    """Other nodes hand out NumPy's, and floats that are whole."""
    schedule = nodes["Schedule"]
    expected = schedule.execute(3, 1.0, 1.0).args[0]
    for steps, shift in ((np.int64(3), np.float32(1)), (3.0, 1), (True + 2, np.float64(1))):
        assert torch.equal(schedule.execute(steps, shift, 1.0).args[0], expected)


def test_an_input_that_a_node_does_not_have_is_refused(nodes, extension):
    error = extension("pixwizard_core.errors").InstructionError
    with pytest.raises(error, match=r"cannot take these inputs: .*extra_pnginfo"):
        nodes["LoadTiny"].execute(extra_pnginfo=1)


@pytest.mark.parametrize(
    "value", [[["x", {}]], [[torch.zeros(1)]], [7], [[torch.zeros(1), None]], (), None]
)
def test_what_is_no_conditioning(extension, value):
    assert not extension("nodes.shared.input_kinds").is_conditioning(value)


@pytest.fixture
def checks(extension):
    return extension("nodes.sampling.run_inputs")


@pytest.fixture
def latents(extension):
    return extension("nodes.model.latents")


@pytest.fixture
def errors(extension):
    return extension("pixwizard_core.errors")


@pytest.mark.parametrize("shape", [(), (4, 6, 8), (0, 4, 6, 8), (1, 4, 0, 8), (1, 4, 1, 6, 8)])
def test_latents_of_no_picture_are_refused(latents, errors, shape):
    with pytest.raises(errors.SamplingError, match=r"the latent must be .* connect the latent of"):
        latents.require_latent(torch.zeros(shape))


def test_no_latent_is_refused(latents, errors):
    with pytest.raises(errors.SamplingError, match=r"Got: None"):
        latents.require_latent(None)


def test_other_channels_are_refused(latents, errors):
    latents.require_channels(torch.zeros(1, 4, 2, 2))
    with pytest.raises(errors.SamplingError, match=r"4 channels. Got: 16; encode with"):
        latents.require_channels(torch.zeros(1, 16, 2, 2))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"noise_mask": torch.ones(7)}, r"noise mask must be .* Got: \(7,\)"),
        ({"noise_mask": torch.ones(1, 48, 0)}, r"noise mask must be .* Got: \(1, 48, 0\)"),
        ({"noise_mask": "all"}, r"noise mask must be .* Got: \(\)"),
        ({"batch_index": [0]}, r"2 pictures and the batch numbers \[0\]"),
        ({"batch_index": [0, -1]}, "each picture needs one of 0 to 4096"),
        ({"batch_index": [0, 10**9]}, "each picture needs one of 0 to 4096"),
    ],
)
def test_companions_that_do_not_fit_are_refused(checks, errors, more, message):
    latent = {"samples": torch.zeros(2, 4, 6, 8)}
    checks.require_companions({**latent, "noise_mask": torch.ones(48, 64), "batch_index": [3, 3]})
    with pytest.raises(errors.SamplingError, match=message):
        checks.require_companions({**latent, **more})


def test_areas_outside_the_picture_are_refused(checks, errors):
    inside = [{}, {"area": (4, 4, 5, 7)}, {"area": ("percentage", 0.5, 0.5, 0.5, 0.5)}]
    checks.require_areas(inside, 6, 8)
    for area in ((4, 4, 6, 0), (4, 4, 0, 8), ("percentage", 0.5, 0.5, 1.0, 0.0)):
        with pytest.raises(errors.SamplingError, match=r"outside the picture of 64 x 48 px"):
            checks.require_areas([{"area": area}], 6, 8)


def test_another_model_is_refused(extension, errors):
    require = extension("nodes.model.host_model").require_pixwizard
    with pytest.raises(errors.CheckpointError, match=r"x needs a PixWizard model. Got: dict"):
        require(SimpleNamespace(model={}), "x")


def test_memory_that_ran_out_over_a_text_names_the_device(extension, errors, monkeypatch):
    memory = extension("nodes.host.memory")
    monkeypatch.setattr(memory.management, "OOM_EXCEPTION", MemoryError, raising=False)
    monkeypatch.setattr(memory.management, "unload_all_models", lambda: None, raising=False)
    with (
        pytest.raises(errors.SamplingError, match=r"encoding the text. Use device cpu"),
        memory.text_memory_advice(),
    ):
        raise MemoryError
