"""Random pictures of every kind that tasks read or paint, to train the autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from ..tasks import COLOURS
from . import degrade, edges, holes, pictures
from .render import Views, render
from .scenes import Scenes, sample_scenes

PEOPLE_SHARE = 0.06  # of the pictures


def device_generator(generator: torch.Generator, device) -> torch.Generator:
    """The generator itself if it is on the device; otherwise a new one there, seeded by its next
    number.
    """
    device = torch.device(device)
    if generator.device.type == device.type:
        return generator
    seed = int(
        torch.randint(0, 2**62, (), generator=generator, device=generator.device, dtype=torch.int64)
    )
    return torch.Generator(device).manual_seed(seed)


def colour_values(colour: Tensor) -> Tensor:
    """Pure highlight colours (n, 3) 0..1 of indices (n,) into COLOURS."""
    return (
        torch.tensor(list(COLOURS.values()), device=colour.device, dtype=torch.float32)[colour]
        / 255
    )


def _object_mask(views: Views, generator: torch.Generator) -> Tensor:
    shown = pictures.visible(views.instances).float()
    k = torch.where(shown.any(1), torch.multinomial(shown + 1e-9, 1, generator=generator)[:, 0], 0)
    return views.instances == k[:, None, None]


def _some_colour(views: Views, generator: torch.Generator) -> Tensor:
    colour = torch.randint(
        0,
        len(COLOURS),
        (len(views),),
        generator=generator,
        device=views.rgb.device,
        dtype=torch.int64,
    )
    return colour_values(colour)


def _highlight(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    return pictures.highlight_picture(
        views.rgb, _object_mask(views, generator), _some_colour(views, generator)
    )


def _box(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    boxes = pictures.box_of(_object_mask(views, generator))
    return pictures.box_picture(views.rgb, boxes, _some_colour(views, generator))


def _flat(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    return (degrade.uniform(views.rgb, generator, 0, 1) < 0.5).float().expand_as(views.rgb)


def _grained(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    return degrade.noise(views.rgb, generator)


def _weather(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    falls = (
        degrade.rain(views.rgb, generator),
        degrade.snow(views.rgb, generator),
        degrade.haze(views.rgb, views.depth_m, generator),
    )
    which = torch.randint(
        0, 3, (len(views),), generator=generator, device=views.rgb.device, dtype=torch.int64
    )
    return torch.stack(falls, 1)[
        torch.arange(len(views), device=which.device, dtype=torch.int64), which
    ]


def _camera(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    faults = [
        f(views.rgb, generator) for f in (degrade.blur, degrade.low_light, degrade.low_resolution)
    ]
    which = torch.randint(
        0, 3, (len(views),), generator=generator, device=views.rgb.device, dtype=torch.int64
    )
    return torch.stack(faults, 1)[
        torch.arange(len(views), device=which.device, dtype=torch.int64), which
    ]


def _overlaid(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    faults = [f(views.rgb, generator) for f in (degrade.shadow, degrade.watermark, degrade.moire)]
    which = torch.randint(
        0, 3, (len(views),), generator=generator, device=views.rgb.device, dtype=torch.int64
    )
    return torch.stack(faults, 1)[
        torch.arange(len(views), device=which.device, dtype=torch.int64), which
    ]


def _holed(scenes: Scenes, views: Views, generator: torch.Generator) -> Tensor:
    inner, outer = (
        holes.random_hole(views.rgb, generator),
        holes.random_margin(views.rgb, generator),
    )
    inside = degrade.uniform(views.rgb, generator, 0, 1, 1, 1) < 0.6
    return holes.punch(views.rgb, torch.where(inside, inner, outer), generator)


# kind -> (weight in the mix, how to make it)
PICTURE_KINDS = {
    "rgb": (6.0, lambda s, v, g: v.rgb),
    "depth": (2.0, lambda s, v, g: pictures.depth_picture(v)),
    "normal": (2.0, lambda s, v, g: pictures.normal_picture(v)),
    "segmentation": (2.0, lambda s, v, g: pictures.segmentation_picture(v)),
    "mask": (2.0, lambda s, v, g: pictures.mask_picture(_object_mask(v, g))),
    "highlight": (1.5, _highlight),
    "box": (2.0, _box),
    "canny": (2.0, lambda s, v, g: edges.canny_picture(edges.canny(v.rgb))),
    "hed": (0.8, lambda s, v, g: edges.hed_picture(v)),
    "lineart": (1.0, lambda s, v, g: edges.lineart_picture(v)),
    "pose": (0.6, lambda s, v, g: pictures.pose_picture(s, v)[0]),
    "sketch": (0.8, lambda s, v, g: edges.sketch_picture(v)),
    "noisy": (0.6, _grained),
    "weather": (1.0, _weather),
    "camera": (0.8, _camera),
    "overlaid": (1.0, _overlaid),
    "holed": (1.0, _holed),
    "flat": (0.1, _flat),
}


@torch.no_grad()
def picture_mix(
    n: int,
    height: int,
    width: int,
    generator: torch.Generator,
    device,
    *,
    kinds: list[str] | None = None,
    scenes: Scenes | None = None,
) -> Tensor:
    """n pictures (n, 3, H, W) in 0..1 on device, of kinds drawn by weight, or of the n kinds given.

    generator: a CPU generator; it gives the same scenes and kinds on every machine (noise drawn on
    a GPU differs from a CPU's). scenes: n of them, instead of new ones. Raises ValueError when
    kinds has another length or an unknown name.
    """
    if kinds is None:
        weights = torch.tensor(
            [weight for weight, _ in PICTURE_KINDS.values()], dtype=torch.float32, device="cpu"
        )
        chosen = torch.multinomial(weights, n, replacement=True, generator=generator)
    else:
        unknown = sorted(set(kinds) - set(PICTURE_KINDS))
        if len(kinds) != n or unknown:
            raise ValueError(
                f"kinds must be {n} of {', '.join(PICTURE_KINDS)}. "
                f"Got: {len(kinds)}, unknown {unknown}"
            )
        chosen = torch.tensor(
            [list(PICTURE_KINDS).index(kind) for kind in kinds], dtype=torch.int64, device="cpu"
        )
    scenes = scenes or sample_scenes(n, generator)
    # Include some people, so that the autoencoder learns them too.
    people = torch.rand(n, generator=generator, dtype=torch.float32, device="cpu") < PEOPLE_SHARE
    people |= chosen == list(PICTURE_KINDS).index("pose")
    scenes = scenes.with_people(people)
    scenes = scenes.to(device)
    views = render(scenes, height, width)
    local = device_generator(generator, device)
    result = torch.empty_like(views.rgb)
    for number, (_, make) in enumerate(PICTURE_KINDS.values()):
        rows = (chosen == number).nonzero()[:, 0].to(result.device)
        if len(rows):
            result[rows] = make(scenes[rows], views[rows], local)
    return result
