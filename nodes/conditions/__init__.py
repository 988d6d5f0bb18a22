"""Nodes that say what to do: the sentence and its encoding."""
