"""Sources of pairs to sets of examples: folders, lists, META files, `data build` output, shards.

Reading is data's; here is decided what a path names, and what of it cannot be used is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...data.folders import Wording, pairs_in
from ...data.lists import LIST_ENDINGS, read_list
from ...data.meta import YAML_ENDINGS, read_meta, sampled
from ...data.pairs import InstructionPair
from ...data.parquet import parquet_files
from ...data.shard_reading import ShardPair, StoredBytes, read_shards, shards_in
from ...errors import PixWizardError
from ...files.kinds import ending
from .examples import Example, ExampleSet
from .settings import WORLD, Source

BUILT, BUILT_VALIDATION = "pairs.jsonl", "validation.jsonl"  # lists of `data build`
FOR_FOLDERS = ("instruction", "task", "inputs", "targets")
FOR_LISTS = ("root",)
FOR_WORLD = ("tasks", "scenes")


def read_source(source: Source, seed: int = 0) -> tuple[list[ExampleSet], list[str]]:
    """The sets of a source, and a line for each thing that is left out of it. META gives a set for
    each of its lists. seed: of the share that META takes.

    Raises PixWizardError when there is no such source, nothing in it can be used, or the source has
    an option that does nothing for it.
    """
    path = Path(source.path)
    if source.path == WORLD:
        raise ValueError("the demo world is made by world_source, not read")
    if not path.exists():
        raise PixWizardError(f"there is no source {path.name} in {path.parent.absolute()}")
    if shards := shards_in(path):
        _only(source)
        pairs = read_shards(shards)
        return [_set(path.name, source, [_of_shard(pair) for pair in pairs])], []
    if path.is_dir():
        return _of_folder(path, source)
    if ending(path) in YAML_ENDINGS:
        _only(source)
        return _of_meta(path, source, seed)
    if ending(path) in LIST_ENDINGS:
        _only(source, *FOR_LISTS)
        listed = read_list(path, source.root or None)
        return [_set(path.name, source, map(example_of, listed.pairs))], list(listed.notes)
    raise PixWizardError(
        f"{path.name} is no source of pairs; give a folder, a list ({', '.join(LIST_ENDINGS)}), "
        "META (.yaml) or a shard (.tar)"
    )


def built_validation(source: Source) -> Source | None:
    """The validation list that `data build` wrote beside its pairs, if a source is such a
    folder."""
    path = Path(source.path)
    beside = path / BUILT_VALIDATION
    return Source(str(beside)) if (path / BUILT).is_file() and beside.is_file() else None


def example_of(pair: InstructionPair) -> Example:
    """The example that a pair of files is."""

    def file(path: Path | None) -> StoredBytes | None:
        return None if path is None else StoredBytes(path, path.name)

    target = StoredBytes(pair.target, pair.target.name)
    mask = file(pair.mask)
    return Example(file(pair.input), target, pair.instructions, pair.task, mask, pair.where)


def _of_shard(pair: ShardPair) -> Example:
    return Example(pair.input, pair.target, pair.instructions, pair.task, pair.mask, pair.where)


def _of_folder(path: Path, source: Source) -> tuple[list[ExampleSet], list[str]]:
    if (path / BUILT).is_file():
        _only(source)
        listed = read_list(path / BUILT)
        return [_set(path.name, source, map(example_of, listed.pairs))], list(listed.notes)
    if parquet_files(path):
        raise PixWizardError(
            f"{path} holds Parquet files; write their pictures and a list first: pixwizard data "
            f"list {path} --out {path.name}.jsonl"
        )
    _only(source, *FOR_FOLDERS)
    wording = Wording(source.instruction, source.task)
    folders = (source.inputs or None, source.targets or None)
    found = pairs_in(path, inputs=folders[0], targets=folders[1], wording=wording)
    return [_set(path.name, source, map(example_of, found.pairs))], found.left_out.lines()


def _of_meta(path: Path, source: Source, seed: int) -> tuple[list[ExampleSet], list[str]]:
    sets: list[ExampleSet] = []
    notes: list[str] = []
    for line in read_meta(path):
        listed = read_list(line.path, line.root)
        notes += listed.notes
        taken = sampled(listed.pairs, line, seed)
        if not taken:
            raise PixWizardError(
                f"{path.name}: {line.path.name} gives no pair at scale {line.scale:g} and ratio "
                f"{line.ratio:g}; raise one of them"
            )
        if (line.scale, line.ratio) != (1, 1):
            told = f"{len(taken)} of {len(listed.pairs)} pairs, with repeats"
            notes.append(f"{line.path.name}: {told}")
        sets.append(_set(line.path.name, source, map(example_of, taken)))
    return sets, notes


def _set(name: str, source: Source, examples: Sequence[Example] | map[Example]) -> ExampleSet:
    return ExampleSet(name, tuple(examples), source.repeats, source.weight)


def _only(source: Source, *names: str) -> None:
    """Raise PixWizardError for an option that does nothing for this kind of source."""
    usual = Source(source.path)
    for name in (*FOR_FOLDERS, *FOR_LISTS, *FOR_WORLD):
        if name not in names and getattr(source, name) != getattr(usual, name):
            raise PixWizardError(f"{name} does nothing for {source.path}; leave it out")
