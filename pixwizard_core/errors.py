"""Errors a user can act on. Each message says what was met, what is needed and what to do."""

from __future__ import annotations


class PixWizardError(Exception):
    """Base of every error that user input or a user's file can cause."""


class CanvasError(PixWizardError):
    """A picture, mask or size that cannot be placed on a canvas."""


class CheckpointError(PixWizardError):
    """A weight file that is missing, damaged, of another model, or unsafe to open."""


class EncoderError(PixWizardError):
    """A text, vision or VAE encoder that is missing or of the wrong kind."""


class SamplingError(PixWizardError):
    """Settings or numbers that a sampling run cannot go on with."""


class DecodeError(PixWizardError):
    """A picture that cannot be read as the result of the chosen task."""


class InstructionError(PixWizardError):
    """An instruction with an unknown task or a field missing."""
