"""The procedural world: geometry that can be worked out by hand, and words that fit one object."""

import math
import random

import pytest
import torch

from pixwizard_core.decode import tiny_world
from pixwizard_core.tasks import COLOURS
from pixwizard_core.world import captions, refer
from pixwizard_core.world.phrases import Thing, phrases, things
from pixwizard_core.world.pictures import box_of, visible, visible_pixels
from pixwizard_core.world.render import CLASSES, FOCAL, rays, render
from pixwizard_core.world.scenes import (
    COLOUR_NAMES,
    FLOOR_NAMES,
    SHAPES,
    SOLIDS,
    WALL_NAMES,
    Scenes,
    sample_scenes,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def scene(*objects, camera_height=1.0, pitch=0.0, radius=1.0):
    """One scene of (shape, colour, x, z) objects of radius 1 m, seen from 1 m above the floor."""
    wanted = {"alive": [True] * len(objects), "x": [o[2] for o in objects]}
    wanted["shape"] = [SHAPES.index(o[0]) for o in objects]
    wanted["colour"] = [COLOUR_NAMES.index(o[1]) for o in objects]
    wanted["z"] = [o[3] for o in objects]
    for name, value in (("large", 1), ("radius", radius), ("tall", 1.0), ("yaw", 0.0)):
        wanted[name] = [value] * len(objects)
    per_object = {name: torch.tensor([value]) for name, value in wanted.items()}
    room = {"camera_height": camera_height, "pitch": pitch, "wall_z": 8.0, "wall_x": 4.0}
    light = {"light_turn": 0.0, "light_height": 0.8, "ambient": 0.4}
    per_scene = {name: torch.tensor([value]) for name, value in {**room, **light}.items()}
    indices = {name: torch.zeros(1, dtype=torch.long) for name in TEXTURED}
    return Scenes(pose=torch.full((1, len(objects), 6), 0.3), **per_object, **per_scene, **indices)


TEXTURED = ("wall", "floor", "wall_texture", "floor_texture")


@pytest.mark.parametrize(
    ("shape", "depth"),
    [
        ("ball", 4.0),  # 5 m to the centre, 1 m radius
        ("cube", 4.16),  # half an edge is 0.84 m
        ("cylinder", 4.26),  # radius 0.74 m
        ("cone", 5 - 0.98 * (1 - 1 / 2.15)),  # radius 0.98 m on the floor, nothing at 2.15 m
    ],
)
def test_render_depth_at_the_centre(shape, depth):
    view = render(scene((shape, "red", 0.0, 5.0)), 65, 65)
    assert view.depth_m[0, 32, 32].item() == pytest.approx(depth, abs=1e-4)
    assert view.depth_01[0, 32, 32].item() == pytest.approx(1 - (depth - 2) / 6.5, abs=1e-4)
    assert view.instances[0, 32, 32] == 0
    assert CLASSES[view.classes[0, 32, 32]] == shape


def test_render_ball_normal_and_size():
    view = render(scene(("ball", "red", 0.0, 5.0)), 129, 129)
    assert torch.allclose(view.normals[0, :, 64, 64], torch.tensor([0.0, 0.0, 1.0]), atol=1e-5)
    height = (view.instances[0] == 0).any(1).sum().item()
    seen_under = 2 / math.sqrt(5**2 - 1)  # both tangents to a unit ball from 5 m
    assert height == pytest.approx(seen_under * FOCAL * 129 / 2, abs=1.0)


def test_render_ball_normals_point_outwards():
    normals = render(scene(("ball", "red", 0.0, 5.0)), 65, 65).normals[0]
    assert normals[0, 32, 39] > 0.3  # right half looks right
    assert normals[1, 25, 32] > 0.3  # upper half looks up


def test_render_floor_and_wall_seen_from_a_tilted_camera():
    pitch = 0.2
    view = render(scene(("ball", "red", 0.0, 5.0), camera_height=1.8, pitch=pitch), 64, 64)
    floor = view.normals[0, :, 63, 2]
    wall = view.normals[0, :, 0, 32]
    assert floor.tolist() == pytest.approx([0, math.cos(pitch), math.sin(pitch)], abs=1e-6)
    assert wall.tolist() == pytest.approx([0, -math.sin(pitch), math.cos(pitch)], abs=1e-6)
    assert (view.classes[0, 63, 2], view.classes[0, 0, 32]) == (1, 0)


def test_render_points_lie_on_floor_and_wall():
    scenes = sample_scenes(4, seeded(1))
    view = render(scenes, 48, 48)
    _, dy, dz = rays(scenes, 48, 48)
    y = scenes.camera_height[:, None, None] + dy * view.depth_m
    assert y[view.classes == 1].abs().max() < 1e-4
    back = (view.classes == 0) & (view.normals[:, 0].abs() < 1e-6)
    z = dz * view.depth_m - scenes.wall_z[:, None, None]
    assert z[back].abs().max() < 1e-3


def test_render_normals_are_unit_and_face_the_camera():
    scenes = sample_scenes(8, seeded(2)).with_people(torch.tensor([True, False] * 4))
    normals = render(scenes, 64, 64).normals
    assert torch.allclose(normals.norm(dim=1), torch.ones(8, 64, 64), atol=1e-4)
    at = ((torch.arange(64) + 0.5) / 32 - 1) / FOCAL
    facing = normals[:, 2] - normals[:, 0] * at[None, None] + normals[:, 1] * at[None, :, None]
    assert facing.min() > -1e-3


def test_render_nearer_object_hides_the_farther():
    view = render(scene(("cube", "red", 0.0, 6.5), ("ball", "blue", 0.0, 4.0)), 65, 65)
    assert view.instances[0, 32, 32] == 1
    assert view.depth_m[0, 32, 32].item() == pytest.approx(3.0, abs=1e-4)


@pytest.mark.parametrize("size", [(64, 96), (96, 64)], ids=["wide", "high"])
def test_render_other_sizes_show_more_not_stretched(size):
    scenes = sample_scenes(3, seeded(3))
    square, whole = render(scenes, 64, 64), render(scenes, *size)
    top, left = (size[0] - 64) // 2, (size[1] - 64) // 2
    middle = whole.rgb[:, :, top : top + 64, left : left + 64]
    assert torch.allclose(middle, square.rgb, atol=1e-5)


def test_render_of_a_part_is_the_part_of_the_render():
    scenes = sample_scenes(20, seeded(4))
    assert torch.equal(render(scenes[[13, 2]], 32, 32).rgb, render(scenes, 32, 32).rgb[[13, 2]])


def test_render_refuses_an_empty_batch():
    with pytest.raises(ValueError, match="at least one scene"):
        render(sample_scenes(2, seeded())[:0], 32, 32)


def test_sample_same_seed_same_scenes():
    first, again, other = (sample_scenes(16, seeded(s)) for s in (5, 5, 6))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.pose, again.pose)
    assert not torch.equal(first.x, other.x)


def test_sample_objects_stand_apart_inside_the_room():
    scenes = sample_scenes(300, seeded(7))
    gap = (scenes.x[:, :, None] - scenes.x[:, None]).hypot(scenes.z[:, :, None] - scenes.z[:, None])
    both = scenes.alive[:, :, None] & scenes.alive[:, None] & ~torch.eye(4, dtype=torch.bool)
    assert (gap - scenes.radius[:, :, None] - scenes.radius[:, None])[both].min() > 0
    assert ((scenes.z + scenes.radius)[scenes.alive] < 7.0).all()
    assert scenes.alive[:, 0].all()
    assert set(scenes.shape.unique().tolist()) == set(range(len(SOLIDS)))


def test_sample_objects_are_large_enough_to_tell():
    scenes = sample_scenes(64, seeded(8))
    view = render(scenes, 128, 128)
    heights = [(view.instances == k).any(2).sum(1)[scenes.alive[:, k]] for k in range(4)]
    heights = torch.cat(heights)
    assert (heights >= 28).float().mean() > 0.95
    assert heights.min() >= 24
    assert (visible(view.instances) == scenes.alive).float().mean() > 0.98


@pytest.mark.parametrize("count", [0, 5])
def test_sample_refuses_other_counts(count):
    with pytest.raises(ValueError, match=r"max_objects must be 1\.\.4"):
        sample_scenes(2, seeded(), max_objects=count)


def test_recolour_touches_only_its_object():
    scenes = scene(("ball", "red", -0.9, 5.0), ("cube", "blue", 0.9, 5.0))
    before = render(scenes, 64, 64)
    after = render(scenes.recolour(torch.tensor([1]), torch.tensor([1])), 64, 64)
    differs = (before.rgb != after.rgb).any(1)
    assert torch.equal(differs, before.instances == 1)
    r, g, b = after.rgb[0][:, after.instances[0] == 1].mean(1).tolist()
    assert g > 2 * r
    assert g > 2 * b


def test_without_shows_what_was_behind():
    scenes = scene(("ball", "red", 0.0, 4.0), ("cube", "blue", 0.0, 6.5))
    after = render(scenes.without(torch.tensor([0])), 65, 65)
    assert not (after.instances == 0).any()
    assert after.instances[0, 32, 32] == 1


def test_people_have_their_joints_on_their_body():
    scenes = sample_scenes(12, seeded(9), max_objects=1)
    scenes = scenes.with_people(torch.ones(12, dtype=torch.bool))
    view = render(scenes, 128, 128)
    joints = scenes.joints_on_screen(128, 128, FOCAL)[:, 0].long()
    inside = ((joints >= 0) & (joints < 128)).all(2)
    x, y = joints.clamp(0, 127).unbind(2)
    on_body = view.classes[torch.arange(12)[:, None], y, x] == CLASSES.index("person")
    assert on_body[inside].float().mean() > 0.97


def test_palette_names_the_classes_in_colours_far_apart():
    """From each other and from black, which pictures of masks and boxes use for "nothing"."""
    palette = tiny_world()
    assert palette.names == ("background", *CLASSES)
    assert (palette.title, palette.colours[1]) == ("PixWizard Tiny world", (90, 90, 90))
    colours = torch.tensor(palette.colours).float()
    distance = torch.cdist(colours, colours) + 999 * torch.eye(len(colours))
    assert distance.min() > 80


def test_colour_names_are_those_of_the_tasks():
    assert tuple(COLOURS) == COLOUR_NAMES


def test_caption_names_objects_from_left_to_right():
    scenes = scene(("cube", "blue", 1.0, 5.0), ("ball", "orange", -1.0, 5.0))
    wall, floor = WALL_NAMES[0], FLOOR_NAMES[0]
    assert captions(scenes, render(scenes, 64, 64)) == [
        f"an orange ball and a blue cube on a {floor} floor with a {wall} wall"
    ]


def test_phrases_of_one_among_twins():
    left = Thing(0, "red", "ball", "small", 0.2, 4.0)
    right = Thing(1, "red", "ball", "small", 0.8, 5.0)
    cube = Thing(2, "blue", "cube", "large", 0.5, 6.0)
    told = {phrase for _, phrase in phrases([left, cube, right], left)}
    assert "the red ball" not in told
    assert "the ball" not in told
    assert "the small red ball" not in told
    assert {"the leftmost ball", "the closest object", "the ball left of the blue cube"} <= told


def test_phrases_need_a_clear_margin():
    left = Thing(0, "red", "ball", "small", 0.50, 4.0)
    right = Thing(1, "red", "ball", "small", 0.55, 4.1)
    assert phrases([left, right], left) == []


def fits(thing, phrase, found):
    """Does the phrase hold for this thing? Written apart from the code that makes phrases."""
    words = phrase.removeprefix("the ").split()
    if " of the " in phrase:
        noun, side, *_, colour, shape = words
        anchors = [o for o in found if (o.colour, o.shape) == (colour, shape)]
        assert len(anchors) == 1
        on_side = thing.x < anchors[0].x if side == "left" else thing.x > anchors[0].x
        return thing.k != anchors[0].k and on_side and noun in ("object", thing.shape)
    kind = [o for o in found if words[-1] in ("object", o.shape)]
    if words[0] in ("leftmost", "rightmost", "closest", "farthest"):
        key = (lambda o: o.x) if "most" in words[0] else (lambda o: o.z)
        extreme = (min if words[0] in ("leftmost", "closest") else max)(kind, key=key)
        return extreme.k == thing.k
    return thing in kind and all(w in (thing.colour, thing.size) for w in words[:-1])


def test_every_phrase_fits_exactly_one_visible_object():
    scenes = sample_scenes(150, seeded(10))
    count = 0
    for found in things(scenes, render(scenes, 64, 64)):
        for thing in found:
            for _, phrase in phrases(found, thing):
                assert [o.k for o in found if fits(o, phrase, found)] == [thing.k], phrase
                count += 1
    assert count > 1000


def test_refer_is_silent_about_hidden_objects():
    scenes = scene(("ball", "red", 0.0, 3.5), ("ball", "blue", 0.0, 6.8))
    view = render(scenes, 64, 64)
    assert visible_pixels(view.instances, 2)[0, 1] == 0
    assert refer(scenes, view, [1], random.Random(0)) == [None]
    assert refer(scenes, view, [0], random.Random(0))[0].startswith("the ")


def test_box_of_is_tight_and_exclusive():
    mask = torch.zeros(2, 6, 9, dtype=torch.bool)
    mask[0, 2:5, 3:8] = True
    assert box_of(mask).tolist() == [[3, 2, 8, 5], [0, 0, 0, 0]]
