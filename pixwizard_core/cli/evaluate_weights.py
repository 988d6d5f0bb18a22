"""pixwizard evaluate weights: the weight files that measures need, and which are present."""

from __future__ import annotations

import argparse
from pathlib import Path

from .help_text import sentence

TEXT = "list the weight files that metrics need, and which of them are present"


def add_weights(commands) -> None:
    """Add `pixwizard evaluate weights` to the subparsers."""
    parser = commands.add_parser("weights", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="folder to look in (default: list all as missing)"
    )


def evaluate(arguments: argparse.Namespace) -> int:
    """Print a table."""
    from ..evaluation.networks.weight_files import MissingPart, WeightFolder, weight_entries

    folder = WeightFolder(arguments.folder)
    print("| measure | file or folder | size | there | from |\n|---|---|---|---|---|")
    for entry in weight_entries().values():
        try:
            there = folder.find(entry.name).name
        except MissingPart:
            there = "no"
        row = (entry.used_by, " or ".join(entry.files), entry.size, there, entry.source)
        print(f"| {' | '.join(row)} |")
    return 0
