"""Nodes that load models and change them."""
