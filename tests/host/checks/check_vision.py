"""Our CLIP_VISION is one to the host's nodes, and the host's own one to ours."""

from __future__ import annotations

import json
from pathlib import Path

import comfy.clip_vision
import torch
from check_encoders import VISION, fresh
from safetensors.torch import load_file, save_file
from small import apart, close

import nodes

NEAR = 1e-5  # float32 rounding: both compute in it, with the same weights in half precision
PROJECTION = "visual_projection.weight"
SIZES = {"wide": (200, 420), "high": (500, 330), "as read": (336, 336)}
TENSORS = ("last_hidden_state", "penultimate_hidden_states", "image_embeds")


def weights_with(projection: bool) -> dict[str, torch.Tensor]:
    """Random weights that half precision holds exactly: the host keeps two norms and the
    projection in float32 where we keep all in its precision for encoders."""
    _, weights = fresh("clip_vision", VISION)
    if projection:
        generator = torch.Generator().manual_seed(3)
        weights[PROJECTION] = torch.randn(20, VISION["hidden_size"], generator=generator)
    return {name: value.half().float() for name, value in weights.items()}


def ours(setup, weights: dict[str, torch.Tensor]):
    """By way of a file, as people load it."""
    path = setup.folder() / "clip.safetensors"
    save_file(weights, str(path), {"pixwizard.clip_vision": json.dumps(VISION)})
    return setup.module("nodes.loaders.load").load_clip_vision(path)


def stock(setup, weights: dict[str, torch.Tensor]):
    """The host's own CLIP_VISION, which has a projection where its settings name the width."""
    settings = {**VISION, "model_type": "clip_vision_model"}
    if PROJECTION in weights:
        settings["projection_dim"] = len(weights[PROJECTION])
    path = Path(setup.folder()) / "config.json"  # older hosts read this from a file only
    path.write_text(json.dumps(settings), encoding="utf-8")
    made = comfy.clip_vision.ClipVisionModel(str(path))
    missing, unexpected = made.load_sd(dict(weights))
    assert not missing, missing
    assert not unexpected, unexpected
    return made


def pictures(height: int, width: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(height))


def encoded(vision, picture: torch.Tensor, crop: str):
    (output,) = nodes.CLIPVisionEncode().encode(vision, picture, crop)
    return output


def check_stock_encode_gives_what_the_hosts_own_model_gives(setup):
    """CLIP Vision Encode on ours and on the host's with the same weights, to 1e-5 of the largest
    value."""
    found = {}
    for projection in (False, True):
        weights = weights_with(projection)
        mine, theirs = ours(setup, weights), stock(setup, weights)
        assert mine.dtype == theirs.dtype, (mine.dtype, theirs.dtype)
        kept = {value.dtype for value in mine.get_sd().values()}
        assert kept == {mine.dtype}, kept
        for name, size in SIZES.items():
            for crop in ("center", "none"):
                made = encoded(mine, pictures(*size), crop)
                wanted = encoded(theirs, pictures(*size), crop)
                for key in TENSORS:
                    what = f"{key}, {name}, {crop}, projection {projection}"
                    found[what] = close(made[key], wanted[key], NEAR, what)
                    assert getattr(made, key) is made[key]
                sizes = getattr(wanted, "image_sizes", [torch.Size((3, 336, 336))] * 2)
                assert made.image_sizes == sizes, (made.image_sizes, sizes)
                assert made.mm_projected is None
                assert wanted["mm_projected"] is None
        assert made.image_embeds.shape == (2, 20 if projection else VISION["hidden_size"])
    return max(found.values())


def check_crop_and_squash_differ(setup):
    """So that the comparison above can tell them apart."""
    vision = ours(setup, weights_with(False))
    one, other = (encoded(vision, pictures(200, 420), crop) for crop in ("center", "none"))
    assert apart(one.last_hidden_state, other.last_hidden_state) > 1e-2


def check_weights_come_back_under_the_hosts_names(setup):
    """What get_sd gives, saved and read again by us and by the host, is the same model."""
    weights = weights_with(True)
    vision, picture = ours(setup, weights), pictures(96, 128)
    assert set(vision.get_sd()) == set(stock(setup, weights).get_sd()) == set(weights)
    path = setup.folder() / "again.safetensors"
    save_file(vision.get_sd(), str(path))
    again, theirs = ours(setup, load_file(str(path))), stock(setup, load_file(str(path)))
    wanted = encoded(vision, picture, "center")
    for key in TENSORS:
        assert torch.equal(encoded(again, picture, "center")[key], wanted[key]), key
        close(encoded(theirs, picture, "center")[key], wanted[key], NEAR, key)
    missing, unexpected = vision.load_sd({"vision_model.no_such": torch.zeros(1)})
    assert "vision_model.no_such" in unexpected
    assert len(missing) == len(weights)


def check_pictures_of_a_batch_are_seen_each_by_itself(setup):
    vision, encode = ours(setup, weights_with(False)), setup.module("nodes.encoders.conditioning")
    image_01 = torch.rand(3, 3, 96, 128, generator=torch.Generator().manual_seed(5))
    together = encode.image_tokens(vision, image_01)
    assert together.shape == (3, 576, VISION["hidden_size"])
    assert apart(together[:1], together[1:2]) > 1e-2
    single = torch.cat([encode.image_tokens(vision, one[None]) for one in image_01])
    return close(together, single, NEAR, "a batch and its pictures one by one")


def check_clip_vision_of_another_loader_goes_into_encode(setup):
    """The bundled weights in the host's own model, through the Encode node."""
    load, names = setup.module("nodes.loaders.load"), setup.module("nodes.model.host_model")
    _, clip, vision, vae = load.LoadTiny.execute().args[:4]
    config = {"model_type": "clip_vision_model", **vision.config}
    path = setup.folder() / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    theirs = comfy.clip_vision.ClipVisionModel(str(path))
    theirs.load_sd(vision.get_sd())
    node, picture = setup.module("nodes.conditions.encode").Encode, pictures(96, 128)
    made, wanted = (
        node.execute(clip, one, vae, picture, "Estimate depth.").args for one in (theirs, vision)
    )
    assert torch.equal(made[0][0][0], wanted[0][0][0])
    tokens = [branches[0][0][1][names.IMAGE_TOKENS] for branches in (made, wanted)]
    assert len(tokens[0]) == 2, tokens[0].shape
    return close(*tokens, NEAR, "tokens of the host's own model")
