"""Compare this implementation with recorded reference vectors."""

from .report import KINDS, VerifyReport, verify

__all__ = ["KINDS", "VerifyReport", "verify"]
