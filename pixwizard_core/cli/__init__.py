"""The pixwizard command: parsing and printing, nothing else. One file for each sub-command."""

from __future__ import annotations

from .entry import main

__all__ = ["main"]
