"""What differs between versions of ComfyUI: fields of a schema, and arguments of its functions."""

from __future__ import annotations

import dataclasses
import inspect

import comfyui_version
from comfy_api.latest import io

from ..shared.shown_as import section, show

_SCHEMA_FIELDS = {field.name for field in dataclasses.fields(io.Schema)}


def schema(node_id: str, **fields) -> io.Schema:
    """io.Schema of one of our nodes, without the fields that this host does not know yet."""
    fields["category"] = section(node_id)
    show(node_id, fields.get("inputs", ()))
    fields["node_id"] = f"PixWizard_{node_id}"
    return io.Schema(**{name: fields[name] for name in fields if name in _SCHEMA_FIELDS})


def host_version() -> str:
    """The version of ComfyUI that runs here."""
    return comfyui_version.__version__


def supported(function, arguments: dict) -> dict:
    """The arguments that function takes, for host functions that gained parameters over time."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return arguments
    return {name: value for name, value in arguments.items() if name in parameters}
