"""The lists from which loaders let a file be chosen. "auto", their first entry, is the file that is
the part by its content."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ...pixwizard_core.errors import PixWizardError
from ...pixwizard_core.released.checklist import require_parts
from ...pixwizard_core.released.find import PartFile, Search, identify, search, state_of
from ...pixwizard_core.weights.published import (
    CLIP,
    ENCODERS_WANTED,
    GEMMA,
    MODEL,
    ORIGIN,
    VAE,
    VAE_WANTED,
)
from ..host.files import all_folders, known_file, model_files, model_folders, resolve

AUTO = "auto"
EXTENSION = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Choice:
    """A list of files for one part. part: as released.find knows it. kinds: the folders of models
    to look in, in this order. wanted: what to get, and where from. folders: whether folders of
    shards are offered too."""

    part: str
    kinds: tuple[str, ...]
    wanted: str
    folders: bool = True

    def options(self) -> list[str]:
        """AUTO, then folders, then files."""
        folders = model_folders(*self.kinds) if self.folders else []
        return [AUTO, *folders, *model_files(*self.kinds)]

    def is_there(self) -> bool:
        """Whether AUTO finds a file: one of any size, since the transformer is not known here."""
        files = self.options()[1:]  # without any there is nothing to read
        return bool(files) and bool(search(self.part, self.kinds, all_folders()).found)

    def socket(self, id: str, tooltip: str) -> io.Combo.Input:
        """The input. tooltip: what the list holds."""
        told = f"{AUTO_MEANS} {tooltip}"
        return io.Combo.Input(id, options=self.options(), default=AUTO, tooltip=told)


AUTO_MEANS = "auto takes the file that is the right one by its content, whatever its name."
TRANSFORMER = Choice("model", MODEL.folders, ORIGIN, folders=False)
GEMMA_TEXT = Choice("gemma", GEMMA.folders, ENCODERS_WANTED["gemma"])
CLIP_TEXT = Choice("clip_text", CLIP.folders, ENCODERS_WANTED["clip_text"])
CLIP_VISION = Choice("clip_vision", CLIP.folders[::-1], ENCODERS_WANTED["clip_vision"])
CLIP_BOTH = Choice("clip", CLIP.folders, ENCODERS_WANTED["clip_text"])
SDXL_VAE = Choice("vae", VAE.folders, VAE_WANTED, folders=False)


def chosen(names: Mapping[Choice, str]) -> dict[str, Path]:
    """The place of each part: the entry that was chosen, or for AUTO what is found. Encoders are
    found to suit the transformer, if that is among the choices.

    Raises CheckpointError for a name that is not there, and MissingPartsError with the checklist of
    all of them when AUTO finds nothing for one.
    """
    folders, searches = all_folders(), {}
    for choice, name in names.items():
        if name == AUTO:
            model = searches["model"].found if "model" in searches else ()
            fits = model[0] if model and choice.part != "vae" else None
            searches[choice.part] = search(choice.part, choice.kinds, folders, fits)
        else:
            path = resolve(name, choice.wanted, choice.kinds)
            searches[choice.part] = Search((_named(choice.part, path),), (), ())
    base = Path(folder_paths.models_dir).parent
    found = require_parts(searches, advice(), base)
    for choice, name in names.items():
        if name == AUTO:
            one, *others = searches[choice.part].found
            more = f", before {', '.join(str(other.path) for other in others)}" if others else ""
            logging.info("PixWizard: auto is %s (%s)%s", one.path, one.what, more)
    return {part: one.path for part, one in found.items()}


def _named(part: str, path: Path) -> PartFile:
    """An entry that was chosen; loading says what is wrong with it."""
    if part == "model":
        try:
            return identify(part, path)
        except PixWizardError:
            pass
    return PartFile(path, "as chosen")


def known(names: Mapping[Choice, str | None]) -> bool | str:
    """True when every part has its file, else why not. For validate_inputs, where None stands for
    what comes through a link."""
    typed = {choice: name for choice, name in names.items() if name not in (None, AUTO)}
    for choice, name in typed.items():
        if (answer := known_file(name, choice.wanted, choice.kinds)) is not True:
            return answer
    given = {choice: name for choice, name in names.items() if name is not None}
    if AUTO not in given.values():
        return True
    try:
        chosen(given)
    except PixWizardError as error:
        return str(error)
    return True


def fingerprint(names: Mapping[Choice, str | None]) -> str:
    """What changes when other files would be loaded: a part that was added since, or a file that
    was replaced. "" while one is missing."""
    given = {choice: name for choice, name in names.items() if name is not None}
    try:
        return repr([(str(path), state_of(path)) for path in chosen(given).values()])
    except (PixWizardError, OSError):
        return ""


def advice() -> Sequence[str]:
    """What to do about missing parts, a line each."""
    base = Path(folder_paths.models_dir).parent
    return [
        f'To fetch them, open a terminal in {EXTENSION} and run: "{sys.executable}" -m '
        f'pixwizard_core get --comfyui "{base}"',
        "To start without them, use PixWizard Load Tiny (bundled).",
    ]
