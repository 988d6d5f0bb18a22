"""Measurements: the cost of a step, its memory, a decoder, a file or fewer evaluations."""
