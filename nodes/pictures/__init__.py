"""Nodes for pictures before and after the model: canvas, inpainting, the demo scene."""
