"""Nodes that need no model, called as the host calls them."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture(scope="module")
def errors(extension):
    return extension("pixwizard_core.errors")


def call(node, **changes):
    """Outputs of a node with its defaults and these inputs."""
    defaults = {
        s.id: s.settings["default"] for s in node.define_schema().inputs if "default" in s.settings
    }
    return node.execute(**{**defaults, **changes}).args


def image(width, height, batch=1):
    return torch.rand(batch, height, width, 3, generator=torch.Generator().manual_seed(1))


def test_fit_and_restore_give_back_the_source_size(nodes):
    for width, height in ((301, 203), (64, 64), (47, 190)):
        source = image(width, height, 2)
        fitted, mask, canvas, wide, high = call(nodes["FitToCanvas"], image=source, centre=128)
        assert fitted.shape == (2, high, wide, 3)
        assert mask.shape == (2, high, wide)
        assert wide % 16 == 0
        assert high % 16 == 0
        back, back_mask = call(nodes["RestoreFromCanvas"], canvas=canvas, image=fitted, mask=mask)
        assert back.shape == source.shape
        assert back_mask.shape == source.shape[:3]


def test_fit_that_changes_no_size_changes_no_pixel(nodes):
    source = image(128, 128)
    fitted, _, canvas, *_ = call(nodes["FitToCanvas"], image=source, centre=128)
    assert torch.equal(fitted, source)
    assert torch.equal(call(nodes["RestoreFromCanvas"], canvas=canvas, image=fitted)[0], source)


def test_fit_centre_zero_chooses_among_the_trained_sizes(nodes):
    *_, width, height = call(nodes["FitToCanvas"], image=image(300, 200), centre=0)
    assert 200_000 < width * height <= 1024 * 1024


def test_fit_carries_a_mask_and_keeps_it_binary(nodes):
    mask = torch.zeros(1, 60, 90)
    mask[:, 20:40, 30:60] = 1
    _, fitted, canvas, *_ = call(nodes["FitToCanvas"], image=image(90, 60), mask=mask, centre=128)
    assert set(fitted.unique().tolist()) == {0.0, 1.0}
    _, back = call(nodes["RestoreFromCanvas"], canvas=canvas, mask=fitted)
    assert (back - mask).abs().mean() < 0.03


def test_fit_refuses_an_unknown_way(nodes, errors):
    with pytest.raises(errors.InstructionError, match="stretch, pad, crop"):
        call(nodes["FitToCanvas"], image=image(64, 64), fit="squeeze")


def test_restore_fills_what_was_cropped_from_the_source(nodes):
    source = image(256, 96)
    fitted, _, canvas, *_ = call(nodes["FitToCanvas"], image=source, centre=96, fit="crop")
    black = torch.zeros_like(fitted)
    filled = call(nodes["RestoreFromCanvas"], canvas=canvas, image=black, source=source)[0]
    seen = canvas.covered()
    assert not filled[0][seen].any()
    assert torch.equal(filled[0][~seen], source[0][~seen])


def test_restore_without_anything_says_so(nodes, errors):
    _, _, canvas, *_ = call(nodes["FitToCanvas"], image=image(64, 64), centre=128)
    with pytest.raises(errors.CanvasError, match="nothing to restore"):
        call(nodes["RestoreFromCanvas"], canvas=canvas)


def test_instruction_fills_the_fields_of_the_task(nodes):
    sentence = call(nodes["Instruction"], task="mask", target="the red ball")[0]
    assert "the red ball" in sentence
    other = call(nodes["Instruction"], task="mask", target="the red ball", phrasing=1)[0]
    assert other != sentence
    seeded = [
        call(nodes["Instruction"], task="mask", target="the red ball", phrasing_seed=seed)[0]
        for seed in range(6)
    ]
    assert len(set(seeded)) == 6
    numbered = call(nodes["Instruction"], task="mask", target="the red ball", phrasing=0)[0]
    assert seeded[0] == numbered == "Make a black and white mask of the red ball."
    assert sentence == "Generate a binary mask for the described object: the red ball."


def test_instruction_takes_the_question_whose_answer_is_highlighted(nodes, errors):
    given = {"task": "highlight_reasoning", "colour": "green"}
    asked = call(nodes["Instruction"], **given, question=" Which  thing can roll?")[0]
    assert asked == "Please mark the pixels in green based on the question: Which thing can roll?"
    with pytest.raises(errors.InstructionError, match="'highlight_reasoning' needs question"):
        call(nodes["Instruction"], **given)


def test_instruction_names_the_missing_field(nodes, errors):
    with pytest.raises(errors.InstructionError, match="target"):
        call(nodes["Instruction"], task="mask")
    with pytest.raises(errors.InstructionError, match="unknown task"):
        call(nodes["Instruction"], task="fly")


def test_instruction_custom_is_the_caption(nodes):
    sentence = call(nodes["Instruction"], task="custom", caption="make it snow")[0]
    assert sentence == "make it snow"


def test_schedule_falls_from_one_to_zero(nodes):
    (levels,) = call(nodes["Schedule"], steps=4)
    assert levels.dtype == torch.float32
    assert torch.allclose(levels, torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


def test_schedule_shift_moves_steps_towards_noise(nodes):
    (levels,) = call(nodes["Schedule"], steps=2, time_shift=3.0)
    assert torch.allclose(levels, torch.tensor([1.0, 0.75, 0.0]))


def test_schedule_denoise_keeps_the_number_of_steps(nodes):
    (levels,) = call(nodes["Schedule"], steps=4, denoise=0.5)
    assert torch.allclose(levels, torch.tensor([0.5, 0.375, 0.25, 0.125, 0.0]))


def test_guidance_acts_inside_its_interval_only(extension):
    guidance = extension("nodes.sampling.guider").Guidance(4.0, 1.5, False, 0.2, 0.6)
    assert guidance.scales(0.1) == (1.0, 1.0)
    assert guidance.scales(0.2) == (4.0, 1.5)
    assert guidance.scales(0.7) == (1.0, 1.0)


def test_decode_depth_is_the_mean_grey(nodes):
    painted = torch.zeros(1, 2, 2, 3)
    painted[0, 0, 0] = torch.tensor([0.3, 0.6, 0.9])
    depth, picture, *_ = call(nodes["DecodeDepth"], image=painted)
    assert depth[0, 0, 0].tolist() == pytest.approx([0.6, 0.6, 0.6])
    assert picture.shape == painted.shape
    inverted, *_ = call(nodes["DecodeDepth"], image=painted, near="black")
    assert torch.allclose(inverted, 1 - depth)


def grey_row(*levels):
    return torch.tensor(levels).view(1, 1, -1, 1).expand(1, 1, -1, 3)


def test_decode_depth_gives_metres_and_a_controlnet_picture_of_the_raw_values(nodes):
    painted = grey_row(0.2, 0.4, 0.6)
    for changes in ({}, {"near": "black", "normalise": "image"}):
        _, _, metres, controlnet = call(
            nodes["DecodeDepth"], image=painted, near_m=1.0, far_m=11.0, **changes
        )
        assert metres[0, 0, :, 0].tolist() == pytest.approx([9.0, 7.0, 5.0])
        assert controlnet[0, 0, :, 0].tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_decode_depth_stretches_as_told(nodes):
    painted = torch.cat([grey_row(0.2, 0.4, 0.6), grey_row(0.1, 0.3, 0.5)])

    def stretched(**changes):
        return (
            call(nodes["DecodeDepth"], image=painted, **changes)[0][:, 0, :, 0].flatten().tolist()
        )

    assert stretched(normalise="image") == pytest.approx([0, 0.5, 1] * 2)
    assert stretched(normalise="batch") == pytest.approx([0.2, 0.6, 1.0, 0.0, 0.4, 0.8])
    fixed = stretched(normalise="fixed", low=0.2, high=0.6)
    assert fixed == pytest.approx([0, 0.5, 1, 0, 0.25, 0.75], abs=1e-6)


def test_decode_depth_ignores_stray_pixels_when_told(nodes):
    painted = torch.linspace(0.3, 0.7, 101).view(1, 1, -1, 1).repeat(1, 1, 1, 3)
    painted[..., 0, :] = 0.0
    painted[..., 100, :] = 1.0
    (depth, *_) = call(nodes["DecodeDepth"], image=painted, normalise="image", clip_percent=1.0)
    assert float(depth[0, 0, 50, 0]) == pytest.approx(0.5)
    assert float(depth[0, 0, 1, 0]) == pytest.approx(0.0, abs=1e-6)


def test_decode_depth_takes_its_range_from_what_the_model_saw(nodes):
    _, _, canvas, width, height = call(
        nodes["FitToCanvas"], image=image(256, 96), centre=96, fit="crop"
    )
    painted = torch.linspace(0.4, 0.6, width).view(1, 1, -1, 1).expand(1, height, -1, 3)
    *_, controlnet = call(nodes["DecodeDepth"], image=painted, canvas=canvas)
    seen = controlnet[0][canvas.covered()]
    assert float(seen.min()) == pytest.approx(0, abs=1e-5)
    assert float(seen.max()) == pytest.approx(1, abs=1e-5)


def test_decode_depth_restores_the_source_size(nodes):
    _, _, canvas, width, height = call(nodes["FitToCanvas"], image=image(77, 51), centre=128)
    found = call(nodes["DecodeDepth"], image=image(width, height), canvas=canvas)
    assert [one.shape for one in found] == [(1, 51, 77, 3)] * 4


def two_blobs():
    painted = torch.zeros(2, 40, 60, 3)
    painted[0, 5:15, 5:15] = 0.9
    painted[0, 20:38, 30:55] = 0.95
    return painted


def test_decode_mask_is_binary_and_parts_objects(nodes):
    mask, objects, count, _ = call(nodes["DecodeMask"], image=two_blobs())
    assert mask.shape == (2, 40, 60)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert mask[0].sum() == 100 + 18 * 25
    assert not mask[1].any()
    assert count == 2
    assert objects.shape == (2, 40, 60)
    assert objects[0].sum() == 18 * 25  # the larger one first


def test_decode_mask_of_nothing_is_empty_with_count_zero(nodes):
    mask, objects, count, _ = call(nodes["DecodeMask"], image=torch.zeros(1, 20, 30, 3))
    assert mask.shape == (1, 20, 30)
    assert not mask.any()
    assert count == 0
    assert objects.shape == (1, 20, 30)


def test_decode_mask_of_specks_keeps_the_largest(nodes, extension):
    """A noisy answer has thousands of objects; a mask for each would exhaust the memory."""
    limit = extension("nodes.decoders.selection").MAX_OBJECTS
    answer = torch.zeros(1, 128, 128, 3)
    answer[:, ::2, ::2] = 1
    answer[:, 64:70, 64:70] = 1
    mask, objects, count, _ = call(nodes["DecodeMask"], image=answer)
    assert mask.sum() > 4000
    assert count == len(objects) == limit
    assert objects[0].sum() >= 36
    assert all(one.sum() == 1 for one in objects[1:])


def test_decode_mask_lays_the_mask_on_the_source(nodes, errors):
    source = torch.zeros(1, 40, 60, 3)
    mask, *_, picture = call(nodes["DecodeMask"], image=two_blobs()[:1], source=source)
    assert torch.equal(picture[..., 0] > 0, mask > 0)
    assert not picture[..., 1:].any()
    with pytest.raises(errors.DecodeError, match="64 x 48"):
        call(nodes["DecodeMask"], image=two_blobs()[:1], source=torch.zeros(1, 48, 64, 3))


def test_decode_mask_finds_the_threshold_of_each_picture(nodes, errors):
    dim = torch.cat([two_blobs()[:1] * 0.3, two_blobs()[:1] * 0.6])
    dim = dim + 0.02
    mask, *_ = call(nodes["DecodeMask"], image=dim, threshold_by="otsu")
    assert [int(one.sum()) for one in mask] == [100 + 18 * 25] * 2
    assert not call(nodes["DecodeMask"], image=dim)[0][0].any()
    with pytest.raises(errors.InstructionError, match="fixed, otsu"):
        call(nodes["DecodeMask"], image=dim, threshold_by="guess")


def test_decode_mask_clean_up(nodes):
    assert call(nodes["DecodeMask"], image=two_blobs(), min_area=200)[2] == 1
    assert call(nodes["DecodeMask"], image=two_blobs(), largest_only=True)[0][0].sum() == 18 * 25
    grown = call(nodes["DecodeMask"], image=two_blobs(), grow=2)[0]
    assert grown[0].sum() > 550
    soft, _, count, _ = call(nodes["DecodeMask"], image=two_blobs(), feather=6.0)
    assert count == 2
    assert bool(((soft > 0) & (soft < 1)).any())


def test_decode_segmentation_names_the_classes(nodes):
    world = {"floor": (210, 60, 200), "ball": (230, 40, 40)}
    painted = torch.zeros(1, 10, 10, 3)
    painted[:] = torch.tensor(world["floor"]) / 255
    painted[0, :3] = torch.tensor(world["ball"]) / 255 + 0.02
    picture, mask, legend, masks, names = call(
        nodes["DecodeSegmentation"],
        image=painted.clamp(0, 1),
        palette="PixWizard Tiny world",
        classes="ball",
    )
    entries = json.loads(legend)
    assert [(entry["name"], entry["area_percent"]) for entry in entries] == [
        ("floor", 70.0),
        ("ball", 30.0),
    ]
    assert mask[0, :3].all()
    assert not mask[0, 3:].any()
    assert picture[0, 0, 0].tolist() == pytest.approx([c / 255 for c in world["ball"]])
    assert names == ["floor", "ball"]
    assert torch.equal(masks[1], mask)
    assert torch.equal(masks[0], 1 - mask)


PALETTE_TEXT = "name,r,g,b\nsky,0,0,255\ngrass,0,200,0\n"


def test_decode_segmentation_takes_the_users_palette(nodes, errors):
    painted = torch.zeros(1, 4, 6, 3)
    painted[:, :2, :, 2] = 1
    painted[:, 2:, :, 1] = 0.8
    _, mask, legend, masks, names = call(
        nodes["DecodeSegmentation"], image=painted, palette_text=PALETTE_TEXT, classes="gr*"
    )
    assert [entry["name"] for entry in json.loads(legend)] == ["sky", "grass"] == names
    assert torch.equal(mask[0], painted[0, ..., 1].round())
    assert len(masks) == 2
    with pytest.raises(errors.DecodeError, match="your palette"):
        call(nodes["DecodeSegmentation"], image=painted, palette_text="no palette")


def test_decode_segmentation_drops_speckles_and_far_colours(nodes):
    painted = torch.zeros(1, 20, 20, 3)
    painted[..., 2] = 1
    painted[:, 5, 5] = torch.tensor([0.0, 0.8, 0.0])  # a speck
    painted[:, 10:15, 10:15] = 0.5  # no class is near grey
    given = {"image": painted, "palette_text": PALETTE_TEXT}
    _, _, legend, _, names = call(nodes["DecodeSegmentation"], **given)
    assert "grass" in names
    _, mask, legend, _, names = call(
        nodes["DecodeSegmentation"], **given, max_distance=100.0, min_area=4
    )
    assert names == ["sky"]
    assert [entry["name"] for entry in json.loads(legend)] == ["sky", "background"]
    assert not mask[0, 10:15, 10:15].any()
    assert int(mask.sum()) == 400 - 25


def test_decode_segmentation_keeps_the_masks_of_classes_within_bounds(
    nodes, extension, monkeypatch
):
    """150 classes of a large picture would take gigabytes."""
    monkeypatch.setattr(extension("nodes.decoders.segmentation"), "MAX_CLASS_PX", 2 * 20 * 20)
    colours = extension("pixwizard_core.decode.palette").ade20k().colours
    painted = torch.zeros(1, 20, 20, 3)
    for row, rgb in enumerate(colours[1:6]):
        painted[:, 4 * row :] = torch.tensor(rgb) / 255
    painted[:, 16:19] = torch.tensor(colours[4]) / 255  # which makes the fourth the largest
    _, _, legend, masks, names = call(nodes["DecodeSegmentation"], image=painted)
    assert len(masks) == len(names) == 2
    assert names == [entry["name"] for entry in json.loads(legend)[:2]]
    assert len(json.loads(legend)) == 5


def test_decode_segmentation_of_background_alone_keeps_its_shapes(nodes):
    _, mask, _, masks, names = call(
        nodes["DecodeSegmentation"], image=torch.zeros(2, 5, 7, 3), palette_text=PALETTE_TEXT
    )
    assert not mask.any()
    assert names == [""]
    assert [one.shape for one in masks] == [(2, 5, 7)]
    assert not masks[0].any()


def test_decode_segmentation_refuses_an_unknown_class(nodes, errors):
    with pytest.raises(errors.DecodeError, match="sky"):
        call(nodes["DecodeSegmentation"], image=image(16, 16), classes="skie")


def test_demo_scene_is_the_same_for_the_same_seed(nodes):
    one, caption, target, depth, mask, *_ = call(nodes["DemoScene"], seed=3, width=96, height=64)
    assert one.shape == depth.shape == (1, 64, 96, 3)
    assert mask.shape == (1, 64, 96)
    assert caption
    assert target
    assert mask.any()
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    again = call(nodes["DemoScene"], seed=3, width=96, height=64)
    assert torch.equal(again[0], one)
    assert again[2] == target
    assert not torch.equal(call(nodes["DemoScene"], seed=4, width=96, height=64)[0], one)


def test_demo_scene_tells_the_true_answers(nodes, extension):
    answers = call(nodes["DemoScene"], seed=3, width=96, height=64)
    one, _, target, _, mask, normals, classes, without, damaged, bboxes, instruction, dicts = (
        answers
    )
    assert target in instruction
    assert "mask" in instruction or "white" in instruction  # as all trained phrasings say
    assert normals.shape == classes.shape == without.shape == one.shape
    assert torch.equal(damaged, one)
    length = (normals * 2 - 1).norm(dim=-1)
    assert torch.allclose(length, torch.ones_like(length), atol=1e-4)
    palette = extension("pixwizard_core.decode.palette").tiny_world()
    colours = {tuple(c) for c in (classes * 255).round().int().flatten(0, 2).tolist()}
    assert colours <= set(palette.colours)
    ((left, top, right, bottom),) = bboxes
    rows, columns = mask[0].nonzero().unbind(1)
    assert (left, right) == (int(columns.min()), int(columns.max()) + 1)
    assert (top, bottom) == (int(rows.min()), int(rows.max()) + 1)
    box = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    assert dicts == [[{**box, "label": target, "score": 1.0}]]
    (sized,) = call(nodes["DemoScene"], seed=3, width=96, height=64, format="xywh")[9]
    assert sized == list(box.values())
    inside = mask[0] > 0
    assert float((without - one).abs().amax(-1)[0][inside].mean()) > 0.05


@pytest.mark.parametrize("damage", ["denoise", "dehaze", "watermark", "superres"])
def test_demo_scene_damages_its_picture(nodes, damage):
    given = {"seed": 3, "width": 96, "height": 64, "damage": damage}
    one, *_, damaged, _, _, _ = call(nodes["DemoScene"], **given)
    assert damaged.shape == one.shape
    assert not torch.equal(damaged, one)
    assert torch.equal(call(nodes["DemoScene"], **given)[-4], damaged)


def test_demo_scene_knows_its_damages(nodes, errors):
    with pytest.raises(errors.InstructionError, match="denoise"):
        call(nodes["DemoScene"], damage="burn")


def test_demo_scene_takes_the_largest_seed(nodes):
    assert call(nodes["DemoScene"], seed=0xFFFFFFFFFFFFFFFF)[0].shape == (1, 128, 128, 3)


@pytest.mark.parametrize(("speed", "steps"), [("fast", 14), ("balanced", 29), ("reference", 59)])
def test_schedule_takes_steps_and_shift_from_the_speed(nodes, speed, steps):
    (levels,) = call(nodes["Schedule"], steps=4, time_shift=3.0, speed=speed)
    assert len(levels) == steps + 1
    assert float(levels[1]) == pytest.approx(1 - 1 / steps)  # even, whatever time_shift says


def test_schedule_as_set_keeps_the_widgets(nodes):
    (levels,) = call(nodes["Schedule"], steps=4, speed="as set")
    assert len(levels) == 5


def test_a_seed_linked_from_another_node_picks_a_wording(nodes):
    """Other nodes hand out seeds up to 2^64 - 1; the wording follows from the remainder."""
    given = {"task": "depth", "caption": "", "target": "", "colour": "red", "phrasing": 0}

    def wording(seed):
        return nodes["Instruction"].execute(**given, phrasing_seed=seed).args[0]

    count = len({wording(seed) for seed in range(40)})
    assert count > 1
    assert wording(2**32 + 5) == wording((2**32 + 5) % count)
    assert wording(2**64 - 1) == wording((2**64 - 1) % count)
