"""Nodes that read, lay, save and compare what the model painted, called as the host calls them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.fakes import host
from tests.nodes.test_schemas import stored

FROZEN = Path(__file__).with_name("frozen_data_nodes.json")
ODD_SIZES = [(1, 1), (17, 4001), (4000, 17), (513, 769)]
RED = torch.tensor([1.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def errors(extension):
    return extension("pixwizard_core.errors")


@pytest.fixture
def output(extension, monkeypatch, tmp_path):
    """The host's output folder."""
    host.write_to(tmp_path, monkeypatch, disable_metadata=False)
    return tmp_path


def called(node, **changes):
    """What a node gives with its defaults and these inputs."""
    defaults = {
        s.id: s.settings["default"] for s in node.define_schema().inputs if "default" in s.settings
    }
    return node.execute(**{**defaults, **changes})


def call(node, **changes):
    return called(node, **changes).args


def image(width, height, batch=1, channels=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, height, width, channels, generator=generator)


def some_mask(width, height, batch=1):
    mask = torch.zeros(batch, height, width)
    mask[:, height // 3 : max(height // 3 + 1, height // 2), width // 4 : width // 4 + 9] = 1
    return mask


@pytest.mark.parametrize(("width", "height"), ODD_SIZES)
@pytest.mark.parametrize("crop", [False, True])
def test_inpaint_and_composite_keep_every_bit_outside(nodes, width, height, crop):
    source, mask = image(width, height), some_mask(width, height)
    fitted, hole, canvas, painted = call(
        nodes["PrepareInpaint"], image=source, mask=mask, grow=0, centre=128, crop=crop
    )
    assert torch.equal(painted, mask)
    assert hole.shape == fitted.shape[:3]
    assert bool((fitted[hole > 0] == 0).all())
    result = image(fitted.shape[2], fitted.shape[1], seed=2)
    (out,) = call(
        nodes["Composite"], source=source, result=result, mask=painted, canvas=canvas, feather=3.0
    )
    assert out.shape == source.shape
    assert torch.equal(out[mask == 0], source[mask == 0])
    assert not torch.equal(out, source)


def two_places(width=240, height=160):
    """Two pictures, and masks at opposite corners of them."""
    mask = torch.zeros(2, height, width)
    mask[0, 5:25, 8:30] = 1
    mask[1, 120:150, 190:236] = 1
    return image(width, height, 2), mask


def test_crop_shows_each_picture_around_its_own_mask(nodes):
    source, mask = two_places()
    given = {"image": source, "mask": mask, "grow": 0, "centre": 128, "crop": True}
    fitted, hole, canvas, painted = call(nodes["PrepareInpaint"], **given)
    assert len(canvas) == 2
    assert canvas.of(0).view.right < 120 < canvas.of(1).view.left
    _, shared_hole, one, _ = call(nodes["PrepareInpaint"], **given, one_crop=True)
    assert one.view.width > 200
    assert (hole.flatten(1).mean(1) > 3 * shared_hole.flatten(1).mean(1)).all()
    for name in ("DecodeDepth", "DecodeMask", "DecodeNormals", "DecodeEdges", "DecodeSegmentation"):
        out = call(nodes[name], image=fitted, canvas=canvas)[0]
        assert out.shape[:3] == (2, 160, 240), name
    result = torch.zeros_like(fitted)
    (out,) = call(
        nodes["Composite"], source=source, result=result, mask=painted, canvas=canvas, feather=0.0
    )
    assert torch.equal(out[mask == 0], source[mask == 0])
    assert not out[mask == 1].any()


def test_crop_of_a_batch_in_which_one_mask_is_empty(nodes):
    source, mask = two_places()
    mask[1] = 0
    fitted, hole, canvas, painted = call(
        nodes["PrepareInpaint"], image=source, mask=mask, grow=0, centre=128, crop=True
    )
    assert not hole[1].any()
    (out,) = call(nodes["Composite"], source=source, result=fitted * 0, mask=painted, canvas=canvas)
    assert torch.equal(out[1], source[1])
    assert not torch.equal(out[0], source[0])


def test_crop_of_a_batch_refuses_another_number_of_results(nodes, errors):
    source, mask = two_places()
    fitted, _, canvas, painted = call(
        nodes["PrepareInpaint"], image=source, mask=mask, centre=128, crop=True
    )
    three = fitted[:1].expand(3, -1, -1, -1)
    with pytest.raises(errors.CanvasError, match="3 pictures for a canvas made for 2"):
        call(nodes["Composite"], source=source, result=three, mask=painted, canvas=canvas)


def test_boxes_in_crops_come_back_to_their_own_place(nodes):
    source, mask = two_places()
    fitted, _, canvas, _ = call(
        nodes["PrepareInpaint"], image=0.4 * source, mask=mask, centre=128, crop=True
    )
    answer = 0.3 * torch.ones_like(fitted)
    answer[:, 20:60, 30:90] = RED
    answer[:, 24:56, 34:86] = 0.3
    (one,), (other,) = call(nodes["DecodeBoxes"], image=answer, canvas=canvas)[0]
    assert one[2] < 120 < other[0]


def test_composite_keeps_values_beyond_the_range_and_transparency(nodes):
    source = image(20, 12, channels=4) * 3 - 1
    mask = some_mask(20, 12)
    (out,) = call(nodes["Composite"], source=source, result=image(20, 12), mask=mask, feather=0.0)
    assert out.shape == source.shape
    assert torch.equal(out[mask == 0], source[mask == 0])


def test_composite_takes_one_for_many_with_a_canvas(nodes):
    source, mask = image(60, 40), some_mask(60, 40)
    fitted, _, canvas, painted = call(
        nodes["PrepareInpaint"], image=source, mask=mask, centre=128, crop=True
    )
    many = fitted.expand(3, -1, -1, -1) * torch.tensor([0.2, 0.5, 1.0]).view(3, 1, 1, 1)
    (out,) = call(nodes["Composite"], source=source, result=many, mask=painted, canvas=canvas)
    assert out.shape == (3, 40, 60, 3)
    sources = source.expand(2, -1, -1, -1)
    (out,) = call(nodes["Composite"], source=sources, result=fitted, mask=mask, canvas=canvas)
    assert out.shape == (2, 40, 60, 3)


def test_composite_without_canvas_says_what_is_missing(nodes, errors):
    with pytest.raises(errors.CanvasError, match="connect the canvas"):
        call(nodes["Composite"], source=image(60, 40), result=image(64, 64), mask=some_mask(60, 40))


@pytest.mark.parametrize(
    "mask", [torch.zeros(1, 64, 64), torch.zeros(64, 64), torch.zeros(1, 50, 70)]
)
def test_no_mask_changes_nothing(nodes, mask):
    source = image(70, 50)
    fitted, hole, canvas, painted = call(
        nodes["PrepareInpaint"], image=source, mask=mask, crop=True, centre=128
    )
    assert not hole.any()
    assert painted.shape == (1, 50, 70)
    (out,) = call(nodes["Composite"], source=source, result=fitted, mask=painted, canvas=canvas)
    assert torch.equal(out, source)


def test_outpaint_and_composite_keep_every_bit_of_the_picture(nodes):
    given = image(70, 50, 2)
    fitted, hole, canvas, source, painted = call(
        nodes["PrepareOutpaint"], image=given, left=10, aspect="2:1", anchor="top", centre=128
    )
    assert source.shape == (2, 50, 100, 3)
    assert painted.shape == (2, 50, 100)
    assert bool((fitted[hole > 0] == 0).all())
    (out,) = call(nodes["Composite"], source=source, result=fitted, mask=painted, canvas=canvas)
    kept = slice(20, 90)  # 10 px on the left, then 20 more, half on each side
    assert torch.equal(out[:, :, kept], given)
    assert not painted[:, :, kept].any()


def test_outpaint_refuses_what_is_no_aspect_ratio(nodes, errors):
    with pytest.raises(errors.CanvasError, match="write it as 16:9"):
        call(nodes["PrepareOutpaint"], image=image(8, 8), aspect="wide")


def test_blank_canvas_leads_back_to_its_size(nodes):
    blank, canvas = call(nodes["BlankCanvas"], width=301, height=203, batch_size=2)
    assert blank.shape == (2, 208, 304, 3)
    assert bool((blank == 1).all())
    restored, _ = call(nodes["RestoreFromCanvas"], canvas=canvas, image=blank)
    assert restored.shape == (2, 203, 301, 3)


@pytest.mark.parametrize("fill", ["grey", ""])
def test_unknown_fill_is_refused(nodes, errors, fill):
    with pytest.raises(errors.InstructionError, match="black, white"):
        call(nodes["BlankCanvas"], fill=fill)


def outlined(width=128, height=96, box=(20, 30, 70, 80)):
    """A dim picture, and the same with a red outline."""
    source = 0.4 * image(width, height)
    answer = source.clone()
    left, top, right, bottom = box
    answer[:, top:bottom, left:right] = RED
    answer[:, top + 3 : bottom - 3, left + 3 : right - 3] = source[
        :, top + 3 : bottom - 3, left + 3 : right - 3
    ]
    return source, answer


def test_boxes_come_out_in_every_form(nodes):
    source, answer = outlined()
    result = called(nodes["DecodeBoxes"], image=answer, source=source, label="ball")
    (bboxes,), dicts, segs, text, mask, picture, count, coordinates = result.args
    assert bboxes == [[20, 30, 70, 80]]
    box = {"x": 20, "y": 30, "width": 50, "height": 50, "label": "ball", "score": 1.0}
    assert dicts == [[box]]  # a list for each picture, for one picture too
    assert coordinates == [[[20, 30, 70, 80]]]
    sized = call(nodes["DecodeBoxes"], image=answer, source=source, format="xywh")
    assert sized[0] == [[[20, 30, 50, 50]]]
    assert sized[7] == coordinates  # Florence reads corners, whatever the format
    ((size, (seg,)),) = segs
    assert size == (96, 128)
    assert (seg.bbox, seg.label) == ([20, 30, 70, 80], "ball")
    data = json.loads(text)
    assert data[0]["bboxes"] == bboxes
    assert data[0]["schema_version"] == 1
    assert mask.sum() == 2500
    assert picture.shape == source.shape
    assert count == 1
    assert result.ui["text"] == [text]
    assert result.ui["pixwizard_boxes"] == data


def test_boxes_carry_their_name_in_the_picture(nodes):
    source, answer = outlined()
    named = call(nodes["DecodeBoxes"], image=answer, source=source, label="ball")[5]
    bare = call(nodes["DecodeBoxes"], image=answer, source=source, label=" ")[5]
    changed = (named != bare).any(-1)[0].nonzero()
    assert len(changed)
    (top, left), (bottom, right) = changed.amin(0).tolist(), changed.amax(0).tolist()
    assert 15 <= top < bottom < 30  # above the box that begins at row 30
    assert 20 <= left < right < 80


def test_boxes_of_nothing_are_an_answer(nodes):
    source, _ = outlined()
    bboxes, dicts, segs, text, mask, picture, count, coordinates = call(
        nodes["DecodeBoxes"], image=source, source=source
    )
    assert (bboxes, dicts, segs, count) == ([[]], [[]], [((96, 128), [])], 0)
    assert coordinates == [[]]
    assert json.loads(text)[0]["bboxes"] == []
    assert mask.shape == (1, 96, 128)
    assert not mask.any()
    assert torch.equal(picture, source)


def test_boxes_of_a_batch_are_kept_apart(nodes):
    source, answer = outlined()
    both = torch.cat([source, answer])
    bboxes, dicts, segs, text, mask, _, count, _ = call(
        nodes["DecodeBoxes"], image=both, source=source
    )
    assert bboxes == [[], [[20, 30, 70, 80]]]
    assert [len(boxes) for boxes in dicts] == [0, 1]
    assert [len(found) for _, found in segs] == [0, 1]
    assert [len(entry["bboxes"]) for entry in json.loads(text)] == [0, 1]
    assert mask.flatten(1).any(1).tolist() == [False, True]
    assert count == 1


def test_boxes_come_back_to_the_source_size(nodes):
    source = 0.4 * image(300, 200)
    fitted, _, canvas, _, _ = call(nodes["FitToCanvas"], image=source, centre=128)
    answer = fitted.clone()
    answer[:, 20:60, 30:110] = RED
    answer[:, 23:57, 33:107] = fitted[:, 23:57, 33:107]
    height, width = fitted.shape[1:3]
    for given in (source, fitted):
        (bboxes,), *_, mask, picture, count, _ = call(
            nodes["DecodeBoxes"], image=answer, source=given, canvas=canvas
        )
        assert count == 1
        assert mask.shape == (1, 200, 300)
        assert picture.shape == (1, 200, 300, 3)
        wanted = [30 * 300 / width, 20 * 200 / height, 110 * 300 / width, 60 * 200 / height]
        assert bboxes[0] == pytest.approx(wanted, abs=1)


def test_boxes_say_when_the_source_does_not_belong(nodes, errors):
    _, answer = outlined()
    with pytest.raises(errors.DecodeError, match="connect the canvas too"):
        call(nodes["DecodeBoxes"], image=answer, source=image(50, 40))


def enlarged(picture, times):
    """An IMAGE with each pixel repeated, as the plainest upscaler makes it."""
    return picture.repeat_interleave(times, 1).repeat_interleave(times, 2)


@pytest.mark.parametrize("times", [2, 3])
def test_upscaled_answers_come_back_through_their_canvas(nodes, times):
    source = 0.4 * image(300, 200)
    fitted, _, canvas, *_ = call(nodes["FitToCanvas"], image=source, centre=128)
    answer = fitted.clone()
    answer[:, 20:60, 30:110] = RED
    answer[:, 23:57, 33:107] = fitted[:, 23:57, 33:107]
    large = enlarged(answer, times)
    ((plain,),) = call(nodes["DecodeBoxes"], image=answer, source=source, canvas=canvas)[0]
    for given in (source, fitted):
        ((box,),) = call(nodes["DecodeBoxes"], image=large, source=given, canvas=canvas)[0]
        assert box == pytest.approx(plain, abs=1)
    restored, mask = call(nodes["RestoreFromCanvas"], canvas=canvas, image=large)
    assert (restored.shape, mask.shape) == ((1, 200, 300, 3), (1, 200, 300))
    assert (
        restored - call(nodes["RestoreFromCanvas"], canvas=canvas, image=answer)[0]
    ).abs().mean() < 0.05
    whole = torch.ones(1, 200, 300)
    (laid,) = call(
        nodes["Composite"], source=source, result=large, mask=whole, canvas=canvas, feather=0.0
    )
    assert torch.equal(laid, restored)


def test_answer_of_another_aspect_is_told_the_size_to_resize_to(nodes, errors):
    source = image(300, 200)
    _, _, canvas, width, height = call(nodes["FitToCanvas"], image=source, centre=128)
    for name in ("RestoreFromCanvas", "DecodeMask", "DecodeBoxes"):
        with pytest.raises(errors.CanvasError, match=f"{width} x {height} px; resize it to that"):
            call(nodes[name], image=image(150, 150), canvas=canvas, source=source)


def tinted(width=120, height=80):
    """A picture with a red thing in it, and the same with a disc of it tinted red."""
    source = 0.2 + 0.5 * image(width, height)
    source[:, 5:20, 5:30] = torch.tensor([0.9, 0.1, 0.1])
    yy, xx = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    disc = (yy - 50) ** 2 + (xx - 70) ** 2 < 20**2
    answer = source.clone()
    answer[0, disc] = 0.5 * source[0, disc] + 0.5 * RED
    return source, answer, disc


def overlap(one, other):
    return float((one & other).sum() / (one | other).sum())


def test_highlight_with_source_leaves_things_of_that_colour_out(nodes):
    source, answer, disc = tinted()
    mask, objects, count, picture = call(
        nodes["DecodeHighlight"], image=answer, source=source, min_area=20
    )
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert overlap(mask[0] > 0, disc) > 0.95
    assert count == len(objects) == 1
    assert picture.shape == source.shape
    far = torch.ones(80, 120, dtype=torch.bool)
    far[mask[0] > 0] = False
    assert torch.equal(picture[0][far], source[0][far])


def test_highlight_by_hue_needs_no_source(nodes, errors):
    _, answer, _ = tinted()
    mask = call(nodes["DecodeHighlight"], image=answer)[0]
    assert mask[0, 5:20, 5:30].mean() > 0.9  # red things are selected as well
    with pytest.raises(errors.DecodeError, match="connect source"):
        call(nodes["DecodeHighlight"], image=answer, method="alpha")
    with pytest.raises(errors.InstructionError, match="auto, alpha, hsv"):
        call(nodes["DecodeHighlight"], image=answer, method="magic")


def test_highlight_of_nothing_keeps_its_shape(nodes):
    source, _, _ = tinted()
    mask, objects, count, _ = call(nodes["DecodeHighlight"], image=source, source=source)
    assert mask.shape == objects.shape == (1, 80, 120)
    assert not mask.any()
    assert count == 0


def test_highlight_comes_back_to_the_source_size(nodes):
    source = 0.2 + 0.5 * image(301, 203)
    fitted, _, canvas, _, _ = call(nodes["FitToCanvas"], image=source, centre=128)
    answer = fitted.clone()
    answer[:, 30:70, 40:90] = 0.5 * fitted[:, 30:70, 40:90] + 0.5 * RED
    mask, _, count, picture = call(
        nodes["DecodeHighlight"], image=answer, source=source, canvas=canvas, largest_only=True
    )
    assert mask.shape == (1, 203, 301)
    assert picture.shape == (1, 203, 301, 3)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert count == 1


@pytest.mark.parametrize(
    ("width", "height", "channels", "batch"),
    [(1, 1, 3, 2), (17, 4001, 4, 1), (4000, 17, 3, 1), (513, 769, 4, 1), (65, 33, 3, 2)],
)
def test_decoders_give_back_the_source_size(nodes, width, height, channels, batch):
    source = image(width, height, channels=channels)
    fitted, _, canvas, *_ = call(nodes["FitToCanvas"], image=source, centre=128)
    answer = image(fitted.shape[2], fitted.shape[1], batch, channels, seed=3)
    for name in ("DecodeHighlight", "DecodeEdges", "DecodeNormals", "DecodeBoxes"):
        for known in ({}, {"source": source}):
            if known and name not in ("DecodeHighlight", "DecodeBoxes"):
                continue
            for out in call(nodes[name], image=answer, canvas=canvas, **known):
                if isinstance(out, torch.Tensor):
                    assert out.shape[1:3] == (height, width), name
                    assert torch.isfinite(out).all()
    merged = call(nodes["MergeDepths"], depths=answer, canvas=canvas)
    assert all(out.shape == (1, height, width, 3) for out in merged)


def test_edges_give_picture_and_mask(nodes):
    drawn = torch.zeros(1, 30, 50, 3)
    drawn[:, 10:15, 5:45] = 0.9
    picture, mask = call(nodes["DecodeEdges"], image=drawn)
    assert torch.equal(picture, drawn)
    assert mask.sum() == 200
    thin = call(nodes["DecodeEdges"], image=drawn, thin=True)[1]
    assert int(thin.sum(1).max()) == 1
    dark = call(nodes["DecodeEdges"], image=1 - drawn, lines="dark")[1]
    assert torch.equal(dark, mask)


def test_normals_are_unit_and_flip(nodes):
    painted = torch.tensor([0.5, 0.9, 0.7]).expand(1, 4, 6, 3)
    (up,) = call(nodes["DecodeNormals"], image=painted)
    (down,) = call(nodes["DecodeNormals"], image=painted, green="down")
    (left,) = call(nodes["DecodeNormals"], image=painted, red="left")
    assert torch.allclose((up * 2 - 1).norm(dim=-1), torch.ones(1, 4, 6))
    assert up[0, 0, 0].tolist() == pytest.approx([0.5, 0.947214, 0.723607], abs=1e-5)
    assert torch.allclose(down[..., 1], 1 - up[..., 1])
    assert torch.allclose(left[..., 0], 1 - up[..., 0])


def test_normals_outside_a_crop_face_the_viewer(nodes):
    source = image(256, 96)
    fitted, _, canvas, *_ = call(nodes["FitToCanvas"], image=source, centre=96, fit="crop")
    (out,) = call(nodes["DecodeNormals"], image=fitted, canvas=canvas)
    assert out.shape == source.shape
    assert out[0][~canvas.covered()].unique(dim=0).tolist() == [[0.5, 0.5, 1.0]]


def test_depths_of_several_seeds_become_one(nodes, errors):
    truth = torch.linspace(0.1, 0.6, 40)[None, :, None, None].expand(1, 40, 30, 3)
    runs = torch.cat([truth, truth * 0.5 + 0.3, truth * 1.2])
    depth, uncertainty, picture = call(nodes["MergeDepths"], depths=runs)
    assert depth.shape == uncertainty.shape == picture.shape == (1, 40, 30, 3)
    assert float(uncertainty.max()) < 1e-4
    depth, *_ = call(nodes["MergeDepths"], depths=runs.repeat(2, 1, 1, 1), runs=3)
    assert torch.equal(depth[0], depth[1])
    with pytest.raises(errors.DecodeError, match="runs of 2"):
        call(nodes["MergeDepths"], depths=runs, runs=2)


def test_depth_to_metres_goes_beyond_one(nodes):
    depth = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 3, 1).expand(1, 1, 3, 3)
    (metres,) = call(nodes["DepthToMetres"], depth=depth, near_m=1.0, far_m=9.0)
    assert metres[0, 0, :, 0].tolist() == [9.0, 7.0, 1.0]
    (metres,) = call(nodes["DepthToMetres"], depth=depth, near_m=1.0, far_m=9.0, near="black")
    assert metres[0, 0, :, 0].tolist() == [1.0, 3.0, 9.0]


def test_saved_depth_keeps_its_numbers(nodes, output):
    depth = image(9, 5, 2)[..., :1].expand(2, 5, 9, 3)
    result = called(nodes["SaveDepth"], depth=depth, filename_prefix="rooms/%width%")
    assert json.loads(result.args[0]) == ["rooms/9_00001_.png", "rooms/9_00002_.png"]
    found = np.array(Image.open(output / "rooms" / "9_00002_.png"))
    assert np.array_equal(found, np.rint(depth[1, ..., 0].double().numpy() * 65535))
    assert result.ui["images"][1] == {
        "filename": "9_00002_.png", "subfolder": "rooms", "type": "output"
    }  # fmt: skip
    again = called(nodes["SaveDepth"], depth=depth, filename_prefix="rooms/9", format="npy")
    assert json.loads(again.args[0]) == ["rooms/9_00003_.npy", "rooms/9_00004_.npy"]
    assert "images" not in again.ui
    metres = np.load(output / "rooms" / "9_00003_.npy")
    assert np.allclose(metres, 10 - 10 * depth[0, ..., 0].numpy(), atol=1e-5)
    call(nodes["SaveDepth"], depth=depth[:1], filename_prefix="a", format="exr")
    assert (output / "a_00001_.exr").read_bytes()[:4] == b"\x76\x2f\x31\x01"


def test_saved_files_carry_the_prompt_unless_told_not_to(nodes, output):
    class Called(nodes["SaveDepth"]):
        hidden = SimpleNamespace(prompt={"1": {}}, extra_pnginfo={"workflow": {"id": 7}})

    call(Called, depth=image(4, 4), filename_prefix="a")
    texts = Image.open(output / "a_00001_.png").text
    assert json.loads(texts["workflow"]) == {"id": 7}
    assert json.loads(texts["prompt"]) == {"1": {}}
    sys.modules["comfy.cli_args"].args.disable_metadata = True
    call(Called, depth=image(4, 4), filename_prefix="b")
    assert "prompt" not in Image.open(output / "b_00001_.png").text


@pytest.mark.parametrize(
    "prefix",
    [
        "/tmp/a",
        "../a",
        "a/../../b",
        "C:\\a",
        "\\\\server\\share\\a",
        "a\\..\\..\\b",
        "~/a",
        "",
    ],
)
def test_files_stay_in_the_output_folder(nodes, errors, output, prefix):
    for kind, given in (("SaveDepth", "depth"), ("SaveLabels", "image")):
        with pytest.raises(errors.CanvasError, match="output folder"):
            call(nodes[kind], filename_prefix=prefix, **{given: image(4, 4)})
    assert list(output.iterdir()) == []


def test_an_invisible_character_in_a_file_name_is_refused(nodes, errors, output):
    for kind, given in (("SaveDepth", "depth"), ("SaveLabels", "image")):
        with pytest.raises(errors.CanvasError, match=r"invisible character.*U\+0000.*position 2"):
            call(nodes[kind], filename_prefix="a\0b", **{given: image(4, 4)})
    assert list(output.iterdir()) == []


def test_saved_labels_come_with_their_legend(nodes, output):
    world = {"floor": (210, 60, 200), "ball": (230, 40, 40)}
    painted = torch.zeros(1, 4, 5, 3)
    painted[:] = torch.tensor(world["floor"]) / 255
    painted[0, 0] = torch.tensor(world["ball"]) / 255
    (files,) = call(nodes["SaveLabels"], image=painted, palette="PixWizard Tiny world")
    png, legend = json.loads(files)
    indices = np.array(Image.open(output / png))
    names = {c["index"]: c["name"] for c in json.loads((output / legend).read_text())["classes"]}
    assert [names[i] for i in indices[:2, 0].tolist()] == ["ball", "floor"]


def compared(nodes, **inputs):
    result = called(nodes["Compare"], **inputs)
    data = json.loads(result.args[0])
    (shown,) = result.ui["pixwizard_scores"]
    assert list(shown) == list(data)
    assert data["kind"] == inputs["kind"]
    return data, result.args[1]


def test_compare_shows_as_many_decimals_as_mean_something(nodes):
    half = torch.full((1, 32, 24, 3), 0.5)
    result = called(nodes["Compare"], kind="picture", prediction=half, truth=half + 0.0123456)
    (shown,) = result.ui["pixwizard_scores"]
    assert (shown["psnr_db"], shown["l1"]) == (38.2, 0.0123)
    assert json.loads(result.args[0])["l1"] == pytest.approx(0.012346, abs=2e-6)


def test_compare_gives_the_scores_of_each_kind(nodes):
    one, other = image(32, 24), image(32, 24, seed=5)
    data, score = compared(nodes, kind="picture", prediction=one, truth=one)
    assert (data["psnr_db"], data["l1"], score) == ("inf", 0.0, float("inf"))
    data, score = compared(nodes, kind="depth", prediction=one, truth=other)
    assert 2 < data["rmse_m"] == pytest.approx(score, abs=1e-6)
    assert set(data) == {"schema_version", "kind", "rmse_m", "abs_rel", "delta_1"}
    assert compared(nodes, kind="normals", prediction=one, truth=one)[1] == pytest.approx(0)
    assert compared(nodes, kind="segmentation", prediction=one, truth=one)[1] == 1
    assert compared(nodes, kind="edges", prediction=one, truth=one)[1] == 1
    masks = {"prediction_mask": some_mask(32, 24, 2), "truth_mask": torch.ones(24, 32)}
    assert compared(nodes, kind="mask", **masks)[1] == pytest.approx(9 * 4 / (32 * 24))
    boxes = {
        "prediction_boxes": [[0, 0, 4, 4]],
        "truth_boxes": '[{"x":0,"y":0,"width":4,"height":2}]',
    }
    assert compared(nodes, kind="boxes", **boxes)[1] == pytest.approx(0.5)


def test_compare_reads_boxes_by_their_format(nodes, errors):
    truth = {"kind": "boxes", "truth_boxes": [[20, 30, 70, 80]]}
    score = compared(nodes, **truth, prediction_boxes=[[20, 30, 50, 50]], prediction_format="xywh")
    assert score[1] == 1
    sized = {"kind": "boxes", "truth_boxes": [[20, 30, 50, 50]], "truth_format": "xywh"}
    assert compared(nodes, **sized, prediction_boxes=[[20, 30, 70, 80]])[1] == 1
    auto = {"prediction_boxes": [[90, 60, 30, 20]], "prediction_format": "auto"}
    assert compared(nodes, kind="boxes", truth_boxes=[[90, 60, 120, 80]], **auto)[1] == 1
    picture = {"prediction": image(64, 96), "prediction_boxes": [[20, 30, 50, 50]]}
    auto = {"truth_boxes": [[20, 30, 50, 50]], "prediction_format": "auto"}
    assert compared(nodes, kind="boxes", **picture, **auto)[1] == 1
    with pytest.raises(errors.DecodeError, match="choose the format xywh"):
        compared(
            nodes, kind="boxes", truth_boxes=[[0, 0, 9, 9]], prediction_boxes=[[90, 60, 30, 20]]
        )


def test_compare_takes_boxes_picture_by_picture(nodes):
    source, answer = outlined()
    both = torch.cat([source, answer])
    bboxes, dicts, _, text, *_ = call(nodes["DecodeBoxes"], image=both, source=source)
    for form in (dicts, text, bboxes):
        data, score = compared(
            nodes, kind="boxes", prediction_boxes=form, truth_boxes=[[], [[20, 30, 70, 80]]]
        )
        assert (data["box_iou"], data["precision"], data["recall"], score) == (1, 1, 1, 1)
    swapped = [[[20, 30, 70, 80]], []]
    assert compared(nodes, kind="boxes", prediction_boxes=text, truth_boxes=swapped)[1] == 0


def test_compare_and_labels_take_the_users_palette(nodes, output):
    text = '{"sky": [0, 0, 255], "grass": [0, 200, 0]}'
    one = torch.zeros(1, 4, 6, 3)
    one[:, :2, :, 2] = 1
    one[:, 2:, :, 1] = 0.8
    other = one.flip(1)
    data, _ = compared(nodes, kind="segmentation", prediction=one, truth=other, palette_text=text)
    assert data["pixel_accuracy"] == 0
    (files,) = call(nodes["SaveLabels"], image=one, palette_text=text)
    png, legend = json.loads(files)
    names = [c["name"] for c in json.loads((output / legend).read_text())["classes"]]
    assert sorted(names) == ["grass", "sky"]
    assert sorted(set(np.array(Image.open(output / png)).flatten().tolist())) == [1, 2]


def test_compare_counts_valid_pixels_only(nodes):
    one = image(32, 24)
    other = one.clone()
    other[:, :, :8] = 0
    valid = torch.ones(1, 24, 32)
    valid[:, :, :8] = 0
    for kind in ("depth", "picture", "normals", "segmentation"):
        free, _ = compared(nodes, kind=kind, prediction=other, truth=one)
        held, _ = compared(nodes, kind=kind, prediction=other, truth=one, valid=valid)
        assert free != held, kind
    assert held["miou"] == 1.0


def test_compare_writes_what_is_no_number_as_null(nodes):
    empty = torch.zeros(1, 8, 8)
    data, score = compared(nodes, kind="mask", prediction_mask=empty, truth_mask=empty)
    assert data["ciou"] is None
    assert score != score


@pytest.mark.parametrize(
    ("kind", "words"),
    [("depth", "prediction and truth"), ("mask", "two masks"), ("boxes", "truth_boxes")],
)
def test_compare_says_what_is_missing(nodes, errors, kind, words):
    with pytest.raises(errors.CanvasError, match=words):
        call(nodes["Compare"], kind=kind)


def test_compare_refuses_other_sizes(nodes, errors):
    with pytest.raises(errors.CanvasError, match="1 of 8 x 8 px, the truth 1 of 9 x 8 px"):
        call(nodes["Compare"], kind="picture", prediction=image(8, 8), truth=image(9, 8))


def test_saved_workflows_with_these_nodes_keep_loading(nodes):
    """Inputs and outputs may be appended, never renamed, moved or removed."""
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    for name, sockets in frozen.items():
        now = stored(nodes[name].define_schema())
        for side, known in sockets.items():
            assert now[side][: len(known)] == known, f"{name}: the {side} changed"
