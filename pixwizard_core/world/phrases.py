"""Describe the procedural world: the contents of a picture, and phrases that name exactly one
object in it.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import torch

from .pictures import unit, visible
from .render import Views
from .scenes import COLOUR_NAMES, FLOOR_NAMES, SHAPES, SIZES, WALL_NAMES, Scenes

SIDE_GAP = 0.10  # share of the picture's shorter side by which "left" must be farther left
DEPTH_GAP = 0.4  # metres by which "closest" must be closer
# Weight of each kind of phrase among those that fit.
WEIGHTS = {
    "colour shape": 6,
    "colour": 2,
    "shape": 2,
    "size shape": 1.5,
    "size colour shape": 1.5,
    "side": 1.5,
    "depth": 1,
    "relation": 2,
}


class Thing(NamedTuple):
    """One visible object."""

    k: int  # number in the scene
    colour: str
    shape: str
    size: str
    x: float  # centre of its visible pixels, in units of the picture's shorter side
    z: float  # metres along the optical axis


def things(scenes: Scenes, views: Views) -> list[list[Thing]]:
    """The visible objects of every scene, from left to right."""
    shown = visible(views.instances, scenes.alive.shape[1])
    width = views.rgb.shape[-1]
    columns = views.instances.new_tensor(range(width)).float() + 0.5
    middles = []
    for k in range(scenes.alive.shape[1]):
        mask = (views.instances == k).float().sum(1)
        middles.append((mask * columns).sum(1) / mask.sum(1).clamp(min=1) / (128 * unit(views.rgb)))
    middle = torch.stack(middles, 1).tolist()
    rows = zip(
        shown.tolist(),
        scenes.colour.tolist(),
        scenes.shape.tolist(),
        scenes.large.tolist(),
        middle,
        scenes.z.tolist(),
        strict=True,
    )
    result = []
    for seen, colour, shape, large, x, z in rows:
        found = [
            Thing(k, COLOUR_NAMES[colour[k]], SHAPES[shape[k]], SIZES[large[k]], x[k], z[k])
            for k in range(len(seen))
            if seen[k]
        ]
        result.append(sorted(found, key=lambda thing: thing.x))
    return result


def article(words: str) -> str:
    """The words with "a" or "an" in front."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def name(thing: Thing) -> str:
    """ "red ball" """
    return f"{thing.colour} {thing.shape}"


def listed(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c" """
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def caption(found: list[Thing], floor: str, wall: str) -> str:
    """ "a red ball and a blue cube on a wooden floor with a mint wall" """
    place = f"{article(floor)} floor with {article(wall)} wall"
    return f"{listed([article(name(t)) for t in found])} on {place}" if found else place


def captions(scenes: Scenes, views: Views, found: list[list[Thing]] | None = None) -> list[str]:
    """One description per scene: visible objects from left to right, then floor and wall. found:
    `things`, if known already.
    """
    found = found or things(scenes, views)
    rooms = zip(found, scenes.floor.tolist(), scenes.wall.tolist(), strict=True)
    return [caption(seen, FLOOR_NAMES[floor], WALL_NAMES[wall]) for seen, floor, wall in rooms]


def phrases(found: list[Thing], thing: Thing) -> list[tuple[str, str]]:
    """All (kind, phrase) that are true of this thing and of no other visible one."""
    others = [other for other in found if other.k != thing.k]
    same_shape = [o for o in others if o.shape == thing.shape]
    same_colour = [o for o in others if o.colour == thing.colour]
    twins = [o for o in same_shape if o.colour == thing.colour]
    result = []
    if not twins:
        result.append(("colour shape", f"the {name(thing)}"))
    if not same_colour:
        result.append(("colour", f"the {thing.colour} object"))
    if not same_shape:
        result.append(("shape", f"the {thing.shape}"))
    if others and all(o.size != thing.size for o in same_shape):
        result.append(("size shape", f"the {thing.size} {thing.shape}"))
    if others and all(o.size != thing.size for o in twins):
        result.append(("size colour shape", f"the {thing.size} {name(thing)}"))
    for rivals, noun in ((others, "object"), (same_shape, thing.shape)):
        result += _superlatives(thing, rivals, noun)
    for anchor in others:
        result += _relations(thing, anchor, found)
    return result


def _superlatives(thing: Thing, rivals: list[Thing], noun: str) -> list[tuple[str, str]]:
    if not rivals:
        return []
    result = []
    if all(thing.x < o.x - SIDE_GAP for o in rivals):
        result.append(("side", f"the leftmost {noun}"))
    if all(thing.x > o.x + SIDE_GAP for o in rivals):
        result.append(("side", f"the rightmost {noun}"))
    if all(thing.z < o.z - DEPTH_GAP for o in rivals):
        result.append(("depth", f"the closest {noun}"))
    if all(thing.z > o.z + DEPTH_GAP for o in rivals):
        result.append(("depth", f"the farthest {noun}"))
    return result


def _relations(thing: Thing, anchor: Thing, found: list[Thing]) -> list[tuple[str, str]]:
    """ "the ball left of the red cube": the anchor must have a unique name, and no other candidate
    may be on that side or nearly so.
    """
    if sum(name(o) == name(anchor) for o in found) > 1:
        return []
    rivals = [o for o in found if o.k not in (thing.k, anchor.k)]
    result = []
    for side, sign in (("left", -1), ("right", 1)):
        if sign * (thing.x - anchor.x) <= SIDE_GAP:
            continue
        for noun, same in (
            ("object", rivals),
            (thing.shape, [o for o in rivals if o.shape == thing.shape]),
        ):
            if all(sign * (o.x - anchor.x) < -SIDE_GAP for o in same):
                result.append(("relation", f"the {noun} {side} of the {name(anchor)}"))
    return result


def pick_phrase(found: list[Thing], thing: Thing, rng: random.Random) -> str | None:
    """A random phrase that names only this thing, or None if there is none."""
    choices = phrases(found, thing)
    if not choices:
        return None
    kinds = [kind for kind, _ in choices]
    weights = [WEIGHTS[kind] / kinds.count(kind) for kind in kinds]
    return rng.choices([phrase for _, phrase in choices], weights)[0]


def pick_object(found: list[Thing], rng: random.Random) -> tuple[int, str] | None:
    """A random visible object that can be named, as (number, phrase); None in a scene that has
    none.
    """
    for thing in rng.sample(found, len(found)):
        phrase = pick_phrase(found, thing, rng)
        if phrase:
            return thing.k, phrase
    return None


def refer(scenes: Scenes, views: Views, k, rng: random.Random) -> list[str | None]:
    """A phrase for object k[i] of every scene i (sequence or tensor of ints) that is unique among
    its visible objects.

    None where the object is hidden, or no phrase tells it from the others.
    """
    result = []
    for found, wanted in zip(things(scenes, views), [int(v) for v in k], strict=True):
        thing = next((t for t in found if t.k == wanted), None)
        result.append(pick_phrase(found, thing, rng) if thing else None)
    return result
