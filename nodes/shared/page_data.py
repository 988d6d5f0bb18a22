"""Data for the page beyond the schema, so that the page does not repeat what Python defines."""

from __future__ import annotations

from functools import cache

from ...pixwizard_core import tasks
from ...pixwizard_core.bundle import MODEL_FILE
from ...pixwizard_core.encoders.tiny import BUNDLE
from ...pixwizard_core.errors import PixWizardError
from ...pixwizard_core.taught import UNKNOWN, Taught, released, taught_by
from ...pixwizard_core.weights.checkpoint import open_checkpoint

AS_TRAINED = -1  # the phrasing of a new Instruction: as the model was asked in training
BUNDLED, RELEASED = "PixWizard_LoadTiny", "released"  # models by the node that loads one
PAGE_KEY = "pixwizard"  # web/task_fields.js and used_fields.js read it from the input's settings


def for_page(socket, data: dict):
    """The input with more settings that only our page code reads.

    Set afterwards, because a combo of ComfyUI 0.3.64 has no argument for it.
    """
    given = getattr(socket, "extra_dict", None) or {}
    socket.extra_dict = {**given, PAGE_KEY: {**given.get(PAGE_KEY, {}), **data}}
    return socket


def for_new_nodes(socket, value):
    """The input, with this value on a node that a person adds. A saved workflow or prompt without
    the input gets its default, which must be what the node did before it had the input."""
    return for_page(socket, {"new": value})


def used_when(socket, **choices: list):
    """The input, shown only while each other input named has one of these values.

    It keeps its value while hidden, and is always shown if one of the others is linked.
    """
    return for_page(socket, {"used_when": choices})


@cache
def task_table() -> dict:
    """Every task's fields and phrasings, how the models that are known beforehand are asked, and
    the colours as RGB 0..255, as JSON takes them."""
    rows = [*tasks.TASKS.values(), tasks.CUSTOM]
    return {
        "tasks": {
            row.id: {
                "title": row.title,
                "family": row.family,
                "fields": list(row.fields),
                "optional": list(row.optional),
                "phrasings": list(row.phrasings),
                "seen": list(row.seen),
            }
            for row in rows
        },
        "as_trained": AS_TRAINED,
        "models": {BUNDLED: _asked(_bundled(), rows), RELEASED: _asked(released(), rows)},
        "colours": {name: list(rgb) for name, rgb in tasks.COLOURS.items()},
    }


def _asked(taught: Taught, rows: list[tasks.Task]) -> dict:
    """How a model is asked for each task, and the tasks that it was not taught."""
    return {
        "forms": {row.id: row.trained(taught) for row in rows},
        "not_taught": [row.id for row in rows if not taught.knows(row.id)],
    }


def _bundled() -> Taught:
    try:
        opened = open_checkpoint(BUNDLE / MODEL_FILE)
        return taught_by(opened.metadata, opened.config, MODEL_FILE)
    except PixWizardError:  # its loader says what is wrong with it
        return UNKNOWN


def objects_found(masks) -> dict[str, list]:
    """UI output of nodes that find objects. masks: one bool (H, W) for each object."""
    return {"pixwizard_objects": [{"areas_px": [int(mask.sum()) for mask in masks]}]}
