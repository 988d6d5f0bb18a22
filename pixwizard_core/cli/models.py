"""Options that select a model, for every command that runs one."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import RELEASED_PARTS
from ..errors import PixWizardError, reason_of

DTYPES = ("bfloat16", "float16", "float32")


def add_model_options(parser: argparse.ArgumentParser):
    """Add options for the model and its device. Returns their group."""
    models = parser.add_argument_group("models (default: the bundled small one)")
    models.add_argument("--bundle", type=Path, help="folder of another small model")
    models.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, …")
    add_released_options(models)
    return models


def add_released_options(models) -> None:
    """Add options for the four parts of the released model."""
    models.add_argument("--model", type=Path, help="released folder, .pth or .safetensors")
    models.add_argument("--gemma", type=Path, help="gemma-2b folder or file")
    models.add_argument("--clip", type=Path, help="clip-vit-large-patch14-336 folder or file")
    models.add_argument("--vae", type=Path, help="SDXL VAE folder or file")
    models.add_argument(
        "--dtype", choices=DTYPES, help=f"of the released model (default {DTYPES[0]})"
    )


def usable_device(name: str):
    """The torch device of this name. Raises PixWizardError when it cannot be used here."""
    import torch

    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise PixWizardError(
            f"device {name!r} cannot be used here ({reason_of(error, 120)}); try --device cpu"
        ) from error
    return device


def load_small(folder: Path | None, device: str):
    """Load the bundled model, or one in a folder of the same layout."""
    from ..bundle import load_tiny

    place = usable_device(device)
    return load_tiny(device=place) if folder is None else load_tiny(folder, device=place)


def released_parts(arguments: argparse.Namespace) -> list[Path]:
    """The four parts of the released model, or none for a small one. Raises PixWizardError when
    only some are given."""
    from ..bundle import require_all_parts

    parts = [getattr(arguments, part) for part in RELEASED_PARTS]
    if not any(parts):
        if getattr(arguments, "dtype", None) is not None:  # train has no such option
            raise PixWizardError("--dtype applies to the released model, but --model is not given")
        return []
    require_all_parts({f"--{part}": getattr(arguments, part) for part in RELEASED_PARTS})
    if arguments.bundle is not None:
        raise PixWizardError("give either --bundle or the parts of the released model, not both")
    return parts


def load_asked(arguments: argparse.Namespace):
    """Load the pipeline.Bundle that the options of add_model_options() select."""
    import torch

    from ..bundle import load_released

    parts = released_parts(arguments)
    if not parts:
        return load_small(arguments.bundle, arguments.device)
    return load_released(
        *parts,
        device=usable_device(arguments.device),
        dtype=getattr(torch, arguments.dtype or DTYPES[0]),
    )


def model_files(arguments: argparse.Namespace):
    """The fleet.job.ModelFiles that the options of a command name. Raises PixWizardError when only
    some parts of the released model are given."""
    from ..fleet.job import ModelFiles

    parts = released_parts(arguments)
    return ModelFiles(
        folder=str(arguments.bundle) if arguments.bundle else None,
        released=tuple(map(str, parts)) if parts else None,
        dtype=arguments.dtype or DTYPES[0],
    )
