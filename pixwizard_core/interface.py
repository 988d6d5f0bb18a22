"""PixWizard in a few lines of Python: load a model, ask for a task, read the answer.

>>> from pixwizard_core import load
>>> pw = load()                                      # the bundled model
>>> answer = pw("depth", "photo.jpg")                # doctest: +SKIP
>>> answer.image.save("depth.png")                   # doctest: +SKIP
>>> answer.depth.shape                               # doctest: +SKIP
torch.Size([1, 480, 640])
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from .bundle import load_released, load_tiny, require_all_parts, with_loras
from .canvas import Canvas, blank_size
from .config import RELEASED_PARTS
from .decode import (
    Hints,
    Segments,
    at_source_size,
    bundled_palette,
    decode,
    mask_boxes,
    not_sharpened,
)
from .decode.boxes import Box
from .errors import CanvasError, InstructionError
from .files.mask_values import read_mask
from .files.picture_files import as_pil
from .files.picture_values import as_image_01
from .pipeline import Bundle, Request, run
from .presets import AUTO, with_preset
from .regions import RegionRequest, require_mask
from .tasks import TASKS, TRAINED, find_task, instruction, not_taught
from .weights.lora_use import GivenLoras, uses_of

TEXT_TO_IMAGE = "text2image"
MASKS = ("mask", "highlight")
DRAWN, DRAWN_COLOUR = ("highlight", "box"), "red"  # answers drawn over the picture, and the colour


@dataclass(frozen=True)
class Answer:
    """What the model painted, and what it means.

    task: its id, or "custom". instruction: the sentence that was sent. image_01: (B, 3, H, W)
    float32 in 0..1, of the source's size. hints: what decoding used. canvas: the size the model
    worked at. Properties that a task does not have raise AttributeError saying which task has them.
    """

    task: str
    instruction: str
    image_01: Tensor
    hints: Hints
    canvas: Canvas

    @property
    def images(self) -> list[Any]:
        """The answer pictures as Pillow images."""
        return [as_pil(one) for one in self.image_01]

    @property
    def image(self) -> Any:
        """The first answer picture as a Pillow image."""
        return as_pil(self.image_01[0])

    @property
    def depth(self) -> Tensor:
        """(B, H, W) float32 in 0..1, 1 = near. Relative, not in metres."""
        return self._decoded("depth", "depth")

    @property
    def normals(self) -> Tensor:
        """(B, 3, H, W) unit vectors: x right, y up, z towards the viewer."""
        return self._decoded("normals", "normal")

    @property
    def segments(self) -> Segments:
        """Class indices and their certainty; names and colours are in hints.palette."""
        return self._decoded("segments", "segmentation")

    @property
    def edges(self) -> Tensor:
        """(B, H, W) float32 in 0..1, 1 = edge."""
        return self._decoded("edges", "edge")

    @property
    def mask(self) -> Tensor:
        """(B, H, W) bool, True = the requested object; all False when nothing was found."""
        return self._decoded("mask", *MASKS)

    @property
    def boxes(self) -> list[list[Box]]:
        """Boxes of each picture, xyxy in px, right and bottom exclusive. A mask gives one box
        around all of it; no boxes when nothing was found."""
        kind = find_task(self.task).decoder
        if kind in MASKS:
            return [_around(mask) for mask in self.mask]
        return self._decoded("boxes", "box")

    @cached_property
    def _values(self) -> Any:
        return decode(find_task(self.task).decoder, self.image_01, self.hints)

    def _decoded(self, name: str, *kinds: str) -> Any:
        if find_task(self.task).decoder in kinds:
            return self._values
        having = ", ".join(task.id for task in TASKS.values() if task.decoder in kinds)
        raise AttributeError(f"the answer to task {self.task!r} has no {name}; ask for: {having}")


def _around(mask: Tensor) -> list[Box]:
    if not bool(mask.any()):
        return []
    left, top, right, bottom = (int(side) for side in mask_boxes(mask[None])[0])
    return [Box((left, top, right, bottom), 1.0)]


class Pipeline:
    """A model that you call with a task and a picture.

    bundle: the transformer with its encoders and the settings that suit it (see bundle.load_tiny,
    bundle.load_released).
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def __call__(
        self,
        task: str,
        image: Any = None,
        *,
        target: str = "",
        colour: str = "",
        caption: str = "",
        question: str = "",
        phrasing: int | str = TRAINED,
        seed: int = 0,
        size: tuple[int, int] | None = None,
        fit: str = "stretch",
        centre: int | None = None,
        preset: str = AUTO,
        sharp: bool = False,
        regions: Sequence[tuple[Any, str]] = (),
        regions_apart: bool = True,
        on_progress: Callable[[int, int], None] | None = None,
        **settings: Any,
    ) -> Answer:
        """Do a task on a picture or a batch of pictures of one size.

        task: an id of tasks() such as "depth", or "custom" for the caption as it is. image: a path,
        a Pillow image, an array or a tensor (see files.picture_values); only "text2image" needs
        none and takes size, (width, height) in px; by default a square of the trained side nearest
        to 768. target, colour, caption, question: the words of the task; highlights and boxes are
        red unless colour says otherwise. phrasing: "trained", as this model was asked in training,
        or the number of one of the task's phrasings.
        seed: picture i of a batch gets seed + i. fit: stretch, pad or crop. centre: side in px of
        a square with the area to work at; by default the trained one nearest to the picture's
        area. preset: a name of presets.PRESETS; auto is the model's own. sharp: let the answer
        follow the edges of a picture larger than the model's size (for the kinds of answers in
        decode.SHARPENED; warns when it has no effect). regions: a list of pairs of a
        mask, white or 1 = in the region (see files.mask_values; a tensor with three axes is one
        mask for each picture), and a sentence in your own words for that part, or one for each
        picture; the task is then for the rest, and later regions lie on top of earlier ones.
        regions_apart: whether regions do not look at each other (docs/beyond.md); warns of masks
        that were resized or read by their transparency, and of what has no effect. settings: fields
        of generate.SampleSettings, such as steps and w_text; without any, those that suit the model
        and the task. on_progress(done, total) is called after each step. Warns of a task that the
        model was not taught.

        Raises InstructionError for unknown tasks and missing words, CanvasError for pictures and
        masks that cannot be used, SamplingError when sampling breaks down.
        """
        known = find_task(task)
        if known.decoder in DRAWN:
            colour = colour or DRAWN_COLOUR
        taught = self.bundle.taught
        sentence = instruction(
            task, target=target, colour=colour, caption=caption, question=question,
            phrasing=phrasing, taught=taught,
        )  # fmt: skip
        if note := not_taught(task, taught):
            warnings.warn(note, stacklevel=2)
        image_01 = _picture(task, image, size or blank_size(self.bundle.centres))
        chosen = self.bundle.settings_of(task)
        chosen = with_preset(chosen, preset)
        try:
            chosen = replace(chosen, **settings)
        except TypeError:
            unknown = ", ".join(sorted(set(settings) - set(type(chosen).__slots__)))
            raise InstructionError(
                f"there is no setting {unknown}; choose from {', '.join(type(chosen).__slots__)}"
            ) from None
        parts = _asked_regions(regions)
        request = Request(
            image_01, sentence, seed, chosen, fit, centre, regions=parts,
            regions_apart=regions_apart,
        )  # fmt: skip
        result = run(self.bundle, request, on_progress)
        for said in result.notes:
            warnings.warn(said, stacklevel=2)
        palette = bundled_palette(self.bundle.palette)
        hints = Hints(image_01, colour or DRAWN_COLOUR, palette)
        if sharp and (reason := not_sharpened(known.decoder, result.canvas)):
            warnings.warn(f"sharp has no effect: {reason}", stacklevel=2)
        painted = at_source_size(
            known.decoder, result.model_image_01, image_01, result.canvas, hints.colour, sharp=sharp
        )
        return Answer(known.id, sentence, painted, hints, result.canvas)

    def tasks(self) -> dict[str, str]:
        """Title of each task by its id."""
        return {task.id: task.title for task in TASKS.values()}


def _asked_regions(regions: Any) -> list[RegionRequest]:
    """The regions of a call. Raises CanvasError for anything but pairs of a mask and a sentence."""
    form = "regions is a list of pairs (mask, instruction), such as [('ball.png', 'make it blue')]"
    if not isinstance(regions, (list, tuple)):
        raise CanvasError(f"{form}. Got: {type(regions).__name__}")
    found = list[RegionRequest]()
    for number, pair in enumerate(cast("Sequence[Any]", regions), 1):
        if not _is_pair(pair):
            raise CanvasError(f"{form}. Got as entry {number}: {_told(pair)}")
        mask, notes = read_mask(pair[0], f"the mask of region {number}")
        require_mask(mask, number)
        found.append(RegionRequest(mask, pair[1], notes))
    return found


def _is_pair(given: Any) -> bool:
    """Whether this is a mask with one sentence, or with one for each picture."""
    pair = cast("Sequence[Any]", given if isinstance(given, (list, tuple)) else ())
    if len(pair) != 2:
        return False
    said = cast("Sequence[Any]", pair[1] if isinstance(pair[1], (list, tuple)) else pair[1:])
    return all(isinstance(one, str) for one in said)


def _told(given: Any) -> str:
    """What was given in place of a pair, shortly."""
    if isinstance(given, (list, tuple)):
        kinds = (type(one).__name__ for one in cast("Sequence[Any]", given))
        return f"({', '.join(kinds)})"
    return type(given).__name__


def _picture(task: str, image: Any, size: tuple[int, int]) -> Tensor:
    if image is not None:
        return as_image_01(image)
    if task != TEXT_TO_IMAGE:
        raise CanvasError(f"task {task!r} needs a picture; only {TEXT_TO_IMAGE} works without one")
    width, height = size
    if min(width, height) < 1:
        raise CanvasError(f"size must be at least 1 x 1 px. Got: {width} x {height}")
    return torch.zeros(1, 3, height, width, dtype=torch.float32, device="cpu")


def load(
    model: str | Path | None = None,
    gemma: str | Path | None = None,
    clip: str | Path | None = None,
    vae: str | Path | None = None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
    lora: GivenLoras | None = None,
) -> Pipeline:
    """Load the bundled model, or the released one from its four parts (folders or files).

    dtype: of the released model's transformer and encoders; the bundled one runs in float32. lora:
    a LoRA file, (file, strength), or a list of these, added to the model; warns of one that changes
    nothing or does not state its alpha. Raises PixWizardError when only some parts are given,
    CheckpointError or EncoderError for a wrong part, CheckpointError for a LoRA that does not fit.
    """
    uses = uses_of(lora)
    given: dict[str, object] = dict(zip(RELEASED_PARTS, (model, gemma, clip, vae), strict=True))
    if model and gemma and clip and vae:
        bundle = load_released(model, gemma, clip, vae, device=device, dtype=dtype)
    else:
        if any(given.values()):
            require_all_parts(given)
        bundle = load_tiny(device=device)
    if uses:
        bundle, applied = with_loras(bundle, uses)
        for one in applied:
            if one.guessed or not one.layers:
                warnings.warn(one.line, stacklevel=2)
    return Pipeline(bundle)
