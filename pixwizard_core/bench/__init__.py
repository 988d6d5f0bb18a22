"""Measurements: what a step, its memory, a decoder, a file or fewer evaluations cost."""
