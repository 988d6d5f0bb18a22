"""Options that select a model, for every command that runs one."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from pathlib import Path

from ..config import RELEASED_PARTS
from ..errors import PixWizardError, reason_of
from ..weights.lora_use import Applied, LoraUse, parse_use

DTYPES = ("bfloat16", "float16", "float32")
PART_HELP = {
    "model": "transformer of the released model: folder, .pth or .safetensors file",
    "gemma": "text encoder gemma-2b: folder or file",
    "clip": "image and text encoder clip-vit-large-patch14-336: folder or file",
    "vae": "SDXL VAE: folder or file",
}
DEVICE_HELP = "device to run on: cpu, cuda, cuda:1, mps, … (default: %(default)s)"


def add_model_options(parser: argparse.ArgumentParser):
    """Add options for the model and its device. Returns their group."""
    models = parser.add_argument_group("model (default: the bundled small model)")
    models.add_argument("--bundle", type=Path, help="folder of another small model")
    models.add_argument("--device", default="cpu", help=DEVICE_HELP)
    add_released_options(models)
    add_lora_option(models)
    return models


def add_strength_option(models) -> None:
    """Add --strength beside --lora."""
    models.add_argument(
        "--strength", type=float, help="strength of each --lora given without one (default: 1)"
    )


def add_small_options(parser) -> None:
    """Add options for which small model runs, and where, for commands that run no other."""
    parser.add_argument(
        "--bundle", type=Path, help="folder of a small model (default: the bundled one)"
    )
    parser.add_argument("--device", default="cpu", help=DEVICE_HELP)
    add_lora_option(parser)


def add_lora_option(group, what: str = "LoRA file") -> None:
    """Add --lora, for each command that runs or converts a model. what: begins its help text."""
    group.add_argument(
        "--lora", metavar="FILE[:STRENGTH]", action="append",
        help=f"{what}, such as night.safetensors:0.8 (default strength: 1); repeatable",
    )  # fmt: skip


def add_released_options(models) -> None:
    """Add options for the four parts of the released model."""
    for part in RELEASED_PARTS:
        models.add_argument(f"--{part}", type=Path, help=PART_HELP[part])
    models.add_argument(
        "--dtype", choices=DTYPES, help=f"data type of the released model (default: {DTYPES[0]})"
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


def require_folder(bundle: Path | None) -> None:
    """Raise PixWizardError for a --bundle that is a file."""
    if bundle is not None and bundle.is_file():
        raise PixWizardError(
            f"--bundle takes the folder of a small model. Got the file {bundle.name}; give the "
            "folder that holds it and its encoders, or --model for the released one"
        )


def load_small(folder: Path | None, device: str):
    """Load the bundled model, or one in a folder of the same layout."""
    from ..bundle import load_tiny

    require_folder(folder)
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


def asked_loras(arguments: argparse.Namespace) -> tuple[LoraUse, ...]:
    """Return the LoRA files that --lora names. Raises PixWizardError for a wrong strength or no
    file, and when --strength is given without --lora or beside a strength there."""
    parsed = [parse_use(text) for text in arguments.lora or ()]
    for_all = getattr(arguments, "strength", None)  # which not every command has
    if for_all is not None and not parsed:
        raise PixWizardError("--strength applies to a LoRA; give its file with --lora")
    if for_all is not None and not math.isfinite(for_all):
        raise PixWizardError(f"--strength must be a number such as 0.8. Got: {for_all}")
    for path, strength in parsed:
        if for_all is not None and strength is not None:
            raise PixWizardError(
                f"give the strength of {path} once: --lora {path}:{strength:g} or --strength "
                f"{for_all:g}"
            )
    usual = 1.0 if for_all is None else for_all
    return tuple(
        LoraUse(path, usual if strength is None else strength) for path, strength in parsed
    )


def tell_loras(applied: Iterable[Applied]) -> None:
    """Say on stderr what each LoRA changes."""
    for one in applied:
        print(one.line, file=sys.stderr)


def load_small_asked(arguments: argparse.Namespace):
    """Load the small model that the options of add_small_options() select, with its LoRAs."""
    uses = asked_loras(arguments)
    return _with_loras(load_small(arguments.bundle, arguments.device), uses)


def _with_loras(bundle, uses: tuple[LoraUse, ...]):
    from ..bundle import with_loras

    if not uses:
        return bundle
    changed, applied = with_loras(bundle, uses)
    tell_loras(applied)
    return changed


def load_asked(arguments: argparse.Namespace):
    """Load the pipeline.Bundle that the options of add_model_options() select, with its LoRAs."""
    import torch

    from ..bundle import load_released

    parts = released_parts(arguments)
    if not parts:
        return load_small_asked(arguments)
    uses = asked_loras(arguments)
    bundle = load_released(
        *parts,
        device=usable_device(arguments.device),
        dtype=getattr(torch, arguments.dtype or DTYPES[0]),
    )
    return _with_loras(bundle, uses)


def model_files(arguments: argparse.Namespace):
    """The fleet.job.ModelFiles that the options of a command name. Raises PixWizardError when only
    some parts of the released model are given."""
    from ..fleet.job import ModelFiles

    parts = released_parts(arguments)
    require_folder(arguments.bundle)
    return ModelFiles(
        folder=str(arguments.bundle) if arguments.bundle else None,
        released=tuple(map(str, parts)) if parts else None,
        dtype=arguments.dtype or DTYPES[0],
        loras=asked_loras(arguments),
    )
