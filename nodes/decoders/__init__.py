"""Nodes that turn what the model painted into data."""
