"""Picture files to tensors and back, through Pillow."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import torch
from torch import Tensor

from ..errors import CanvasError, reason_of
from ..torch_types import from_numpy
from ..whole_file import whole_file
from .kinds import HEIF, ending

if TYPE_CHECKING:
    from PIL import Image

SIXTEEN_BIT = 65535
EIGHT_BIT = 255
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values that swap the sides
XMP = 700  # TIFF's tag
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
TURNING_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type", b"xmp\0", b"exif\0")
LONGEST_KEYWORD = 80
Rgb = tuple[int, int, int]
Texts = Mapping[str, str]
_allowed: int | None = None  # pixels of a picture; None leaves it to Pillow


def open_picture(path: str | Path) -> Tensor:
    """A picture file as (1, 3, H, W) float32 in 0..1, upright; transparency is laid on white.

    Any kind Pillow reads; 16-bit grey keeps its precision. Of several frames the first. Raises
    CanvasError for anything else.
    """
    return to_tensor(open_upright(path), Path(path).name)


def open_upright(path: str | Path) -> Image.Image:
    """A picture file as Pillow decodes it, upright. Raises CanvasError as open_picture does."""
    path = Path(path)
    if not path.is_file():
        raise CanvasError(f"there is no picture {path.name} in {path.parent.absolute()}")
    with opened(path) as file:
        return upright(file)


def read_picture(data: bytes, name: str) -> Tensor:
    """The same as open_picture(), from the bytes of a file. name: the file's, whose ending tells a
    HEIF picture, for errors."""
    with opened(Path(name), io.BytesIO(data)) as file:
        picture = upright(file)
    return to_tensor(picture, name)


def to_tensor(picture: Image.Image, name: str) -> Tensor:
    """What Pillow has decoded as (1, 3, H, W) float32 in 0..1; transparency is laid on white.
    Raises CanvasError beginning with name for NaN."""
    colour, alpha = colour_and_alpha(picture, name)
    return colour if alpha is None else colour * alpha + (1 - alpha)


def colour_and_alpha(picture: Image.Image, name: str) -> tuple[Tensor, Tensor | None]:
    """What Pillow has decoded as colours (1, 3, H, W) and alpha (1, 1, H, W), float32 in 0..1; None
    for a kind without transparency. Raises CanvasError beginning with name for NaN."""
    if picture.mode.startswith("I"):
        return _tensor(picture, SIXTEEN_BIT).expand(1, 3, -1, -1).clamp(0, 1), None
    if picture.mode == "F":
        grey = _tensor(picture, 1)
        if bool(grey.isnan().any()):
            raise CanvasError(f"{name} cannot be read as a picture (some pixels are NaN)")
        return grey.expand(1, 3, -1, -1).clamp(0, 1), None
    if picture.mode not in WITH_ALPHA and "transparency" not in picture.info:
        return _tensor(picture.convert("RGB"), EIGHT_BIT), None
    rgba = _tensor(picture.convert("RGBA"), EIGHT_BIT)
    return rgba[:, :3], rgba[:, 3:]


def picture_size(path: str | Path, data: bytes | None = None) -> tuple[int, int]:
    """(width, height) in px of what open_picture gives, mostly from the head of the file alone.

    data: the bytes of the file, where they are known. Raises CanvasError for a file that is no
    picture.
    """
    path = Path(path)
    with opened(path, None if data is None else io.BytesIO(data)) as file:
        # Pillow finds some notes on orientation only while it decodes, and turns a TIFF by itself.
        if file.format == "PNG":
            with path.open("rb") if data is None else io.BytesIO(data) as stream:
                late = _png_may_turn(stream)
            return upright(file).size if late else file.size
        if file.format == "TIFF":
            return upright(file).size if _tiff_may_turn(file) else file.size
        turned = file.getexif().get(ORIENTATION, 1) in SIDEWAYS
        return (file.height, file.width) if turned else (file.width, file.height)


def upright(file: Image.Image) -> Image.Image:
    """A decoded picture turned the way it should be seen, wherever its orientation is written."""
    from PIL import ImageOps

    file.load()
    return ImageOps.exif_transpose(file)


def _png_may_turn(data: BinaryIO) -> bool:
    """Whether any chunk of a PNG could hold an orientation."""
    data.seek(len(PNG_HEAD))
    while len(head := data.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"eXIf":
            return True
        start = data.read(min(length, LONGEST_KEYWORD)) if kind in TEXT_CHUNKS else b""
        if start.startswith(TURNING_TEXTS):
            return True
        data.seek(length - len(start) + 4, 1)  # and the checksum
    return False


def _tiff_may_turn(file: Image.Image) -> bool:
    tags = tiff_tags(file)
    return tags.get(ORIENTATION, 1) != 1 or XMP in tags


def tiff_tags(file: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF picture by number; none for any other kind."""
    return getattr(file, "tag_v2", {})


def allow_pixels(count: int) -> None:
    """Let pictures of up to count pixels be opened from now on in this process, and no larger ones.

    Without this, Pillow's own limit holds (about 179 million), against files that fill the memory.
    """
    from PIL import Image

    global _allowed
    _allowed = count
    Image.MAX_IMAGE_PIXELS = count


def open_raw(path: str | Path) -> Tensor:
    """The numbers of a file without any change: (H, W) or (H, W, C) of its own integer or float
    type, 16-bit depths and class indices included. Raises CanvasError."""
    import numpy as np

    with opened(Path(path)) as file:
        values = np.array(file)
    return from_numpy(values.astype("int64") if values.dtype.kind in "uib" else values)


@contextmanager
def opened(path: Path, stream: io.BytesIO | None = None) -> Generator[Image.Image]:
    """A picture for Pillow to read in the block: a file, or the bytes of one that is called path.
    Raises CanvasError when it cannot."""
    from PIL import Image

    _learn_heif(path)
    try:
        with Image.open(stream or path) as file:
            _check_pixels(path, file)
            yield file
    except CanvasError:
        raise
    except Image.DecompressionBombError as error:
        raise CanvasError(_too_large(path, 2 * (Image.MAX_IMAGE_PIXELS or 0))) from error
    except Exception as error:  # its readers raise a dozen kinds for broken files
        reason = reason_of(error, 120)
        raise CanvasError(f"{path.name} cannot be read as a picture ({reason})") from error


def _check_pixels(path: Path, file: Image.Image) -> None:
    if _allowed is not None and file.width * file.height > _allowed:
        raise CanvasError(_too_large(path, _allowed))


def _too_large(path: Path, allowed: int) -> str:
    return (
        f"{path.name} has more than {allowed / 1e6:.3g} million pixels, which could fill the "
        "memory; if you trust it, raise the limit by --max-pixels"
    )


def _learn_heif(path: Path) -> None:
    """Let Pillow read a phone's HEIC. Raises CanvasError when the package for it is missing."""
    if ending(path) not in HEIF:
        return
    try:
        import pillow_heif
    except ImportError:
        raise CanvasError(
            f"{path.name} is a HEIF picture, and reading it needs one more package: "
            "pip install pillow-heif"
        ) from None
    cast(Any, pillow_heif).register_heif_opener()


def save_picture(path: str | Path, image_01: Tensor, texts: Texts | None = None) -> None:
    """(3, H, W) colour or (H, W) grey in 0..1 as an 8-bit file of the kind its name says; a batch
    of one, as open_picture gives it, is taken too.

    texts: notes for a PNG file, by name. The file appears whole or not at all; here and below,
    CanvasError says why when it cannot be written.
    """
    if image_01.ndim == 4:
        if len(image_01) != 1:
            raise CanvasError(
                f"{Path(path).name} holds one picture. Got: {len(image_01)}; save each by itself"
            )
        image_01 = image_01[0]
    _save(path, as_pil(image_01), texts)


def as_pil(image_01: Tensor) -> Image.Image:
    """(3, H, W) colour, (H, W) grey or (H, W) bool as a Pillow image of 8 bits."""
    values = (image_01.float().clamp(0, 1) * EIGHT_BIT).round().to(torch.uint8).cpu()
    return _image(values.movedim(0, -1) if values.ndim == 3 else values)


def save_mask(path: str | Path, mask: Tensor) -> None:
    """(H, W) bool as black and white."""
    save_picture(path, mask.float())


def save_grey16(path: str | Path, values_01: Tensor, texts: Texts | None = None) -> None:
    """(H, W) in 0..1 as a 16-bit grey PNG."""
    values = (values_01.double().clamp(0, 1) * SIXTEEN_BIT).round().to(torch.int32).cpu()
    _save(path, _image(values.numpy().astype("uint16")), texts)


def save_labels(
    path: str | Path, labels: Tensor, colours: Sequence[Rgb], texts: Texts | None = None
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


def _save(path: str | Path, image: Image.Image, texts: Texts | None) -> None:
    from PIL import Image, PngImagePlugin

    path = Path(path)
    endings = Image.registered_extensions()
    if path.suffix.lower() not in endings:
        raise CanvasError(f"{path.name}: unknown picture extension; use .png")
    options: dict[str, PngImagePlugin.PngInfo] = {}
    if texts:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for name, text in texts.items():
            options["pnginfo"].add_text(name, text)
    buffer = io.BytesIO()
    image.save(buffer, format=endings[path.suffix.lower()], **options)
    replace_file(path, buffer.getvalue())


def _tensor(picture: Image.Image, largest: int) -> Tensor:
    import numpy as np

    values = from_numpy(np.array(picture).astype("float32") / largest)
    return values.movedim(-1, 0)[None] if values.ndim == 3 else values[None, None]


def _image(values: Any) -> Image.Image:
    from PIL import Image

    return Image.fromarray(values.numpy() if isinstance(values, Tensor) else values)
