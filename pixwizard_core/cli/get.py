"""pixwizard get: fetch the released model's files, or list which are present."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .progress import progress

TEXT = "fetch the files of the released model into a ComfyUI, or list which are there"
EXIT_MISSING = 1


def add_get(commands) -> None:
    """Add `pixwizard get` to the subparsers."""
    parser = commands.add_parser(
        "get",
        help=TEXT,
        description="Fetch the files of the released model that a ComfyUI lacks, about 15 GB, from "
        "huggingface.co: check them, convert the transformer, and put each where the loaders look. "
        "An interrupted run goes on where it stopped.",
    )
    parser.set_defaults(command=get)
    parser.add_argument(
        "--comfyui",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of ComfyUI, which holds main.py and models",
    )
    parser.add_argument(
        "--precision",
        choices=("bf16", "fp8"),
        help="how the transformer is stored: bf16 (4.0 GB, the default) or fp8 (2.0 GB, with some "
        "loss)",
    )
    parser.add_argument(
        "--check", action="store_true", help="fetch nothing; list which parts are there"
    )
    parser.add_argument(
        "--repo",
        action="append",
        default=[],
        metavar="PART=OWNER/NAME",
        help="fetch a part (model, gemma, clip or vae) from another repository",
    )


def get(arguments: argparse.Namespace) -> int:
    """Fetch or list. Returns 0 if every part is present at the end, else 1."""
    from ..get.parts import get_parts, repositories_from
    from ..released.checklist import lines_of, missing, survey
    from ..released.places import model_folders, models_folder

    repositories = repositories_from(arguments.repo)
    models = models_folder(arguments.comfyui)
    folders, notes = model_folders(arguments.comfyui)
    for note in notes:
        print(f"note: {note}")
    failed = []
    if not arguments.check:
        try:
            with progress("converting", "tensor") as advance:
                failed = get_parts(
                    arguments.comfyui,
                    folders,
                    arguments.precision,
                    repositories,
                    _say,
                    lambda done, total, _: advance(done, total),
                )
        except KeyboardInterrupt:
            print("what has arrived is kept; run the command again to go on", file=sys.stderr)
            raise
    searches = survey(folders)
    for line in lines_of(searches, models.parent):
        print(line)
    if arguments.check and missing(searches):
        print("To fetch what is missing, run this command without --check.")
    for line in failed:
        print(f"pixwizard: {line}", file=sys.stderr)
    return EXIT_MISSING if failed or missing(searches) else 0


def _say(line: str) -> None:
    print(line, flush=True)
