"""Data for the page beyond the schema, so that it does not repeat what Python defines."""

from __future__ import annotations

from functools import cache

from ...pixwizard_core import tasks

PAGE_KEY = "pixwizard"  # web/task_fields.js and used_fields.js read it from the input's settings


def for_page(socket, data: dict):
    """The input with one more setting that only our page code reads.

    Set afterwards, because a combo of ComfyUI 0.3.64 has no argument for it.
    """
    socket.extra_dict = {**(getattr(socket, "extra_dict", None) or {}), PAGE_KEY: data}
    return socket


def used_when(socket, **choices: list):
    """The input, shown only while each other input named has one of these values.

    It keeps its value while it is hidden, and is shown whenever a link decides.
    """
    return for_page(socket, {"used_when": choices})


@cache
def task_table() -> dict:
    """Every task's fields and phrasings, and the colours as RGB 0..255, as JSON takes them."""
    rows = [*tasks.TASKS.values(), tasks.CUSTOM]
    return {
        "tasks": {
            row.id: {
                "title": row.title,
                "fields": list(row.fields),
                "optional": list(row.optional),
                "phrasings": list(row.phrasings),
                "seen": list(row.seen),
            }
            for row in rows
        },
        "colours": {name: list(rgb) for name, rgb in tasks.COLOURS.items()},
    }


def objects_found(masks) -> dict[str, list]:
    """UI output of nodes that find objects. masks: one bool (H, W) for each object."""
    return {"pixwizard_objects": [{"areas_px": [int(mask.sum()) for mask in masks]}]}
