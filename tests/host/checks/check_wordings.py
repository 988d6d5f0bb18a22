"""Instruction and Encode with a model whose file says how it was asked in training."""

from __future__ import annotations

import shutil

import torch
from small import refused

ASKED, FORM, OWN = "depth", "Depth estimation", "Estimate the depth map of this picture."
TOLD = "pixwizard_asked"


def taught_bundle(setup, tasks: list[str], forms: dict):
    """A copy of the bundled model whose header says that it was taught these."""
    tiny = setup.module("pixwizard_core.encoders.tiny")
    taught = setup.module("pixwizard_core.taught")
    checkpoint = setup.module("pixwizard_core.weights.checkpoint")
    folder = setup.folder() / "bundle"
    shutil.copytree(tiny.BUNDLE, folder)
    file = folder / setup.module("pixwizard_core.bundle").MODEL_FILE
    weights, config = checkpoint.load_state_dict(file)
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    checkpoint.save(file, weights, config, taught.taught_header(tasks, forms))
    return folder


def parts(setup, folder) -> dict:
    """MODEL and what Encode takes, loaded from a bundle's folder."""
    load, tiny = setup.module("nodes.loaders.load"), setup.module("pixwizard_core.encoders.tiny")
    file = folder / setup.module("pixwizard_core.bundle").MODEL_FILE
    return {
        "model": load.load_transformer(file, torch.float32),
        "clip": load.load_clip(folder / tiny.TEXT_FILE, folder / tiny.CLIP_FILE),
        "clip_vision": load.load_clip_vision(folder / tiny.CLIP_FILE),
        "vae": load.load_vae(folder / tiny.VAE_FILE, torch.float32),
    }


def instruct(setup, task: str, phrasing: int = -1, **more):
    node = setup.module("nodes.conditions.instruction").Instruction
    return node.execute(
        task=task, caption="", target="", colour="red", phrasing=phrasing, phrasing_seed=-1, **more
    )


def encode(setup, loaded: dict, instruction: str):
    """What Encode gives for a grey picture, and the tokens of its instruction."""
    node = setup.module("nodes.conditions.encode").Encode
    given = {name: loaded[name] for name in ("clip", "clip_vision", "vae")}
    return node.execute(**given, image=torch.full((1, 64, 64, 3), 0.5), instruction=instruction)


def features(result) -> torch.Tensor:
    return result.args[0][0][0]


def check_instruction_is_worded_for_the_connected_model(setup):
    folder = taught_bundle(setup, [ASKED, "mask"], {ASKED: [FORM]})
    loaded = parts(setup, folder)
    sent = instruct(setup, ASKED, model=loaded["model"])
    assert sent.args[0] == FORM
    assert sent.ui == {TOLD: [{"task": ASKED, "form": FORM, "taught": True}]}
    numbered = instruct(setup, ASKED, phrasing=0, model=loaded["model"])
    assert numbered.args[0] == OWN
    unknown = instruct(setup, "face", model=loaded["model"])
    assert unknown.args[0] == "Restore the face in this picture."
    assert unknown.ui[TOLD][0]["taught"] is False


def check_instruction_is_worded_through_options_and_lora_patches(setup):
    """Clones of a MODEL are the same model."""
    loaded = parts(setup, taught_bundle(setup, [ASKED], {ASKED: [FORM]}))
    options = setup.module("nodes.loaders.model_options")
    clone = options.with_options(loaded["model"], options.options_of(loaded["model"])).clone()
    assert instruct(setup, ASKED, model=clone).args[0] == FORM


def check_instruction_refuses_another_model(setup):
    class Other:
        model = torch.nn.Identity()

    error = setup.module("pixwizard_core.errors").CheckpointError
    said = ("PixWizard Instruction needs a PixWizard model. Got: Identity",)
    refused(error, said, lambda: instruct(setup, ASKED, model=Other()))


def check_instruction_without_a_model_is_worded_by_its_text_encoder(setup):
    """The bundled model's own sentence reaches it, whatever wire is missing."""
    knows = parts(setup, taught_bundle(setup, [ASKED], {ASKED: [FORM]}))
    does_not = parts(setup, taught_bundle(setup, ["mask"], {}))
    sent = instruct(setup, ASKED).args[0]
    assert sent == FORM
    right, own = encode(setup, knows, sent), encode(setup, does_not, sent)
    assert torch.equal(features(right), features(encode(setup, knows, str(FORM))))
    assert torch.equal(features(own), features(encode(setup, does_not, OWN)))
    assert not torch.equal(features(encode(setup, does_not, str(FORM))), features(own))
    assert right.ui == {TOLD: [{"task": ASKED, "form": FORM, "taught": True}]}
    assert own.ui == {TOLD: [{"task": ASKED, "form": OWN, "taught": False}]}
    clone = {**does_not, "clip": does_not["clip"].clone()}
    assert torch.equal(features(encode(setup, clone, sent)), features(own))


def check_instruction_of_a_saved_graph_reaches_the_model_unchanged(setup):
    """A number keeps its words, also where the text encoder knows a trained form."""
    loaded = parts(setup, taught_bundle(setup, [ASKED], {ASKED: [FORM]}))
    sent = encode(setup, loaded, instruct(setup, ASKED, phrasing=3).args[0])
    plain = encode(setup, loaded, "Draw the depth of the scene.")
    assert torch.equal(features(sent), features(plain))
    assert sent.ui is None


def check_instruction_for_the_shipped_bundle_says_what_its_header_says(setup):
    tiny, tasks = setup.module("pixwizard_core.encoders.tiny"), setup.module("pixwizard_core.tasks")
    loaded = parts(setup, tiny.BUNDLE)
    taught = setup.module("pixwizard_core.bundle").load_tiny().taught
    for task in ("depth", "normal", "denoise", "face"):
        sent = instruct(setup, task, model=loaded["model"])
        assert sent.args[0] == tasks.instruction(task, taught=taught)
        assert sent.ui[TOLD][0]["taught"] is taught.knows(task)
