"""What a node shows of its result: small pictures in the host's temp folder, and the data with
which web/picture_view.js draws them.

Each function returns {"pixwizard_view": [one entry for each picture]}, a node's UI output. The host
sends it to the page and keeps it in the run's history, so a reloaded page draws the same. A view
never makes a run fail: if nothing can be written, there is no view.
"""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path

import folder_paths
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from ...pixwizard_core.decode.common import Rgb, rgb_of
from ...pixwizard_core.errors import CanvasError
from ...pixwizard_core.files.picture_files import replace_file

KEY = "pixwizard_view"
FOLDER = "pixwizard"  # inside the host's temp folder, which the host empties when it starts
LARGEST_PX = 1024  # longer side of what is sent to the page
MOST_PICTURES = 16  # of a batch; the page shows one at a time
LEVELS = 65535  # numbers travel as 16 bits, high byte in red and low byte in green

View = dict[str, list]


def measured(
    picture_01: Tensor,
    values: Tensor,
    unit: str,
    limits: tuple[float, float] | None = None,
    spread: Tensor | None = None,
) -> View:
    """A picture whose pixels have a value that the page shows at the pointer.

    picture_01: (B, 3, H, W). values: (B, H, W), finite. unit: "m", or "" for relative numbers.
    limits: metres of 1 = near and of 0 = far. The page shows them too, because metres are only as
    right as this range. spread: (B, H, W), 0 and above: how far each value may be off.
    """
    widest = 0.0 if spread is None else float(spread.max())
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0

    def entry(i: int) -> dict:
        levels = ((_small(values[i], exact=True) - low) / span * LEVELS).round().long()
        return {
            "kind": "values",
            "picture": _file(_bytes(picture_01[i])),
            "values": _file(_two_bytes(levels, spread_levels(i))),
            "low": low,
            "high": low + span,
            "unit": unit,
            **({"limits": list(limits)} if limits else {}),
            **({} if spread is None else {"spread": widest}),
        }

    def spread_levels(i: int) -> Tensor | None:
        return None if spread is None else _levels(_small(spread[i], exact=True) / (widest or 1.0))

    return _view(values, entry)


def classes(picture_01: Tensor, labels: Tensor, names: dict[int, str]) -> View:
    """A class picture (B, 3, H, W) whose labels (B, H, W) the page names at the pointer."""

    def entry(i: int) -> dict:
        return {
            "kind": "classes",
            "picture": _file(_bytes(picture_01[i], exact=True)),
            "values": _file(_two_bytes(_small(labels[i].float(), exact=True).long())),
            "names": {str(index): name for index, name in names.items()},
        }

    return _view(labels, entry)


def directions(picture_01: Tensor, *, flip_x: bool, flip_y: bool) -> View:
    """Surface directions painted as (n + 1) / 2 in (B, 3, H, W); the page shows the angles at the
    pointer. flip_x, flip_y: whether red grows to the left, and green downwards."""

    def entry(i: int) -> dict:
        file = _file(_bytes(picture_01[i], exact=True))
        signs = [-1 if flip else 1 for flip in (flip_x, flip_y)]
        return {"kind": "directions", "picture": file, "values": file, "signs": signs}

    return _view(picture_01, entry)


def overlay(picture_01: Tensor, mask: Tensor, colour: str | Rgb = "red") -> View:
    """A mask (B, H, W), bool or 0..1, to be laid on its picture (B, 3, H, W), or on one for all."""
    ink = rgb_of(colour)

    def entry(i: int) -> dict:
        soft = _small(mask[i].float())
        alpha, rim = _levels(soft), _rim(soft > 0.5).to(torch.uint8) * 255
        colours = [torch.full_like(alpha, part).maximum(rim) for part in ink]
        cover = torch.stack([*colours, alpha.maximum(rim)])
        return {
            "kind": "overlay",
            "picture": _file(_bytes(picture_01[i % len(picture_01)])),
            "cover": _file(cover),
        }

    return _view(mask, entry)


def boxes(picture_01: Tensor, found: list[dict], colour: str | Rgb) -> View:
    """Boxes to be drawn on their pictures (B, 3, H, W). found: {bboxes in px, labels, scores} of
    each."""

    def entry(i: int) -> dict:
        drawn = {name: found[i][name] for name in ("bboxes", "labels", "scores")}
        picture = _file(_bytes(picture_01[i % len(picture_01)]))
        return {"kind": "boxes", "picture": picture, "rgb": list(rgb_of(colour)), **drawn}

    return _view(picture_01, entry, len(found))


def pair(before_01: Tensor, after_01: Tensor, names: tuple[str, str]) -> View:
    """Two pictures (B, 3, H, W) of one size with a divider between them; one may serve all."""
    count = max(len(before_01), len(after_01))

    def entry(i: int) -> dict:
        return {
            "kind": "pair",
            "picture": _file(_bytes(before_01[i % len(before_01)])),
            "cover": _file(_bytes(after_01[i % len(after_01)])),
            "names": list(names),
        }

    return _view(after_01, entry, count)


def plain(picture_01: Tensor) -> View:
    """Pictures (B, 3, H, W) as they are."""
    return _view(picture_01, lambda i: {"kind": "plain", "picture": _file(_bytes(picture_01[i]))})


def _view(maps: Tensor, entry, count: int | None = None) -> View:
    """Entries of the first pictures, with the size in px to which positions refer."""
    size = {"width": maps.shape[-1], "height": maps.shape[-2]}
    shown = range(min(len(maps) if count is None else count, MOST_PICTURES))
    try:
        return {KEY: [{**entry(i), **size} for i in shown]}
    except (OSError, CanvasError) as error:
        logging.warning("PixWizard shows no picture on its node: %s", error)
        return {KEY: []}


def _small(maps: Tensor, exact: bool = False) -> Tensor:
    """(..., H, W) with its longer side at most LARGEST_PX. exact: keep values as they are."""
    height, width = maps.shape[-2:]
    scale = LARGEST_PX / max(height, width)
    if scale >= 1:
        return maps.float()
    size = [max(1, round(side * scale)) for side in (height, width)]
    rows = maps.float().reshape(1, -1, height, width)
    mode = "nearest-exact" if exact else "bilinear"
    return interpolate(rows, size, mode=mode, antialias=not exact).reshape(*maps.shape[:-2], *size)


def _rim(selected: Tensor) -> Tensor:
    """The inner edge of a selection (H, W) bool, which makes it visible on things of its own
    colour."""
    thick = max(1, max(selected.shape) // 300)
    outside = (~selected).float()[None, None]
    return (max_pool2d(outside, 2 * thick + 1, 1, thick)[0, 0] > 0).logical_and(selected).cpu()


def _levels(values_01: Tensor) -> Tensor:
    return (values_01.clamp(0, 1) * 255).round().byte().cpu()


def _bytes(picture_01: Tensor, exact: bool = False) -> Tensor:
    """(C, H, W) in 0..1 as (3, h, w) bytes; transparency is dropped."""
    colours = picture_01[:3] if len(picture_01) >= 3 else picture_01[:1].expand(3, -1, -1)
    return _levels(_small(colours, exact).nan_to_num())


def _two_bytes(levels: Tensor, others: Tensor | None = None) -> Tensor:
    """Whole numbers 0..65535 (H, W) as (3, H, W) bytes. others: 0..255, for the third byte."""
    third = torch.zeros_like(levels) if others is None else others.to(levels.device)
    parts = [levels // 256, levels % 256, third]
    return torch.stack(parts).byte().cpu()


def _file(channels: Tensor) -> dict[str, str]:
    """(3 or 4, H, W) bytes as a PNG that the host serves under /view.

    Named by its content: the same result is stored once, however often it is shown.
    """
    packed = io.BytesIO()
    picture = Image.fromarray(channels.movedim(0, -1).contiguous().numpy())
    picture.save(packed, "PNG", compress_level=1)
    name = hashlib.blake2b(packed.getvalue(), digest_size=12).hexdigest() + ".png"
    path = Path(folder_paths.get_temp_directory()) / FOLDER / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, packed.getvalue())
    return {"filename": name, "subfolder": FOLDER, "type": "temp"}
