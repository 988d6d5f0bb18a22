"""pixwizard get: fetch the released model's files, or list which are present."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .progress import progress

TEXT = "download the released model into a ComfyUI installation, or list which parts are present"
EXIT_MISSING = 1


def add_get(commands) -> None:
    """Add `pixwizard get` to the subparsers."""
    parser = commands.add_parser(
        "get",
        help=TEXT,
        description="Download the parts of the released model that a ComfyUI installation lacks "
        "(about 15 GB in all) from huggingface.co, check them, convert the transformer, and put "
        "each part where the loaders look. Run the command again to resume an interrupted "
        "download.",
    )
    parser.set_defaults(command=get)
    parser.add_argument(
        "--comfyui",
        type=Path,
        required=True,
        metavar="DIR",
        help="ComfyUI folder, which contains main.py and models",
    )
    parser.add_argument(
        "--precision",
        choices=("bf16", "fp8", "fp8_scaled", "int8"),
        help="storage of the transformer: bf16 (4.0 GB), or with some loss of quality int8, "
        "fp8_scaled or fp8 (2.5 GB; int8 loses least) (default: bf16)",
    )
    parser.add_argument(
        "--check", action="store_true", help="list which parts are present, without downloading"
    )
    parser.add_argument(
        "--repo",
        action="append",
        default=[],
        metavar="PART=OWNER/NAME",
        help="download a part (model, gemma, clip or vae) from another repository; repeatable",
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
