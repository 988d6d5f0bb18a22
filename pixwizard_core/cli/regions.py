"""pixwizard run --region: instructions for parts of the picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import PixWizardError

REGION_FORM = "MASK:TEXT"


def read_regions(arguments: argparse.Namespace) -> list[Any]:
    """The regions asked for, each a regions.RegionRequest. Raises PixWizardError for one that
    cannot be read."""
    from ..files.mask_values import read_mask
    from ..regions import RegionRequest, require_few, require_mask

    if arguments.regions_together and not arguments.region:
        raise PixWizardError("--regions-together has no effect without --region")
    asked = arguments.region or []
    require_few(len(asked))
    found = list[RegionRequest]()
    for number, given in enumerate(asked, 1):
        path, sentence = split_region(given)
        mask, notes = read_mask(path, f"the mask of region {number} ({path.name})")
        require_mask(mask, number)
        found.append(RegionRequest(mask, sentence, notes))
    return found


def split_region(given: str) -> tuple[Path, str]:
    """The mask file and the instruction in MASK:TEXT. Names of files and instructions may hold
    colons; the first one behind the name of a file counts."""
    places = [at for at, sign in enumerate(given) if sign == ":"]
    for at in places:
        path, sentence = Path(given[:at]), given[at + 1 :].strip()
        if path.is_file():
            if not sentence:
                raise PixWizardError(f"--region {given} has no instruction behind the colon")
            return path, sentence
    raise PixWizardError(
        f"--region is {REGION_FORM}, such as 'ball.png:make the ball blue', with an existing mask "
        f"file. Got: {given}"
    )


def tell_regions(
    arguments: argparse.Namespace, notes: tuple[str, ...], stem: str
) -> dict[str, object]:
    """Print what was resized or has no effect, with the name of the picture's files (stem) if there
    are several pictures. Returns entries of the report."""
    if not arguments.region:
        return {}
    whose = f"{stem}: " if len(arguments.pictures) > 1 else ""
    for note in notes:
        print(f"{whose}{note}", file=sys.stderr)
    told: dict[str, object] = {
        "regions": list(arguments.region), "regions_apart": not arguments.regions_together
    }  # fmt: skip
    return {**told, "region_notes": list(notes)} if notes else told
