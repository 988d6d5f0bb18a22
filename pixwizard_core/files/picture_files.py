"""Picture files to tensors and back, through Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import CanvasError, one_line
from ..whole_file import whole_file

if TYPE_CHECKING:
    from PIL import Image

SIXTEEN_BIT = 65535
EIGHT_BIT = 255
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values that swap the sides
Rgb = tuple[int, int, int]
Texts = Mapping[str, str] | None


def open_picture(path: str | Path) -> Tensor:
    """A picture file as (1, 3, H, W) float32 in 0..1, upright; transparency is laid on white.

    Any kind Pillow reads; 16-bit grey keeps its precision. Raises CanvasError for anything else.
    """
    from PIL import ImageOps

    path = Path(path)
    if not path.is_file():
        raise CanvasError(f"there is no picture {path.name} in {path.parent.absolute()}")
    with _opened(path) as file:
        picture = ImageOps.exif_transpose(file)
        picture.load()
    if picture.mode.startswith("I"):
        return _tensor(picture, SIXTEEN_BIT).expand(1, 3, -1, -1).clamp(0, 1)
    if picture.mode == "F":
        grey = _tensor(picture, 1)
        if bool(grey.isnan().any()):
            raise CanvasError(f"{path.name} cannot be read as a picture (some pixels are NaN)")
        return grey.expand(1, 3, -1, -1).clamp(0, 1)
    rgba = _tensor(picture.convert("RGBA"), EIGHT_BIT)
    colour, alpha = rgba[:, :3], rgba[:, 3:]
    return colour * alpha + (1 - alpha)


def picture_size(path: str | Path) -> tuple[int, int]:
    """(width, height) in px of an upright picture, from the head of its file alone.

    Raises CanvasError for a file that is no picture.
    """
    with _opened(Path(path)) as file:
        # Pillow decodes a whole PNG to find notes behind its pixels, where hardly any has them.
        told = file.format != "PNG" or "exif" in file.info
        turned = told and file.getexif().get(ORIENTATION, 1) in SIDEWAYS
        return (file.height, file.width) if turned else (file.width, file.height)


def open_raw(path: str | Path) -> Tensor:
    """The numbers of a file without any change: (H, W) or (H, W, C) of its own integer or float
    type, 16-bit depths and class indices included. Raises CanvasError."""
    import numpy as np

    with _opened(Path(path)) as file:
        values = np.array(file)
    return torch.from_numpy(values.astype("int64") if values.dtype.kind in "uib" else values)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture for Pillow to read in the block. Raises CanvasError when it cannot."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            yield file
    except Exception as error:  # its readers raise a dozen kinds for broken files
        reason = one_line(str(error), 120) or type(error).__name__
        raise CanvasError(f"{path.name} cannot be read as a picture ({reason})") from error


def open_mask(path: str | Path) -> Tensor:
    """A mask file as (1, H, W) bool: light is selected."""
    return open_picture(path).mean(1) > 0.5


def save_picture(path: str | Path, image_01: Tensor, texts: Texts = None) -> None:
    """(3, H, W) colour or (H, W) grey in 0..1 as an 8-bit file of the kind its name says.

    texts: notes for a PNG file, by name. The file appears whole or not at all; here and below,
    CanvasError says why when it cannot be written.
    """
    values = (image_01.float().clamp(0, 1) * EIGHT_BIT).round().to(torch.uint8).cpu()
    _save(path, _image(values.movedim(0, -1) if values.ndim == 3 else values), texts)


def save_mask(path: str | Path, mask: Tensor) -> None:
    """(H, W) bool as black and white."""
    save_picture(path, mask.float())


def save_grey16(path: str | Path, values_01: Tensor, texts: Texts = None) -> None:
    """(H, W) in 0..1 as a 16-bit grey PNG."""
    values = (values_01.double().clamp(0, 1) * SIXTEEN_BIT).round().to(torch.int32).cpu()
    _save(path, _image(values.numpy().astype("uint16")), texts)


def save_labels(
    path: str | Path, labels: Tensor, colours: Sequence[Rgb], texts: Texts = None
) -> None:
    """(H, W) class indices below 256 as an indexed PNG whose palette is colours."""
    if len(colours) > EIGHT_BIT + 1:
        raise CanvasError(
            f"an indexed PNG holds {EIGHT_BIT + 1} classes; this palette has {len(colours)}"
        )
    image = _image(labels.to(torch.uint8).cpu())
    image.putpalette([value for colour in colours for value in colour])
    _save(path, image, texts)


def save_array(path: str | Path, values: Tensor) -> None:
    """Any tensor as a NumPy .npy file, its dtype kept."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, values.cpu().numpy(), allow_pickle=False)
    replace_file(path, buffer.getvalue())


def replace_file(path: str | Path, data: bytes) -> None:
    """Write a file beside path and put it there in one step, so that no reader sees half of it."""
    with whole_file(Path(path), CanvasError) as file:
        file.write(data)


def _save(path: str | Path, image, texts: Texts) -> None:
    from PIL import Image, PngImagePlugin

    path, options = Path(path), {}
    endings = Image.registered_extensions()
    if path.suffix.lower() not in endings:
        raise CanvasError(f"{path.name}: no kind of picture ends like this; use .png")
    if texts:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for name, text in texts.items():
            options["pnginfo"].add_text(name, text)
    buffer = io.BytesIO()
    image.save(buffer, format=endings[path.suffix.lower()], **options)
    replace_file(path, buffer.getvalue())


def _tensor(picture, largest: int) -> Tensor:
    import numpy as np

    values = torch.from_numpy(np.array(picture).astype("float32") / largest)
    return values.movedim(-1, 0)[None] if values.ndim == 3 else values[None, None]


def _image(values):
    from PIL import Image

    return Image.fromarray(values.numpy() if isinstance(values, Tensor) else values)
