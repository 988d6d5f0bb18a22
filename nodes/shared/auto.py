"""What auto and the presets meant in a run, for the page to show beside the choice."""

from __future__ import annotations

from typing import Any

KEY = "pixwizard_auto"  # UI output; what it holds has the names of the node's inputs

Shown = dict[str, list[dict[str, Any]]]


def meant(choice: str, value: str, **inputs: Any) -> Shown:
    """Part of a node's UI output. choice, value: the input that decides, and what it is set to.
    inputs: what stands for the inputs that it replaces."""
    return {KEY: [{"choice": choice, "value": value, **inputs}]}
