"""A simple person made of capsules: joints from angles, ray intersection, and the skeleton picture
of a pose.

Lengths are in units of the object's radius, so a small person is about 1.4 m and a large one 2.1 m
tall.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from . import shapes

# Joint order of `joints`.
HEAD, NECK, SHOULDER_R, ELBOW_R, WRIST_R, SHOULDER_L, ELBOW_L, WRIST_L = range(8)
HIP_R, KNEE_R, ANKLE_R, HIP_L, KNEE_L, ANKLE_L = range(8, 14)
ANGLE_RANGES = ((0.15, 2.7), (-0.2, 1.2), (0.15, 2.7), (-0.2, 1.2), (0.06, 0.4), (0.06, 0.4))
# Bone: from, to, thickness of the body part, skeleton colour (RGB 0..255).
BONES = (
    (NECK, HEAD, 0.0, (255, 0, 85)),
    (NECK, SHOULDER_R, 0.15, (255, 0, 0)),
    (SHOULDER_R, ELBOW_R, 0.12, (255, 170, 0)),
    (ELBOW_R, WRIST_R, 0.11, (255, 255, 0)),
    (NECK, SHOULDER_L, 0.15, (255, 85, 0)),
    (SHOULDER_L, ELBOW_L, 0.12, (170, 255, 0)),
    (ELBOW_L, WRIST_L, 0.11, (85, 255, 0)),
    (NECK, HIP_R, 0.22, (0, 255, 85)),
    (HIP_R, KNEE_R, 0.15, (0, 255, 170)),
    (KNEE_R, ANKLE_R, 0.13, (0, 255, 255)),
    (NECK, HIP_L, 0.22, (0, 170, 255)),
    (HIP_L, KNEE_L, 0.15, (0, 85, 255)),
    (KNEE_L, ANKLE_L, 0.13, (85, 0, 255)),
)
HEAD_RADIUS = 0.27
SKELETON_LINE_PX = 3  # at 128 px


def joints(angles: Tensor, yaw: Tensor, radius: Tensor) -> Tensor:
    """Joint positions relative to the point between the feet, metres. angles: (m, 6), yaw, radius:
    (m,). Returns (m, 14, 3).

    "Right" is the person's own right, which a person facing the camera has on the picture's left.
    """
    arm_r, elbow_r, arm_l, elbow_l, leg_r, leg_l = angles.unbind(1)
    hip = 0.13 + 1.05 * torch.maximum(leg_r.cos(), leg_l.cos())
    zero = torch.zeros_like(hip)

    def swing(x, y, side, angle, length):
        return x + side * length * angle.sin(), y - length * angle.cos()

    points = {HEAD: (zero, hip + 1.12), NECK: (zero, hip + 0.78)}
    limbs = ((-1, SHOULDER_R, arm_r, elbow_r, leg_r), (1, SHOULDER_L, arm_l, elbow_l, leg_l))
    for side, first, arm, bend, leg in limbs:
        points[first] = (zero + 0.36 * side, hip + 0.72)
        points[first + 1] = swing(*points[first], side, arm, 0.46)
        points[first + 2] = swing(*points[first + 1], side, arm + bend, 0.44)
        points[first + 6] = (zero + 0.17 * side, hip)
        points[first + 7] = swing(*points[first + 6], side, leg, 0.55)
        points[first + 8] = swing(*points[first + 7], side, leg, 0.5)
    flat = torch.stack([torch.stack(points[j], 1) for j in range(14)], 1) * radius[:, None, None]
    x, y = flat.unbind(2)
    return torch.stack([x * yaw.cos()[:, None], y, x * yaw.sin()[:, None]], 2)


def person(
    ox: Tensor,
    oy: Tensor,
    oz: Tensor,
    dx: Tensor,
    dy: Tensor,
    dz: Tensor,
    places: Tensor,
    radius: Tensor,
) -> shapes.Hit:
    """A standing person; rays as in `shapes`. places: (m, 14, 3) metres from `joints`; radius: (m,
    1, 1).
    """
    best: shapes.Hit | None = None
    for start, end, thickness, _ in BONES:
        if start == NECK and end == HEAD:
            start, thickness = HEAD, HEAD_RADIUS
        a, b = (places[:, j, :, None, None].unbind(1) for j in (start, end))
        hit = capsule(ox, oy, oz, dx, dy, dz, a, b, thickness * radius)
        if best is None:
            best = hit
        else:
            closer = hit[0] < best[0]
            t, x, y, z = (torch.where(closer, *pair) for pair in zip(hit, best, strict=True))
            best = t, x, y, z
    if best is None:
        raise ValueError("a person has at least one bone")
    return best


def capsule(
    ox: Tensor,
    oy: Tensor,
    oz: Tensor,
    dx: Tensor,
    dy: Tensor,
    dz: Tensor,
    a: Iterable[Tensor],
    b: Iterable[Tensor],
    radius: Tensor,
) -> shapes.Hit:
    """A capsule: all points within radius of the segment a-b, two balls and the tube between. a, b:
    triples of (m, 1, 1).
    """
    a, b = [*a], [*b]
    d, axis = (dx, dy, dz), [q - p for p, q in zip(a, b, strict=True)]
    length2 = dot(axis, axis).clamp(min=1e-8)
    from_a, from_b = ([o - p for o, p in zip((ox, oy, oz), end, strict=True)] for end in (a, b))

    dd, along_d, along_o = dot(d, d), dot(axis, d), dot(axis, from_a)
    aa = (length2 * dd - along_d**2).clamp(min=1e-9)
    bb = length2 * dot(d, from_a) - along_o * along_d
    disc = bb * bb - aa * (length2 * dot(from_a, from_a) - along_o**2 - radius**2 * length2)
    t = (-bb - disc.clamp(min=0).sqrt()) / aa
    share = along_o + t * along_d
    t = shapes._missing(t, (disc > 0) & (share > 0) & (share < length2))
    for origin in (from_a, from_b):
        half = dot(d, origin)
        disc = half * half - dd * (dot(origin, origin) - radius**2)
        t = torch.minimum(t, shapes._missing((-half - disc.clamp(min=0).sqrt()) / dd, disc > 0))
    share = ((along_o + t * along_d) / length2).clamp(0, 1)
    nx, ny, nz = (o + t * k - share * v for o, k, v in zip(from_a, d, axis, strict=True))
    length = dot((nx, ny, nz), (nx, ny, nz)).clamp(min=1e-12).sqrt()  # the radius, roughly
    return t, nx / length, ny / length, nz / length


def dot(u: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
    """Inner product of vectors given by their three components."""
    (ux, uy, uz), (vx, vy, vz) = u, v
    return ux * vx + uy * vy + uz * vz


def skeleton(pixels: Tensor, shown: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw coloured bones on black. pixels: (n, K, 14, 2) joint positions x, y; shown: (n, K) bool.

    Returns the picture (n, 3, H, W) 0..1 and where a bone is (n, H, W) bool.
    """
    y = (torch.arange(height, device=pixels.device, dtype=torch.int64) + 0.5)[:, None]
    x = (torch.arange(width, device=pixels.device, dtype=torch.int64) + 0.5)[None, :]
    reach = max(1.0, SKELETON_LINE_PX / 2 * min(height, width) / 128)
    picture = torch.zeros(len(pixels), 3, height, width, device=pixels.device, dtype=torch.float32)
    for k in shown.any(0).nonzero()[:, 0].tolist():
        for start, end, _, colour in BONES:
            ax, ay, bx, by = (
                pixels[:, k, j, axis][:, None, None] for j in (start, end) for axis in (0, 1)
            )
            ux, uy = bx - ax, by - ay
            share = (((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy).clamp(min=1e-6)).clamp(
                0, 1
            )
            near = (x - ax - share * ux).hypot(y - ay - share * uy) <= reach
            near &= shown[:, k, None, None]
            picture = torch.where(
                near[:, None], picture.new_tensor(colour)[:, None, None] / 255, picture
            )
    return picture, picture.amax(1) > 0
