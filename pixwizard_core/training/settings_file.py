"""Read a settings file in TOML or JSON, and check its values against a dataclass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from ..errors import PixWizardError
from ..json_text import read_json_file, read_text


def read_table(path: str | Path) -> dict[str, Any]:
    """The values of a settings file. Raises PixWizardError naming the file and what is wrong."""
    path = Path(path)
    if not path.is_file():
        raise PixWizardError(f"there is no settings file {path.name} in {path.parent.absolute()}")
    return _json(path) if path.suffix == ".json" else _toml(path)


def checked(part: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values for fields of a dataclass, with numbers and lists as the fields have them. part: an
    instance that holds the usual values. Raises PixWizardError, beginning with where, for an
    unknown name and a value of another type."""
    known = {field.name: getattr(part, field.name) for field in fields(part)}
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise PixWizardError(f"{where} has no setting {name!r}; there are {', '.join(known)}")
        result[name] = _like(known[name], value, f"{where}: {name}")
    return result


def _like(usual: Any, value: Any, where: str) -> Any:
    if isinstance(usual, float) and type(value) is int:
        return float(value)
    if isinstance(usual, dict) and isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {name: _like(1.0, number, f"{where}: {name}") for name, number in named.items()}
    if isinstance(usual, tuple) and isinstance(value, list):
        return tuple(cast("list[Any]", value))
    if usual is None or type(value) is type(cast(Any, usual)):
        if isinstance(value, float) and not math.isfinite(value):
            raise PixWizardError(f"{where} should be a finite number. Got: {value!r}")
        return value
    raise PixWizardError(f"{where} should be like {usual!r}. Got: {value!r}")


def _json(path: Path) -> dict[str, Any]:
    values = read_json_file(path, PixWizardError)
    if not isinstance(values, dict):
        raise PixWizardError(f"{path.name} should hold one object with settings")
    return cast("dict[str, Any]", values)


def _toml(path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:
        raise PixWizardError(
            f"{path.name} is TOML, which needs Python 3.11 or newer; write the same as .json"
        ) from None
    text = read_text(path, PixWizardError)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PixWizardError(f"{path.name} is not TOML: {error}") from None
