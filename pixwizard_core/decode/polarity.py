"""Which shade of a painted depth map is near: decided here for every way of reading depth.

The released model was trained on both (paper B.4): maps of natural pictures have near white,
metric ones near black. White is the default everywhere. "auto" examines the picture: things low in
it, such as the floor, are mostly nearer than things high in it, such as the sky or the far wall.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DecodeError

WHITE, BLACK, AUTO = "white", "black", "auto"
NEAR_CHOICES = (WHITE, BLACK, AUTO)
DEFAULT_NEAR = WHITE
CLEAR = 0.1  # smallest correlation, either way, that decides


class Polarity(NamedTuple):
    """near: the shade taken for near, white or black. correlation: of brightness with height in the
    picture, -1..1, positive when it gets brighter towards the bottom; None if not measured."""

    near: str
    correlation: float | None = None

    def said(self) -> str:
        """The reason, in words."""
        if self.correlation is None:
            return f"{self.near} is taken for near"
        told = f"brightness and closeness to the bottom correlate by {self.correlation:+.2f}"
        if abs(self.correlation) < CLEAR:
            return f"{self.near} is taken for near by default; {told}, too little to tell"
        return f"{self.near} is near: {told}"


def brightens_downwards(grey: Tensor) -> float:
    """Pearson's correlation of (H, W) with the row number, -1..1; 0 for a flat picture."""
    values = grey.double()
    rows = torch.arange(len(values), dtype=torch.float64, device=values.device)[:, None]
    values, rows = values - values.mean(), (rows - rows.mean()).expand_as(values)
    spread = float(values.square().sum() * rows.square().sum())
    return float((values * rows).sum()) / spread**0.5 if spread > 0 else 0.0


def polarity(grey: Tensor, near: str = DEFAULT_NEAR) -> Polarity:
    """The polarity of one painted depth map (H, W). near: "white", "black", or "auto" to judge by
    the picture, which gives white when the picture does not decide. Raises DecodeError for another
    word."""
    if near not in NEAR_CHOICES:
        raise DecodeError(f"near must be one of {', '.join(NEAR_CHOICES)}. Got: {near!r}")
    if near != AUTO:
        return Polarity(near)
    found = brightens_downwards(grey)
    return Polarity(BLACK if found <= -CLEAR else DEFAULT_NEAR, found)


def near_is_white(
    painted: Tensor, near: str = DEFAULT_NEAR, seen: Tensor | None = None
) -> tuple[Tensor, list[Polarity]]:
    """Convert painted depth (B, H, W) in 0..1 to depth in which 1 is near; also returns how each
    picture was read. seen: bool (H, W), the rows and columns that auto examines; None for all."""
    shown = painted if seen is None else _seen(painted, seen)
    found = [polarity(one, near) for one in shown]
    blacks = [one.near == BLACK for one in found]
    black = torch.tensor(blacks, dtype=torch.bool, device=painted.device)
    return torch.where(black[:, None, None], 1 - painted, painted), found


def _seen(painted: Tensor, seen: Tensor) -> Tensor:
    rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    return painted[:, top:bottom, int(columns[0]) : int(columns[-1]) + 1]
