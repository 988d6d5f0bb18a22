"""Which model the short node runs: the connected one, else the released one if its files are there,
else the bundled one."""

from __future__ import annotations

from dataclasses import dataclass

from ...pixwizard_core.bundle import MODEL_FILE, About, about
from ...pixwizard_core.encoders.tiny import BUNDLE
from ...pixwizard_core.errors import MissingPartsError, PixWizardError
from ...pixwizard_core.released.find import state_of
from ...pixwizard_core.weights.checkpoint import open_checkpoint
from ..loaders import choices
from ..loaders.load_pixwizard import named

CONNECTED, RELEASED, BUNDLED = "connected", "released", "bundled"
EVERY_PART = named(*[choices.AUTO] * 4)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """origin: CONNECTED, RELEASED or BUNDLED. about: what the model is. missing: the parts of the
    released model that were not found, by their titles, if that is why it is the bundled one."""

    origin: str
    about: About
    missing: tuple[str, ...] = ()


def choose(whole) -> ModelChoice:
    """The model to run. whole: what is connected, or None. Raises CheckpointError for a file that
    cannot be used."""
    if whole is not None:
        return ModelChoice(CONNECTED, whole.about)
    try:
        paths = choices.chosen(EVERY_PART)
    except MissingPartsError as error:
        titles = tuple(row["title"] for row in error.rows if not row["found"])
        return ModelChoice(BUNDLED, about(open_checkpoint(BUNDLE / MODEL_FILE)), titles)
    return ModelChoice(RELEASED, about(open_checkpoint(paths["model"])))


def state() -> str:
    """What changes when the choice without a connected model changes, or one of its files."""
    try:
        return repr([(str(path), state_of(path)) for path in choices.chosen(EVERY_PART).values()])
    except (PixWizardError, OSError) as error:
        return str(error)
