"""Renderer of the procedural world: intersects rays with closed-form solids and gives exact depth,
normals, classes and instances.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from . import shapes
from .person import person
from .scenes import FLOORS, PAINTS, PERSON, SHAPES, WALLS, Scenes

CLASSES = ("wall", "floor", *SHAPES)
FOCAL = 1.75  # focal length over half the picture's shorter side: about 59 degrees
NEAR, FAR = 2.0, 8.5  # metres shown as white and as black in a depth picture
CHUNK = {"cpu": 8, "cuda": 512}  # scenes at once: cache-sized on a CPU, memory-sized on a GPU


@dataclass(frozen=True)
class Views:
    """The exact view of n scenes through their cameras."""

    rgb: Tensor  # (n, 3, H, W) 0..1
    depth_m: Tensor  # (n, H, W) metres along the optical axis
    depth_01: Tensor  # (n, H, W) 1 = near, 0 = far
    normals: Tensor  # (n, 3, H, W) unit; x right, y up, z towards the viewer
    classes: Tensor  # (n, H, W) int64 index into CLASSES
    instances: Tensor  # (n, H, W) int64 object number, -1 = wall or floor

    def __len__(self) -> int:
        return self.rgb.shape[0]

    def __getitem__(self, index) -> Views:
        return Views(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device) -> Views:
        return Views(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@torch.no_grad()
def render(scenes: Scenes, height: int, width: int) -> Views:
    """Pictures and ground truth of every scene, on the scenes' device.

    The focal length in pixels is FOCAL * min(height, width) / 2, so a wider or taller picture shows
    more of the room and does not stretch it. Raises ValueError for an empty batch or a picture
    without pixels.
    """
    if len(scenes) == 0 or min(height, width) < 1:
        raise ValueError(
            f"need at least one scene and one pixel. Got: {len(scenes)} scenes, {height}x{width}"
        )
    chunk = CHUNK.get(scenes.device.type, CHUNK["cpu"])
    chunk = max(1, chunk * 128 * 128 // max(128 * 128, height * width))
    result = _blank(len(scenes), height, width, scenes.device)
    for i in range(0, len(scenes), chunk):
        part = _render(scenes[i : i + chunk], height, width)
        for field in fields(Views):
            getattr(result, field.name)[i : i + chunk] = getattr(part, field.name)
    return result


def _blank(n: int, height: int, width: int, device: torch.device) -> Views:
    flat, colour = (n, height, width), (n, 3, height, width)
    real, number = (
        {"dtype": torch.float32, "device": device},
        {"dtype": torch.long, "device": device},
    )
    return Views(
        torch.empty(colour, **real),
        torch.empty(flat, **real),
        torch.empty(flat, **real),
        torch.empty(colour, **real),
        torch.empty(flat, **number),
        torch.empty(flat, **number),
    )


def rays(scenes: Scenes, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """World directions through pixel centres, each (n, H, W), scaled so that the ray parameter is
    the depth in metres.
    """
    device = scenes.device
    scale = 2 / (min(height, width) * FOCAL)
    right = ((torch.arange(width, device=device, dtype=torch.float32) + 0.5) - width / 2) * scale
    up = (height / 2 - (torch.arange(height, device=device, dtype=torch.float32) + 0.5)) * scale
    c, s = _wide(scenes.pitch.cos()), _wide(scenes.pitch.sin())
    up = up[None, :, None].expand(len(scenes), height, width)
    return right.expand(len(scenes), height, width), up * c - s, c + up * s


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None]


def _render(scenes: Scenes, height: int, width: int) -> Views:
    dx, dy, dz = rays(scenes, height, width)
    t, normal, on_floor = _room(scenes, dx, dy, dz)
    instances = torch.full(t.shape, -1, dtype=torch.long, device=t.device)
    for k in range(scenes.alive.shape[1]):
        for number, name in enumerate(SHAPES):
            rows = (scenes.alive[:, k] & (scenes.shape[:, k] == number)).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            hit_t, *hit_normal = _solid(name, scenes, rows, k, dx[rows], dy[rows], dz[rows])
            closer = hit_t < t[rows]
            t[rows] = torch.where(closer, hit_t, t[rows])
            normal[rows] = torch.where(closer[:, None], torch.stack(hit_normal, 1), normal[rows])
            instances[rows] = torch.where(closer, k, instances[rows])
    owner = instances.clamp(min=0)
    shape = scenes.shape.gather(1, owner.flatten(1)).view_as(owner)
    classes = torch.where(instances < 0, on_floor.long(), shape + 2)
    points = torch.stack([dx * t, _wide(scenes.camera_height) + dy * t, dz * t], 1)
    rgb = _shade(scenes, points, normal, classes, instances)
    c, s = _wide(scenes.pitch.cos()), _wide(scenes.pitch.sin())
    camera_normal = torch.stack(
        [normal[:, 0], normal[:, 1] * c + normal[:, 2] * s, normal[:, 1] * s - normal[:, 2] * c], 1
    )
    depth_01 = (1 - (t - NEAR) / (FAR - NEAR)).clamp(0, 1)
    return Views(rgb, t, depth_01, camera_normal, classes, instances)


def _room(scenes: Scenes, dx: Tensor, dy: Tensor, dz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The empty room: t (n, H, W), world normals (n, 3, H, W), and where the floor is."""
    floor = torch.where(dy < -1e-4, -_wide(scenes.camera_height) / dy.clamp(max=-1e-4), shapes.FAR)
    back = _wide(scenes.wall_z) / dz.clamp(min=1e-4)
    side = _wide(scenes.wall_x) / dx.abs().clamp(min=1e-4)
    t = torch.minimum(torch.minimum(floor, back), side)
    on_floor = t == floor
    on_back = (t == back) & ~on_floor
    zero = torch.zeros_like(t)
    normal = torch.stack(
        [
            torch.where(on_floor | on_back, zero, -dx.sign()),
            on_floor.to(t.dtype),
            -on_back.to(t.dtype),
        ],
        1,
    )
    return t, normal, on_floor


def _solid(
    name: str, scenes: Scenes, rows: Tensor, k: int, dx: Tensor, dy: Tensor, dz: Tensor
) -> shapes.Hit:
    """Object k of the scenes in these rows, all of one shape."""

    def field(values: Tensor) -> Tensor:
        return _wide(values[rows, k])

    radius, tall = field(scenes.radius), field(scenes.tall)
    ray = (-field(scenes.x), _wide(scenes.camera_height[rows]), -field(scenes.z), dx, dy, dz)
    if name == "ball":
        return shapes.ball(*ray, radius)
    if name == "cube":
        return shapes.cube(*ray, 0.84 * radius, field(scenes.yaw))
    if name == "cylinder":
        return shapes.cylinder(*ray, 0.74 * radius, 1.9 * radius * tall)
    if name == "cone":
        return shapes.cone(*ray, 0.98 * radius, 2.15 * radius * tall)
    return person(*ray, scenes[rows].joints(k), radius)


def _shade(
    scenes: Scenes, points: Tensor, normal: Tensor, classes: Tensor, instances: Tensor
) -> Tensor:
    """Paint, texture, Lambert light and soft shadows. points, normal: (n, 3, H, W) world. Returns
    (n, 3, H, W) 0..1.
    """
    level = (1 - scenes.light_height**2).sqrt()
    light = torch.stack(
        [scenes.light_turn.sin() * level, scenes.light_height, -scenes.light_turn.cos() * level], 1
    )
    albedo = _albedo(scenes, points, classes, instances)
    facing = (normal * light[:, :, None, None]).sum(1).clamp(min=0)
    lit = facing * (1 - _shadow(scenes, points, light, instances))
    ambient = _wide(scenes.ambient)
    # The room is lit more evenly than the objects, so that walls keep their colour when the light
    # comes from the side.
    ambient = torch.where(instances < 0, ambient + 0.2, ambient)
    return (albedo * (ambient + (1.08 - ambient) * lit)[:, None]).clamp(0, 1)


def _albedo(scenes: Scenes, points: Tensor, classes: Tensor, instances: Tensor) -> Tensor:
    device = points.device
    x, y, z = points.unbind(1)
    wall, floor, paint = (
        torch.tensor(v, device=device, dtype=torch.float32)
        for v in (list(WALLS.values()), list(FLOORS.values()), PAINTS)
    )
    checks = (x.floor() + z.floor()) % 2 * 0.24 - 0.12
    planks = (x * 1.4).floor() % 2 * 0.18 - 0.09
    stripes = ((x + 0.7 * z) * 1.1).floor() % 2 * 0.12 - 0.06
    panels = (y * 0.9).floor() % 2 * 0.12 - 0.06
    plain = torch.zeros_like(x)
    kind = _wide(scenes.floor_texture)
    on_floor = torch.where(kind == 1, checks, torch.where(kind == 2, planks, plain))
    kind = _wide(scenes.wall_texture)
    on_wall = torch.where(kind == 1, stripes, torch.where(kind == 2, panels, plain))
    is_floor = (classes == 1)[:, None]
    room = torch.where(
        is_floor, floor[scenes.floor][:, :, None, None], wall[scenes.wall][:, :, None, None]
    )
    room = room * (1 + torch.where(is_floor, on_floor[:, None], on_wall[:, None]))
    colour = scenes.colour.gather(1, instances.clamp(min=0).flatten(1)).view_as(instances)
    return torch.where((instances < 0)[:, None], room, paint[colour].movedim(-1, 1))


def _shadow(scenes: Scenes, points: Tensor, light: Tensor, instances: Tensor) -> Tensor:
    """Share of the light that other objects block at each point, (n, H, W) in 0..0.75, with a
    penumbra.

    Approximates each object by the ball that fills it best; depends on the distance from the ball's
    centre to the ray towards the light.
    """
    shade = torch.zeros_like(points[:, 0])
    lx, ly, lz = (_wide(v) for v in light.unbind(1))
    for k in range(scenes.alive.shape[1]):
        radius = _wide(scenes.radius[:, k])
        cx, cy, cz = (
            _wide(scenes.x[:, k]) - points[:, 0],
            radius * 0.9 - points[:, 1],
            _wide(scenes.z[:, k]) - points[:, 2],
        )
        along = cx * lx + cy * ly + cz * lz
        gap = (cx * cx + cy * cy + cz * cz - along * along).clamp(min=0).sqrt() / radius
        gap = torch.where(
            _wide(scenes.shape[:, k] == PERSON), 2 * gap, gap
        )  # a person is half as broad
        blocked = ((1.12 - gap) / 0.35).clamp(0, 1) * (
            (along > 0) & (instances != k) & _wide(scenes.alive[:, k])
        )
        shade = torch.maximum(shade, 0.75 * blocked)
    return shade
