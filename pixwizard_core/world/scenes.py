"""Scenes of the procedural world as tensors, and how to draw them at random.

Right-handed room, metres: x to the right, y up from the floor, z away from the camera, which stands
at (0, camera_height, 0) and looks along +z, tilted down by `pitch` radians. Every object stands on
the floor (y = 0).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .person import ANGLE_RANGES, joints

SHAPES = ("ball", "cube", "cylinder", "cone", "person")
SOLIDS = SHAPES[:4]  # shapes in a random scene; `with_people` adds people
PERSON = SHAPES.index("person")
COLOUR_NAMES = (
    "red",
    "green",
    "blue",
    "yellow",
    "purple",
    "orange",
    "cyan",
    "white",
)  # order of tasks.COLOURS
PAINTS = (
    (0.86, 0.10, 0.12),
    (0.12, 0.62, 0.18),
    (0.12, 0.22, 0.88),
    (0.95, 0.85, 0.10),
    (0.52, 0.14, 0.70),
    (0.97, 0.48, 0.06),
    (0.10, 0.78, 0.82),
    (0.96, 0.96, 0.96),
)
WALLS = {
    "grey": (0.60, 0.60, 0.62),
    "beige": (0.84, 0.76, 0.62),
    "mint": (0.62, 0.84, 0.72),
    "pink": (0.90, 0.68, 0.74),
    "lilac": (0.70, 0.66, 0.88),
}
FLOORS = {
    "wooden": (0.60, 0.41, 0.24),
    "dark": (0.26, 0.26, 0.30),
    "pale": (0.78, 0.76, 0.71),
    "mossy": (0.40, 0.48, 0.28),
}
WALL_NAMES, FLOOR_NAMES = tuple(WALLS), tuple(FLOORS)
TEXTURES = 3  # floor: plain, checks, planks; wall: plain, stripes, panels
PERSON_RADIUS = 0.76  # metres, at least; gives people of 1.9 m with limbs 3 px wide at 128 px
SIZES = ("small", "large")
RADII = (0.56, 0.86)  # metres; far enough apart to distinguish the sizes in a picture
MAX_OBJECTS = 4
TRIES = 40  # positions to try for one object before it is left out


@dataclass(frozen=True)
class Scenes:
    """n scenes of up to K objects. Per-object fields are (n, K), per-scene fields (n,); floats are
    float32, indices int64.
    """

    alive: Tensor  # (n, K) bool: the object exists
    shape: Tensor  # index into SHAPES
    colour: Tensor  # index into COLOUR_NAMES
    large: Tensor  # index into SIZES
    radius: Tensor  # metres
    tall: Tensor  # height factor of cylinders and cones
    x: Tensor  # metres
    z: Tensor  # metres
    yaw: Tensor  # radians, seen on cubes; a person turns yaw - pi/4 from facing the camera
    pose: Tensor  # (n, K, 6) joint angles, seen on people only
    wall: Tensor  # (n,) index into WALL_NAMES
    floor: Tensor  # index into FLOOR_NAMES
    wall_texture: Tensor
    floor_texture: Tensor
    camera_height: Tensor  # metres
    pitch: Tensor  # radians, positive looks down
    wall_z: Tensor  # distance of the back wall, metres
    wall_x: Tensor  # half the room's width, metres
    light_turn: Tensor  # radians from behind the camera, positive = from the right
    light_height: Tensor  # sine of the light's elevation
    ambient: Tensor  # 0..1 light that reaches everything

    def __len__(self) -> int:
        return self.alive.shape[0]

    def __getitem__(self, index) -> Scenes:
        """Scenes chosen by a slice, an index tensor, a list or a bool mask; one integer keeps the
        batch axis.
        """
        if isinstance(index, int):
            index = [index]
        if isinstance(index, list):
            index = torch.tensor(index, dtype=torch.long, device="cpu")
        if isinstance(index, Tensor):
            index = index.to(self.alive.device)
        return Scenes(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device) -> Scenes:
        return Scenes(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @property
    def device(self) -> torch.device:
        return self.alive.device

    def with_objects(self, k: Tensor, **values) -> Scenes:
        """A copy in which object k[i] of scene i has new fields, e.g. `with_objects(k, colour=c)`.
        k: (n,); values: (n,) or numbers.
        """
        rows = torch.arange(len(self), device=self.device, dtype=torch.int64)
        changed = {}
        for name, value in values.items():
            field = getattr(self, name).clone()
            field[rows, k.to(self.device)] = torch.as_tensor(
                value, dtype=field.dtype, device=self.device
            )
            changed[name] = field
        return replace(self, **changed)

    def recolour(self, k: Tensor, colour: Tensor) -> Scenes:
        return self.with_objects(k, colour=colour)

    def without(self, k: Tensor) -> Scenes:
        return self.with_objects(k, alive=False)

    def with_people(self, rows: Tensor) -> Scenes:
        """A copy in which the first object of the scenes in rows (n,) bool is a tall person."""
        rows = rows.to(self.device)[:, None] & (
            torch.arange(self.alive.shape[1], device=self.device, dtype=torch.int64) == 0
        )
        return replace(
            self,
            shape=torch.where(rows, PERSON, self.shape),
            large=torch.where(rows, 1, self.large),
            radius=torch.where(rows, self.radius.clamp(min=PERSON_RADIUS), self.radius),
        )

    def joints(self, k: int) -> Tensor:
        """(n, 14, 3) joints that object k has, or would have as a person, in metres from the point
        where it stands.
        """
        return joints(self.pose[:, k], self.yaw[:, k] - torch.pi / 4, self.radius[:, k])

    def joints_on_screen(self, height: int, width: int, focal: float) -> Tensor:
        """(n, K, 14, 2) pixel positions x, y of `joints`; focal: focal length divided by half the
        picture's shorter side.
        """
        count = self.alive.shape[1]
        stands = torch.stack([self.x, -self.camera_height[:, None].expand(-1, count), self.z], 2)
        x, y, z = (
            stands[:, :, None] + torch.stack([self.joints(k) for k in range(count)], 1)
        ).unbind(3)
        c, s = (v[:, None, None] for v in (self.pitch.cos(), self.pitch.sin()))
        scale = focal * min(height, width) / 2 / (z * c - y * s)
        return torch.stack([width / 2 + x * scale, height / 2 - (y * c + z * s) * scale], 3)


def sample_scenes(n: int, generator: torch.Generator, *, max_objects: int = MAX_OBJECTS) -> Scenes:
    """n random rooms with 1..max_objects objects that neither touch nor hide each other entirely.

    generator: a CPU generator; the same state gives the same scenes on every machine. Scenes are on
    the CPU; `.to(device)` moves them. Raises ValueError when max_objects is outside 1..4.
    """
    if not 1 <= max_objects <= MAX_OBJECTS:
        raise ValueError(f"max_objects must be 1..{MAX_OBJECTS}. Got: {max_objects}")

    def uniform(low, high, *size):
        return low + (high - low) * torch.rand(
            *size, generator=generator, dtype=torch.float32, device="cpu"
        )

    def integer(high, *size):
        return torch.randint(0, high, size, generator=generator, dtype=torch.int64, device="cpu")

    k = MAX_OBJECTS
    wanted = 1 + (
        max_objects * torch.rand(n, generator=generator, dtype=torch.float32, device="cpu") ** 0.75
    ).long().clamp(max=max_objects - 1)
    large = integer(2, n, k)
    radius = torch.tensor(RADII, dtype=torch.float32, device="cpu")[large] * uniform(
        0.95, 1.05, n, k
    )
    x, z, alive = place(radius, large, wanted, uniform)
    # Mostly different colours, so that colour alone often identifies an object; sometimes repeated
    # ones, so that it does not always.
    colour = torch.rand(
        n, len(COLOUR_NAMES), generator=generator, dtype=torch.float32, device="cpu"
    ).argsort(1)[:, :k]
    colour = torch.where(
        torch.rand(n, 1, generator=generator, dtype=torch.float32, device="cpu") < 0.7,
        colour,
        integer(len(COLOUR_NAMES), n, k),
    )
    low, high = torch.tensor(ANGLE_RANGES, dtype=torch.float32, device="cpu").unbind(1)
    return Scenes(
        alive=alive,
        shape=integer(len(SOLIDS), n, k),
        colour=colour,
        large=large,
        radius=radius,
        tall=uniform(0.9, 1.1, n, k),
        x=x,
        z=z,
        yaw=uniform(0.0, torch.pi / 2, n, k),
        pose=low
        + (high - low)
        * torch.rand(
            n, k, len(ANGLE_RANGES), generator=generator, dtype=torch.float32, device="cpu"
        ),
        wall=integer(len(WALL_NAMES), n),
        floor=integer(len(FLOOR_NAMES), n),
        wall_texture=integer(TEXTURES, n),
        floor_texture=integer(TEXTURES, n),
        camera_height=uniform(1.6, 2.0, n),
        pitch=uniform(0.17, 0.28, n),
        wall_z=uniform(7.0, 8.2, n),
        wall_x=uniform(3.9, 4.6, n),
        light_turn=uniform(-1.1, 1.1, n),
        light_height=uniform(0.65, 0.9, n),
        ambient=uniform(0.36, 0.5, n),
    )


def place(radius: Tensor, large: Tensor, wanted: Tensor, uniform) -> tuple[Tensor, Tensor, Tensor]:
    """Draw floor positions by rejection, vectorised over scenes. radius, large: (n, K); wanted:
    (n,) numbers of objects.
    Returns x, z, alive: (n, K).
    """
    n, count = radius.shape
    x, z = (
        torch.zeros(n, count, dtype=torch.float32, device="cpu"),
        torch.full((n, count), 5.0, dtype=torch.float32, device="cpu"),
    )
    alive = torch.zeros(n, count, dtype=torch.bool, device="cpu")
    for k in range(count):
        r = radius[:, k : k + 1]
        # Keep small objects near, so that at 128 px nearly every object is at least 28 px high.
        far = torch.where(large[:, k : k + 1] == 1, r.new_tensor(5.9), r.new_tensor(4.3))
        zs = 3.3 + r * 0.5 + (far - 3.3 - r * 0.5) * uniform(0.0, 1.0, n, TRIES)
        tangents = uniform(-1.0, 1.0, n, TRIES) * (0.54 - 0.9 * r / zs).clamp(min=0.2)
        xs = tangents * zs
        fits = torch.ones(n, TRIES, dtype=torch.bool, device="cpu")
        for j in range(k):
            other, xj, zj = radius[:, j : j + 1], x[:, j : j + 1], z[:, j : j + 1]
            apart = (xs - xj).hypot(zs - zj) > 1.2 * (r + other)
            seen = (xs / zs - xj / zj).abs() > 0.5 * (r / zs + other / zj)
            fits &= (apart & seen) | ~alive[:, j : j + 1]
        first = fits.float().argmax(1, keepdim=True)  # the first position that fits
        x[:, k : k + 1], z[:, k : k + 1] = xs.gather(1, first), zs.gather(1, first)
        alive[:, k] = fits.any(1) & (k < wanted)
    return x, z, alive
