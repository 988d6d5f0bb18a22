"""Nodes at the end: save data, score it, report on this installation."""
