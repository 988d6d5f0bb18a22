"""Pack a bundle's trained weights into one file, to carry them from one training run to the next.

    python -m pixwizard_core.training.carry pack DIR FILE
    python -m pixwizard_core.training.carry unpack FILE DIR

The file holds only half-precision weights, no optimiser state. Unpacking gives a complete bundle:
`pixwizard train --start DIR --autoencoder DIR/vae.safetensors` continues from it, and
`pixwizard evaluate world --bundle DIR` scores it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from ..encoders.tiny import BUNDLE
from ..errors import CheckpointError
from ..json_text import read_json
from ..weights.weightfile import open_weights
from ..whole_file import whole_file

PARTS = ("dit", "text", "clip", "vae")  # names of the bundle's files, .safetensors
TOKENIZER_FILE = "tokenizer.json"  # never changed by training, so the extension's is used
HEADERS_KEY = "headers"  # JSON: part -> the header of its file


def pack(folder: Path, file: Path) -> None:
    """Write the weights of a bundle's folder into one file. Raises CheckpointError when a part is
    missing."""
    tensors: dict[str, Tensor] = {}
    headers: dict[str, dict[str, str]] = {}
    for part in PARTS:
        path = folder / f"{part}.safetensors"
        if not path.is_file():
            raise CheckpointError(f"there is no {path.name} in {folder.absolute()}")
        opened = open_weights(path)
        headers[part] = dict(opened.metadata)
        tensors |= {f"{part}/{name}": opened.fetch(name).clone() for name in opened.shapes}
    with whole_file(file, CheckpointError) as out:
        out.write(save(tensors, {HEADERS_KEY: json.dumps(headers)}))


def unpack(file: Path, folder: Path) -> None:
    """Write the bundle from a file made by pack(). Raises CheckpointError for any other file."""
    opened = open_weights(file)
    text = opened.metadata.get(HEADERS_KEY, "{}")
    headers = read_json(text, f"{file.name}: the header entry {HEADERS_KEY} is", CheckpointError)
    if not isinstance(headers, dict) or set(headers) != set(PARTS):
        raise CheckpointError(
            f"{file.name} was not packed by this command; its header should list {', '.join(PARTS)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        start = f"{part}/"
        own = {
            name.removeprefix(start): opened.fetch(name).clone()
            for name in opened.shapes
            if name.startswith(start)
        }
        with whole_file(folder / f"{part}.safetensors", CheckpointError) as out:
            out.write(save(own, headers[part]))
    shutil.copyfile(BUNDLE / TOKENIZER_FILE, folder / TOKENIZER_FILE)


def command_line() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(
        prog="python -m pixwizard_core.training.carry", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "direction", choices=("pack", "unpack"), help="pack a bundle's folder, or unpack a file"
    )
    parser.add_argument("source", type=Path, help="folder to pack, or file to unpack")
    parser.add_argument("target", type=Path, help="file to write, or folder to unpack to")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, and pack or unpack."""
    chosen = command_line().parse_args(arguments)
    (pack if chosen.direction == "pack" else unpack)(chosen.source, chosen.target)


if __name__ == "__main__":
    main()
