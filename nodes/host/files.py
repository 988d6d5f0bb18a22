"""Model files in the host's folders: list them, and find one by its name."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import folder_paths

from ...pixwizard_core.errors import CheckpointError, PixWizardError
from ...pixwizard_core.released.find import is_model_folder, walk
from ...pixwizard_core.released.places import KINDS
from ..shared.input_kinds import require_kind

LLM_FOLDER = "LLM"  # where Lumina users already keep gemma-2b


def register_folders() -> None:
    """Register models/LLM, in addition to what extra_model_paths.yaml already defines."""
    paths, extensions = folder_paths.folder_names_and_paths.get(LLM_FOLDER, ([], set()))
    default = os.path.join(folder_paths.models_dir, LLM_FOLDER)
    if default not in paths:
        paths.append(default)
    extensions = set(extensions) | set(folder_paths.supported_pt_extensions)
    folder_paths.folder_names_and_paths[LLM_FOLDER] = (paths, extensions)


def model_files(*kinds: str) -> list[str]:
    """Weight files of these folder kinds as 'kind/name', sorted. Missing folders give nothing."""
    return [f"{kind}/{name}" for kind in kinds for name in _names(kind)]


def model_folders(*kinds: str) -> list[str]:
    """Folders inside these kinds that hold one model in the layout of the Hugging Face hub, as
    'kind/name/': shards, or weights with a config.json. A cache of the hub is one of them."""
    found = [
        f"{kind}/{folder.relative_to(root).as_posix()}/"
        for kind in kinds
        for root in _roots(kind)
        for folder, files in walk(Path(root))
        if folder != Path(root) and is_model_folder(files)
    ]
    return list(dict.fromkeys(found))


def all_folders() -> dict[str, list[Path]]:
    """The folders of each kind of models that the host knows."""
    return {kind: [Path(root) for root in _roots(kind)] for kind in KINDS}


def resolve(name: str, wanted: str = "", kinds: tuple[str, ...] = ()) -> Path:
    """Path of an entry from model_files or model_folders, or of its name without the kind.

    wanted: what to get, and where from. kinds: the folders to search for a name without its kind,
    as other nodes write names, in this order. If several have it, the first one is used, and a
    warning says so. Raises CheckpointError with wanted and the folders searched when nothing is
    found.
    """
    found = list(dict.fromkeys(_meant(name, kinds)))
    if not found:
        kind, _, rest = name.partition("/")
        kind_roots = _roots(kind)
        roots = kind_roots or [root for each in kinds for root in _roots(each)]
        searched = ", ".join(roots) or f"no folder is registered for {kind!r}"
        shown = rest if rest and kind_roots else name
        raise CheckpointError(
            f"{shown!r} is not in the model folders. Searched: {searched}. {wanted}".rstrip()
        )
    if len(found) > 1:
        kind = found[0][0]
        logging.warning(
            "PixWizard: %r is in models/%s; %s is used. Put the folder in front of the name to "
            "choose another",
            name,
            " and models/".join(dict.fromkeys(other for other, _ in found)),
            f"{kind}/{name}",
        )
    return found[0][1]


def known_file(name, wanted: str, kinds: tuple[str, ...]) -> bool | str:
    """True when a name typed into an input is found, else the reason why not. For validate_inputs,
    which gets None for a value that comes through a link. An input that validate_inputs names is
    not checked against the host's list, which holds each file by one name only."""
    if name is None:
        return True
    try:
        require_kind(name, "COMBO", "the name")
        resolve(name, wanted, kinds)
    except PixWizardError as error:
        return str(error)
    return True


def _meant(name: str, kinds: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Kind and path of everything that a name can mean: the file of its kind if there is one, else
    the files of that name in each of kinds. A graph made on Windows has backslashes."""
    for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
        kind, _, rest = spelling.partition("/")
        with_kind = _existing(kind, rest)
        if with_kind is not None:
            yield kind, with_kind
            return
        for kind in kinds:
            path = _existing(kind, spelling)
            if path is not None:
                yield kind, path


def _existing(kind: str, name: str) -> Path | None:
    """Path of a file or folder below a kind's folders, if it is there."""
    below = Path(name)
    # A workflow comes from anywhere: a name must not lead out of the model folders.
    if not below.parts or below.anchor or ".." in below.parts:
        return None
    for root in _roots(kind):
        with suppress(OSError, ValueError):  # a name that the system does not allow
            if (Path(root) / below).exists():
                return Path(root) / below
    return None


def _roots(kind: str) -> list[str]:
    entry = folder_paths.folder_names_and_paths.get(folder_paths.map_legacy(kind))
    return list(entry[0]) if entry else []


def _names(kind: str) -> list[str]:
    roots = _roots(kind)
    if not roots:
        return []
    try:
        return folder_paths.get_filename_list(kind)
    except OSError:  # a folder was taken away, and the host looks at it again: list what is there
        endings = tuple(folder_paths.folder_names_and_paths[folder_paths.map_legacy(kind)][1])
        found = (
            (folder / name).relative_to(root).as_posix()
            for root in roots
            for folder, files in walk(Path(root))
            for name in files
            if name.lower().endswith(endings)
        )
        return sorted(set(found))
