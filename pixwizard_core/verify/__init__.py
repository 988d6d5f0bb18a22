"""Compare this implementation with recorded reference vectors."""

from .report import KINDS, Report, verify

__all__ = ["KINDS", "Report", "verify"]
