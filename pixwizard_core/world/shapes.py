"""Where a ray meets a solid: closed forms, batched over rays.

Every function takes ox, oy, oz: ray origins relative to the point where the solid stands on the
floor, (m, 1, 1), and dx, dy, dz: ray directions, (m, H, W), not normalised. It returns t (m, H, W),
the first hit's ray parameter (FAR where the ray misses), and the outward unit normal (nx, ny, nz)
there, meaningless where t is FAR.
"""

from __future__ import annotations

import torch
from torch import Tensor

FAR = 1e4
TINY = 1e-5
Hit = tuple[Tensor, Tensor, Tensor, Tensor]


def _missing(t: Tensor, hit: Tensor) -> Tensor:
    return torch.where(hit & (t > 0), t, FAR)


def ball(
    ox: Tensor, oy: Tensor, oz: Tensor, dx: Tensor, dy: Tensor, dz: Tensor, radius: Tensor
) -> Hit:
    """A ball of this radius resting on the floor."""
    oy = oy - radius
    a = dx * dx + dy * dy + dz * dz
    b = dx * ox + dy * oy + dz * oz
    d = b * b - a * (ox * ox + oy * oy + oz * oz - radius * radius)
    t = (-b - d.clamp(min=0).sqrt()) / a
    return (
        _missing(t, d > 0),
        (dx * t + ox) / radius,
        (dy * t + oy) / radius,
        (dz * t + oz) / radius,
    )


def cube(
    ox: Tensor,
    oy: Tensor,
    oz: Tensor,
    dx: Tensor,
    dy: Tensor,
    dz: Tensor,
    half: Tensor,
    yaw: Tensor,
) -> Hit:
    """A cube of edge 2 * half, turned by yaw about the vertical: three slabs."""
    c, s = yaw.cos(), yaw.sin()
    ox, oz, oy = c * ox - s * oz, s * ox + c * oz, oy - half
    dx, dz = c * dx - s * dz, s * dx + c * dz
    near, far = [], []
    for o, d in ((ox, dx), (oy, dy), (oz, dz)):
        inverse = 1 / torch.where(d.abs() < TINY, TINY, d)
        near.append(-o * inverse - half * inverse.abs())
        far.append(-o * inverse + half * inverse.abs())
    t = torch.maximum(torch.maximum(near[0], near[1]), near[2])
    hit = t < torch.minimum(torch.minimum(far[0], far[1]), far[2])
    zero = torch.zeros_like(t)
    on_x = t == near[0]
    on_y = (t == near[1]) & ~on_x
    on_z = ~on_x & ~on_y
    fx, fy, fz = (
        torch.where(on, -d.sign(), zero) for on, d in ((on_x, dx), (on_y, dy), (on_z, dz))
    )
    return _missing(t, hit), c * fx + s * fz, fy, -s * fx + c * fz


def cylinder(
    ox: Tensor,
    oy: Tensor,
    oz: Tensor,
    dx: Tensor,
    dy: Tensor,
    dz: Tensor,
    radius: Tensor,
    height: Tensor,
) -> Hit:
    """An upright cylinder with its lid."""
    a = (dx * dx + dz * dz).clamp(min=TINY)
    b = dx * ox + dz * oz
    d = b * b - a * (ox * ox + oz * oz - radius * radius)
    side = (-b - d.clamp(min=0).sqrt()) / a
    y = oy + dy * side
    side = _missing(side, (d > 0) & (y >= 0) & (y <= height))
    lid = (height - oy) / torch.where(dy.abs() < TINY, -TINY, dy)
    on_lid = ((dx * lid + ox) ** 2 + (dz * lid + oz) ** 2 < radius * radius) & (dy < 0)
    lid = _missing(lid, on_lid)
    top = lid < side
    zero = torch.zeros_like(side)
    nx, nz = (dx * side + ox) / radius, (dz * side + oz) / radius
    return (
        torch.minimum(lid, side),
        torch.where(top, zero, nx),
        top.to(side.dtype),
        torch.where(top, zero, nz),
    )


def cone(
    ox: Tensor,
    oy: Tensor,
    oz: Tensor,
    dx: Tensor,
    dy: Tensor,
    dz: Tensor,
    radius: Tensor,
    height: Tensor,
) -> Hit:
    """An upright cone, base on the floor: x^2 + z^2 = (radius / height)^2 (height - y)^2."""
    slope = (radius / height) ** 2
    oy = oy - height
    a = dx * dx + dz * dz - slope * dy * dy
    a = torch.where(a.abs() < TINY, TINY, a)
    b = dx * ox + dz * oz - slope * dy * oy
    d = b * b - a * (ox * ox + oz * oz - slope * oy * oy)
    root = d.clamp(min=0).sqrt()
    t = torch.full_like(d, FAR)
    for candidate in ((-b - root) / a, (-b + root) / a):
        y = oy + dy * candidate  # 0 at the tip, -height on the floor
        t = torch.minimum(t, _missing(candidate, (d > 0) & (y <= 0) & (y >= -height)))
    nx, ny, nz = dx * t + ox, -slope * (dy * t + oy), dz * t + oz
    length = (nx * nx + ny * ny + nz * nz).clamp(min=1e-12).sqrt()
    return t, nx / length, ny / length, nz / length
