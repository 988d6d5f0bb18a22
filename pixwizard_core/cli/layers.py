"""pixwizard run --layers: named things as pictures with transparency, over a filled background."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PixWizardError
from ..tasks import FIELDS
from .progress import progress

if TYPE_CHECKING:
    from torch import Tensor

NOT_IN_NAMES = re.compile(r"[^\w]+")
LONGEST_NAME = 40
# What one answer should be, which layers ask for in their own way, and what these options hold when
# they are not given.
OTHER: dict[str, object] = {
    **dict.fromkeys((
        "task", "instruction", "size", "preset", "steps", "channels", "solver", "shift", "w_text",
        "w_image", "tokens", "near", "range", "best", "region", "tile", "overlap",
    )),
    **dict.fromkeys(("phrasing", *FIELDS), ""), "fit": "stretch", "sharp": False,
    "regions_together": False,
}  # fmt: skip


def check_layers(arguments: argparse.Namespace) -> list[str]:
    """The names in --layers. Raises PixWizardError for none, or beside options of other answers."""
    from ..cutout import names_in

    names = names_in(arguments.layers)
    if not names:
        raise PixWizardError(
            "--layers needs names with commas between them, such as 'the red ball, the blue cube'"
        )
    if given := [name for name, unset in OTHER.items() if getattr(arguments, name) != unset]:
        option = given[0].replace("_", "-")
        raise PixWizardError(f"--layers asks its own questions; leave out --{option}")
    if not arguments.pictures:
        raise PixWizardError("--layers cuts things out of a picture; give at least one")
    return names


def write_layers(
    arguments: argparse.Namespace, bundle, stem: str, image_01: Tensor, names: list[str],
    seed: int, written: set[Path],
) -> list[Path]:  # fmt: skip
    """Cut one picture apart and write it: STEM_background.png, STEM_1_NAME.png with transparency
    for each layer, the first on top, and STEM_layers.json. Says on stderr what was not found.
    written: files of pictures before, which get no other content; this picture's are added."""
    from ..cutout import cut_out
    from ..files.data_files import write_json
    from ..files.picture_files import save_picture

    with progress(stem, "answer") as advance:
        found = cut_out(
            bundle, image_01, names, seed=seed, centre=arguments.centre, on_progress=advance
        )
    pictures = {f"{stem}_background": found.background}
    for number, layer in enumerate(found.layers, 1):
        name = NOT_IN_NAMES.sub("_", layer.name)[:LONGEST_NAME].strip("_")
        pictures["_".join(filter(None, (stem, str(number), name)))] = layer.rgba
    files = list[Path]()
    for name, picture in pictures.items():
        path = arguments.out / f"{name}.png"
        while path in written:
            path = path.with_stem(f"{path.stem}_")
        written.add(path)
        save_picture(path, picture)
        files.append(path)
    report = {**found.report(), "seed": seed, "files": [path.name for path in files]}
    files.append(arguments.out / f"{stem}_layers.json")
    write_json(files[-1], report)
    if found.missing:
        print(f"{stem}: not found: {', '.join(found.missing)}", file=sys.stderr)
    return files
