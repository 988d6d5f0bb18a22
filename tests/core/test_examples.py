"""Examples of every task: inputs, answers, sentences and truth agree with each other."""

import pytest
import torch

from pixwizard_core.tasks import COLOURS, TASKS
from pixwizard_core.world import degrade, edges, holes
from pixwizard_core.world.examples import WORLD_TASKS, make_examples
from pixwizard_core.world.mixture import PICTURE_KINDS, picture_mix
from pixwizard_core.world.render import CLASSES, render
from pixwizard_core.world.scenes import sample_scenes

RESTORATION = [
    name for name, task in TASKS.items() if task.family == "Restore" and name in WORLD_TASKS
]
SPOILERS = (
    degrade.noise,
    degrade.rain,
    degrade.snow,
    degrade.blur,
    degrade.shadow,
    degrade.low_light,
    degrade.moire,
    degrade.watermark,
    degrade.low_resolution,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(tasks, size=(64, 64), seed=0, **options):
    scenes = sample_scenes(len(tasks), seeded(seed))
    return make_examples(tasks, scenes, *size, seeded(seed + 1), "cpu", **options)


@pytest.fixture(scope="module")
def every():
    return made(list(WORLD_TASKS), (96, 64), seed=3)


def test_the_world_shows_every_task_but_those_of_faces_subjects_and_questions():
    assert set(TASKS) - set(WORLD_TASKS) == {
        "face", "inpaint_face", "highlight_reasoning", "subject", "person", "logo",
    }  # fmt: skip
    assert set(WORLD_TASKS) <= set(TASKS)


def test_examples_are_pictures_in_range(every):
    for pictures in (every.inputs, every.targets):
        assert pictures.shape == (len(WORLD_TASKS), 3, 96, 64)
        assert pictures.isfinite().all()
        assert 0 <= pictures.min() < pictures.max() <= 1


def test_examples_ask_in_words_and_change_something(every):
    for i, task in enumerate(every.tasks):
        assert len(every.instructions[i].split()) >= 2
        assert "{" not in every.instructions[i]
        assert (every.inputs[i] - every.targets[i]).abs().max() > 0.05, task


def test_examples_same_seed_same_examples(every):
    again = made(list(WORLD_TASKS), (96, 64), seed=3)
    assert torch.equal(again.inputs, every.inputs)
    assert torch.equal(again.targets, every.targets)
    assert again.instructions == every.instructions


def test_inputs_of_perception_and_targets_of_restoration_are_the_scene(every):
    for i, task in enumerate(every.tasks):
        family = TASKS[task].family
        if family in ("Perceive", "Ground"):
            assert torch.equal(every.inputs[i], every.truth["rgb"][i])
        if family in ("Restore", "Inpaint", "Control", "Generate"):
            assert torch.equal(every.targets[i], every.truth["rgb"][i])


@pytest.mark.parametrize("held_out", [False, True])
def test_held_out_phrasings_stay_apart(held_out):
    result = made(["depth"] * 40, (16, 16), held_out=held_out)
    used = {TASKS["depth"].phrasings.index(sentence) for sentence in result.instructions}
    wanted = TASKS["depth"].held_out if held_out else TASKS["depth"].seen
    assert used == set(wanted)


def test_depth_normal_and_segmentation_pictures_code_the_truth():
    result = made(["depth", "normal", "segmentation"])
    depth, normal, classes = result.targets
    assert torch.equal(depth[0], result.truth["depth_01"][0])
    assert torch.allclose(normal * 2 - 1, result.truth["normals"][1], atol=1e-6)
    floor = result.truth["classes"][2] == CLASSES.index("floor")
    painted = (classes[:, floor] * 255).round().long().unique(dim=1)
    assert painted[:, 0].tolist() == [210, 60, 200]
    assert painted.shape[1] == 1


def test_mask_is_the_named_object():
    result = made(["mask"] * 12)
    truth = result.truth
    assert torch.equal(truth["mask"], truth["instances"] == truth["object"][:, None, None])
    assert torch.equal(result.targets, truth["mask"].float()[:, None].expand(-1, 3, -1, -1))
    assert all(t in s for t, s in zip(truth["target"], result.instructions, strict=True))


def test_highlight_tints_half_way_and_nothing_else():
    result = made(["highlight"] * 12)
    mask, colours = result.truth["mask"], torch.tensor(list(COLOURS.values())) / 255
    for i in range(12):
        tint = (result.inputs[i] + colours[result.truth["colour"][i]][:, None, None]) / 2
        assert torch.allclose(result.targets[i][:, mask[i]], tint[:, mask[i]], atol=1e-6)
        assert torch.equal(result.targets[i][:, ~mask[i]], result.inputs[i][:, ~mask[i]])
        assert list(COLOURS)[result.truth["colour"][i]] in result.instructions[i]


def test_box_outline_is_tight_and_three_pixels_wide():
    result = made(["box"] * 6, (128, 128))
    for i in range(6):
        left, top, right, bottom = result.truth["box_xyxy_px"][i].tolist()
        ys, xs = result.truth["mask"][i].nonzero().unbind(1)
        assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == [left, top, right, bottom]
        colour = torch.tensor(list(COLOURS.values())[result.truth["colour"][i]]) / 255
        line = result.targets[i, :, top : top + 3, left:right]
        assert torch.equal(line, colour[:, None, None].expand_as(line))
        inside = (slice(None), slice(top + 3, bottom - 3), slice(left + 3, right - 3))
        assert torch.equal(result.targets[i][inside], result.inputs[i][inside])


@pytest.mark.parametrize("task", ["inpaint", "outpaint"])
def test_holes_are_black_or_white_and_the_rest_is_kept(task):
    result = made([task] * 12)
    for i in range(12):
        hole = result.truth["mask"][i]
        assert result.inputs[i][:, hole].unique().tolist() in ([0.0], [1.0])
        assert torch.equal(result.inputs[i][:, ~hole], result.targets[i][:, ~hole])
        assert 0.02 < hole.float().mean() < 0.9


def test_recolour_changes_the_object_alone():
    result = made(["recolour"] * 8)
    differs = (result.inputs != result.targets).any(1)
    assert torch.equal(differs & ~result.truth["mask"], torch.zeros_like(differs))
    assert (differs & result.truth["mask"]).flatten(1).any(1).all()


def test_remove_and_add_are_opposites():
    scenes = sample_scenes(8, seeded(5))
    removed = make_examples(["remove"] * 8, scenes, 64, 64, seeded(6), "cpu")
    without = render(scenes.without(removed.truth["object"]), 64, 64).rgb
    assert torch.equal(removed.targets, without)
    added = make_examples(["add"] * 8, scenes, 64, 64, seeded(6), "cpu")
    assert torch.equal(added.targets, removed.inputs)
    assert torch.equal(added.inputs, removed.targets)


def test_replace_background_and_edit_tell_what_they_change():
    result = made(["replace"] * 6 + ["background"] * 6 + ["edit"] * 24)
    assert set(result.truth["kind"][12:]) >= {"recolour", "remove", "add", "style"}
    for i in range(36):
        outside = ~result.truth["mask"][i]
        # A new shape and a removed one take their shadows along, so those edits reach further.
        if result.truth["kind"][i] in ("recolour", "background", "style"):
            assert torch.equal(result.inputs[i][:, outside], result.targets[i][:, outside])
        assert (result.truth["object"][i] >= 0) == (
            result.truth["kind"][i] not in ("background", "style")
        )


@pytest.mark.parametrize("task", RESTORATION)
def test_restoration_inputs_are_clearly_worse(task):
    result = made([task] * 6)
    error = (result.inputs - result.targets).square().flatten(1).mean(1)
    psnr = -10 * error.log10()
    assert psnr.max() < 36
    assert psnr.min() > 3


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda f: f.__name__)
def test_spoilers_keep_shape_and_range(spoil):
    x = torch.rand(3, 3, 48, 80, generator=seeded())
    result = spoil(x, seeded(1))
    assert result.shape == x.shape
    assert 0 <= result.min() <= result.max() <= 1
    assert torch.equal(result, spoil(x, seeded(1)))
    assert (result - x).abs().flatten(1).amax(1).min() > 0.02  # every picture, each in its own way


def test_noise_has_the_promised_strength():
    x = torch.full((64, 3, 32, 32), 0.5)
    deviation = degrade.noise(x, seeded()).flatten(1).std(1) * 255
    assert 13 < deviation.min() < 20
    assert 42 < deviation.max() < 53


@pytest.mark.parametrize("spoil", [degrade.blur, degrade.low_resolution], ids=lambda f: f.__name__)
def test_blur_and_downsampling_leave_flat_pictures_alone(spoil):
    x = torch.full((4, 3, 48, 64), 0.3)
    assert torch.allclose(spoil(x, seeded()), x, atol=1e-5)


def test_shadow_only_darkens_and_rain_only_brightens_black():
    x = torch.rand(4, 3, 48, 48, generator=seeded())
    assert (degrade.shadow(x, seeded()) <= x + 1e-6).all()
    assert degrade.rain(torch.zeros(4, 3, 48, 48), seeded()).amax((1, 2, 3)).min() > 0.3


def test_haze_grows_with_distance():
    black, depth = torch.zeros(3, 3, 2, 8), torch.linspace(1, 8, 8).expand(3, 2, 8)
    row = degrade.haze(black, depth, seeded())[:, 0, 0]
    assert (row.diff(dim=1) > 0).all()


def test_canny_of_a_step_is_one_column():
    x = torch.zeros(1, 3, 32, 32)
    x[..., 16:] = 1
    columns = edges.canny(x)[0].float().mean(0)
    assert columns.sum() == 1
    assert columns[15:17].max() == 1


def test_canny_sees_colours_of_one_brightness():
    x = torch.zeros(1, 3, 32, 32)
    x[:, 0, :, :16], x[:, 1, :, 16:] = 0.587, 0.299  # equal luma
    assert edges.canny(x).any()


def test_margins_reach_a_border_and_holes_differ():
    x = torch.zeros(32, 3, 64, 96)
    margin = holes.random_margin(x, seeded())
    sides = torch.stack([margin[..., 0], margin[..., -1]], 1).all(2).any(1)
    ends = torch.stack([margin[:, 0], margin[:, -1]], 1).all(2).any(1)
    assert (sides | ends).all()
    assert not margin[:, 32, 48].any()
    assert len({tuple(h.flatten().tolist()) for h in holes.random_hole(x, seeded())}) == 32


def test_poses_show_a_person():
    result = made(["pose"] * 8, (128, 128))
    person = result.truth["classes"] == CLASSES.index("person")
    assert person.flatten(1).any(1).all()
    bones = result.truth["edges"]
    assert torch.equal(bones, result.targets.amax(1) > 0)
    assert (bones & person).sum() > 0.6 * bones.sum()


def test_make_examples_refuses_what_it_cannot_show():
    with pytest.raises(ValueError, match="cannot show: face"):
        made(["face"])
    with pytest.raises(ValueError, match="2 tasks, 1 scenes"):
        make_examples(["depth"] * 2, sample_scenes(1, seeded()), 16, 16, seeded(), "cpu")


def test_a_scene_without_a_nameable_object_borrows_its_neighbour():
    scenes = sample_scenes(2, seeded(2))
    empty = scenes.with_objects(torch.zeros(2, dtype=torch.long), alive=torch.tensor([False, True]))
    empty.alive[0] = False
    result = make_examples(["mask", "mask"], empty, 64, 64, seeded(), "cpu")
    assert torch.equal(result.inputs[0], result.inputs[1])
    assert result.truth["mask"][0].any()


def test_picture_mix_and_kinds():
    mix = picture_mix(24, 32, 48, seeded(), "cpu")
    assert mix.shape == (24, 3, 32, 48)
    assert torch.equal(mix, picture_mix(24, 32, 48, seeded(), "cpu"))
    for kind in PICTURE_KINDS:
        one = picture_mix(2, 32, 32, seeded(), "cpu", kinds=[kind] * 2)
        assert one.shape == (2, 3, 32, 32)
        assert 0 <= one.min() <= one.max() <= 1
        assert kind != "mask" or set(one.unique().tolist()) <= {0.0, 1.0}
    with pytest.raises(ValueError, match="unknown \\['x'\\]"):
        picture_mix(1, 32, 32, seeded(), "cpu", kinds=["x"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_examples_on_a_gpu_show_the_same_scenes():
    tasks = list(WORLD_TASKS)
    scenes = sample_scenes(len(tasks), seeded(3))
    there = make_examples(tasks, scenes, 64, 96, seeded(4), "cuda")
    here = make_examples(tasks, scenes, 64, 96, seeded(4), "cpu")
    assert (there.truth["rgb"].cpu() - here.truth["rgb"]).abs().mean() < 1e-3
    assert picture_mix(32, 64, 64, seeded(), "cuda").is_cuda
