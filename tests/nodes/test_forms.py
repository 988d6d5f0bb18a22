"""Every node that takes pictures or masks, with each form in which the host hands them out."""

from __future__ import annotations

import pytest
import torch

from tests.nodes.test_data_nodes import call, image, output  # noqa: F401

# Nodes by their picture inputs that must share a size, and what else they need.
PICTURES = {
    "FitToCanvas": ("image",),
    "DecodeDepth": ("image",),
    "DecodeMask": ("image", "source"),
    "DecodeSegmentation": ("image",),
    "DecodeHighlight": ("image", "source"),
    "DecodeEdges": ("image",),
    "DecodeNormals": ("image",),
    "DecodeBoxes": ("image", "source"),
    "MergeDepths": ("depths",),
    "DepthToMetres": ("depth",),
    "PrepareOutpaint": ("image",),
    "SaveDepth": ("depth",),
    "SaveLabels": ("image",),
    "Compare": ("prediction", "truth"),
}
FORMS = {
    "plain": lambda b: image(24, 16, b),
    "transparent": lambda b: image(24, 16, b, 4),
    "grey": lambda b: image(24, 16, b, 1),
    "grey without channels": lambda b: image(24, 16, b, 1)[..., 0],
    "grey with alpha": lambda b: image(24, 16, b, 2),
    "half": lambda b: image(24, 16, b).half(),
    "strided": lambda b: image(48, 32, b)[:, ::2, ::2],
}
MASKS = {
    "plane": torch.ones(16, 24),
    "batch": torch.ones(1, 16, 24),
    "channel first": torch.ones(1, 1, 16, 24),
    "channel last": torch.ones(1, 16, 24, 1),
    "bool": torch.ones(16, 24, dtype=torch.bool),
    "half": torch.ones(1, 16, 24).half(),
    "another size": torch.ones(1, 8, 12),
}


def tensors_of(result):
    flat = []
    for value in result:
        flat += value if isinstance(value, list) else [value]
    return [value for value in flat if isinstance(value, torch.Tensor)]


def check(result, batch=None):
    for value in tensors_of(result):
        assert value.is_floating_point()
        assert torch.isfinite(value).all()
        if batch is not None:
            assert value.shape[0] == batch


@pytest.mark.usefixtures("output")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_every_form_are_taken(nodes, name, form):
    for batch in (1, 3):
        given = {input_name: FORMS[form](batch) for input_name in PICTURES[name]}
        check(call(nodes[name], **given))


@pytest.mark.parametrize("name", ["DecodeMask", "DecodeHighlight", "DecodeBoxes"])
@pytest.mark.parametrize(("answers", "sources"), [(3, 1), (1, 3), (3, 3)])
def test_one_answer_or_one_source_serves_many(nodes, name, answers, sources):
    result = call(nodes[name], image=image(24, 16, answers), source=image(24, 16, sources, seed=2))
    masks = {"DecodeMask": 0, "DecodeHighlight": 0, "DecodeBoxes": 4}
    pictures = {"DecodeMask": 3, "DecodeHighlight": 3, "DecodeBoxes": 5}
    assert len(result[masks[name]]) == len(result[pictures[name]]) == 3


@pytest.mark.parametrize("name", ["DecodeMask", "DecodeHighlight", "DecodeBoxes"])
def test_two_answers_and_three_sources_do_not_go_together(nodes, extension, name):
    wrong = extension("pixwizard_core.errors").PixWizardError
    with pytest.raises(wrong, match="source"):
        call(nodes[name], image=image(24, 16, 2), source=image(24, 16, 3))


@pytest.mark.parametrize("form", MASKS)
def test_masks_of_every_form_are_taken(nodes, form):
    mask, picture = MASKS[form], image(24, 16, 2)
    fitted = call(nodes["FitToCanvas"], image=picture, mask=mask, centre=96)
    assert fitted[1].shape == fitted[0].shape[:3]
    assert bool((fitted[1] == 1).all())
    prepared = call(nodes["PrepareInpaint"], image=picture, mask=mask, centre=96)
    assert bool((prepared[3] == 1).all())
    assert prepared[3].shape == (2, 16, 24)
    (laid,) = call(nodes["Composite"], source=picture, result=picture * 0, mask=mask, feather=0.0)
    assert not laid.any()
    if MASKS[form].shape[-1] != 12:
        score = call(nodes["Compare"], kind="mask", prediction_mask=mask, truth_mask=mask)[1]
        assert score == 1


@pytest.mark.parametrize("mask", [torch.zeros(64, 64), torch.zeros(1, 64, 64)])
def test_the_hosts_stand_in_for_no_mask_selects_nothing(nodes, mask):
    picture = image(24, 16, 2)
    assert not call(nodes["FitToCanvas"], image=picture, mask=mask, centre=96)[1].any()
    prepared = call(nodes["PrepareInpaint"], image=picture, mask=mask, centre=96)
    assert not prepared[1].any()
    (laid,) = call(nodes["Composite"], source=picture, result=picture * 0, mask=mask)
    assert torch.equal(laid, picture)
    free = call(nodes["Compare"], kind="picture", prediction=picture, truth=picture * 0.5)
    held = call(
        nodes["Compare"], kind="picture", prediction=picture, truth=picture * 0.5, valid=mask
    )
    assert free == held


@pytest.mark.parametrize("name", ["DecodeMask", "DecodeHighlight", "DecodeEdges"])
def test_nothing_found_keeps_the_shape(nodes, name):
    result = call(nodes[name], image=torch.zeros(3, 16, 24, 3))
    masks = [value for value in tensors_of(result) if value.ndim == 3]
    assert masks[0].shape == (3, 16, 24) if name != "DecodeEdges" else masks
    assert not any(bool(one.any()) for one in masks)
