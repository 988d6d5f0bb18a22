"""pixwizard data: build instruction pairs from photographs, list pairs, and check a list."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import PixWizardError
from ..seeds import seed_argument
from .data_build import EXIT_FOUND, add_build, add_command
from .help_text import sentence
from .progress import progress

TEXT = "build instruction pairs from photographs, list pairs, check lists, and pack shards"


def add_data(commands) -> None:
    """Add `pixwizard data` and its own sub-commands to the subparsers."""
    parser = commands.add_parser("data", help=TEXT, description=sentence(TEXT))
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    add_build(inner)
    _add_list(inner)
    _add_check(inner)
    _add_shards(inner)


def _add_list(inner) -> None:
    text = "list the pairs in a folder, or convert a list to another format"
    parser = add_command(inner, "list", _list, text)
    parser.add_argument(
        "source",
        type=Path,
        help="folder of pairs, list (.jsonl, .json, .csv), META file (.yaml), or edit set "
        "(.parquet file or a folder of them), whose pictures are written next to --out",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="list to write: .jsonl, .csv, or .json (the released model's format)",
    )
    parser.add_argument("--inputs", help="folder of inputs, relative to the source or absolute")
    parser.add_argument("--targets", help="folder of targets, relative to the source or absolute")
    parser.add_argument(
        "--instruction", metavar="TEXT", default="", help="one instruction for all pairs"
    )
    parser.add_argument(
        "--task", default="", help="task of all pairs, with captions from .txt files"
    )
    _add_meta_seed(parser)


def _list(arguments: argparse.Namespace) -> int:
    from ..data.edit_sets import unpack
    from ..data.folders import Wording, pairs_in
    from ..data.lists import write_list
    from ..data.meta import read_pairs
    from ..data.parquet import parquet_files
    from ..data.sizes import measured

    if packed := parquet_files(arguments.source):
        _refuse(arguments, "inputs", "targets", "instruction", "task", "seed")
        pairs, left = unpack(packed, arguments.out.with_suffix(""))
        notes = left.lines()
    elif arguments.source.is_dir():
        _refuse(arguments, "seed")
        found = pairs_in(
            arguments.source, inputs=arguments.inputs, targets=arguments.targets,
            wording=Wording(arguments.instruction, arguments.task),
        )  # fmt: skip
        pairs, notes = found.pairs, found.left_out.lines()
    else:
        _refuse(arguments, "inputs", "targets", "instruction", "task")
        listed = read_pairs(arguments.source, arguments.seed)
        pairs, notes = list(listed.pairs), list(listed.notes)
    pairs, unread = measured(pairs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_list(arguments.out, pairs)
    for line in notes:
        print(line)
    for line in unread[:10]:
        print(f"pixwizard: {line}", file=sys.stderr)
    lost = f", {len(unread)} left out since their target cannot be read" if unread else ""
    print(f"{arguments.out}: {len(pairs)} pairs{lost}")
    return EXIT_FOUND if unread else 0


def _refuse(arguments: argparse.Namespace, *names: str) -> None:
    """Raise PixWizardError for an option that the source has no use for."""
    given = [name for name in names if getattr(arguments, name)]
    if given:
        raise PixWizardError(f"--{given[0]} does nothing for {arguments.source.name}; leave it out")


def _add_check(inner) -> None:
    text = "check a list for missing, broken, mismatched, tiny, duplicate or leaked pictures"
    parser = add_command(inner, "check", _check, text)
    parser.add_argument("source", type=Path, help="list (.jsonl, .json, .csv) or META file (.yaml)")
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="LIST",
        help="validation list, whose pictures must not occur in the source",
    )
    parser.add_argument(
        "--least", type=int, default=64, metavar="PX",
        help="report targets whose shorter side is below PX (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write a contact sheet of random pairs to FILE"
    )
    parser.add_argument(
        "--count", type=int, default=24, help="pairs on the contact sheet (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=seed_argument, default=0,
        help="seed that picks the pairs on the contact sheet (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=2, help="number of reading threads (default: %(default)s)"
    )


def _check(arguments: argparse.Namespace) -> int:
    from ..data.check import check_pairs
    from ..data.meta import read_pairs
    from ..data.sheet import contact_sheet
    from ..files.picture_files import save_picture

    listed = read_pairs(arguments.source)
    held = read_pairs(arguments.validation) if arguments.validation else None
    with progress("checking", "picture") as advance:
        report = check_pairs(
            listed.pairs, held.pairs if held else (), least=arguments.least,
            workers=arguments.workers, on_progress=advance,
        )  # fmt: skip
    for line in [*listed.notes, *(held.notes if held else ()), *report.lines()]:
        print(line)
    if arguments.sheet:
        save_picture(arguments.sheet, contact_sheet(listed.pairs, arguments.count, arguments.seed))
        print(arguments.sheet)
    return EXIT_FOUND if report.faults else 0


def _add_shards(inner) -> None:
    text = "pack the pairs of a list into WebDataset shards"
    parser = add_command(inner, "shards", _shards, text)
    parser.add_argument("source", type=Path, help="list (.jsonl, .json, .csv) or META file (.yaml)")
    parser.add_argument("--out", type=Path, required=True, help="folder for pairs-000000.tar, …")
    parser.add_argument(
        "--per-shard", type=int, default=1000, help="pairs per shard (default: %(default)s)"
    )
    _add_meta_seed(parser)


def _add_meta_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=seed_argument, default=0,
        help="seed that picks the shares set by a META file (default: %(default)s)",
    )  # fmt: skip


def _shards(arguments: argparse.Namespace) -> int:
    from ..data.meta import read_pairs
    from ..data.shards import write_shards

    listed = read_pairs(arguments.source, arguments.seed)
    with progress("packing", "pair") as advance:
        shards, left = write_shards(listed.pairs, arguments.out, arguments.per_shard, advance)
    for line in listed.notes:
        print(line)
    for line in left[:10]:
        print(f"pixwizard: {line}", file=sys.stderr)
    lost = f", {len(left)} left out since a picture cannot be read" if left else ""
    print(f"{arguments.out}: {len(listed.pairs) - len(left)} pairs in {len(shards)} shards{lost}")
    return EXIT_FOUND if left else 0
