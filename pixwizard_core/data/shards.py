"""Write pairs as WebDataset shards: tar files in which the files of a pair share one key.

A pair is stored as KEY.input.png, KEY.target.png, an optional KEY.mask.png, and KEY.json with the
rest. The same pairs give the same bytes. A shard is written completely or not at all.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import CanvasError, PixWizardError
from ..files.kinds import ending
from ..files.picture_files import picture_size
from ..whole_file import whole_file
from .pairs import InstructionPair

KEY_DIGITS, SHARD_DIGITS = 8, 6
PREFIX = "pairs-"
MODE = 0o644


def write_shards(
    pairs: Sequence[InstructionPair],
    folder: str | Path,
    per_shard: int = 1000,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], list[str]]:
    """Write pairs to shards in folder. Returns the shards, and one line for each pair that was left
    out because a picture cannot be read.

    per_shard: the number of pairs per shard, at least 1. on_progress is called with the number of
    checked pairs and the total. Surplus shards of an earlier run are deleted. Raises PixWizardError
    when per_shard is below 1, no pair is complete, or a file cannot be written.
    """
    if per_shard < 1:
        raise PixWizardError(f"a shard holds at least one pair. Got: {per_shard}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[Path] = []
    left: list[str] = []
    whole = _whole(pairs, left, on_progress)
    waiting = next(whole, None)
    while waiting is not None:
        path = folder / f"{PREFIX}{len(shards):0{SHARD_DIGITS}d}.tar"
        with (
            whole_file(path, PixWizardError) as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as shard,
        ):
            count = 0
            while waiting is not None and count < per_shard:
                number, pair = waiting
                _add_pair(shard, f"{number:0{KEY_DIGITS}d}", pair)
                count += 1
                waiting = next(whole, None)
        shards.append(path)
    if not shards:
        raise PixWizardError(f"there is no whole pair to write. {' '.join(left[:3])}")
    for path in set(folder.glob(f"{PREFIX}*.tar")) - set(shards):
        path.unlink()
    return shards, left


def _whole(
    pairs: Sequence[InstructionPair], left: list[str], on_progress: Callable[[int, int], None]
) -> Iterator[tuple[int, InstructionPair]]:
    """Yield (index in the list, pair) for each pair whose pictures have a readable header."""
    for number, pair in enumerate(pairs):
        try:
            for path in _pictures(pair).values():
                if not path.is_file():
                    raise CanvasError(f"there is no picture {path}")
                picture_size(path)
        except CanvasError as error:
            left.append(f"{pair.where}: {error}")
        else:
            yield number, pair
        on_progress(number + 1, len(pairs))


def _pictures(pair: InstructionPair) -> dict[str, Path]:
    given = {"input": pair.input, "target": pair.target, "mask": pair.mask}
    return {name: path for name, path in given.items() if path is not None}


def _add_pair(shard: tarfile.TarFile, key: str, pair: InstructionPair) -> None:
    for name, path in _pictures(pair).items():
        _add(shard, f"{key}.{name}{ending(path)}", path.read_bytes())
    facts = {
        "instruction": list(pair.instructions), "task": pair.task, "width": pair.width,
        "height": pair.height, "where": pair.where,
    }  # fmt: skip
    _add(shard, f"{key}.json", json.dumps(facts, ensure_ascii=False, sort_keys=True).encode())


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)  # no time, no owner: the same pairs give the same bytes
    entry.size, entry.mode = len(data), MODE
    shard.addfile(entry, io.BytesIO(data))
