"""The short way: nodes that stand for many of the long way's."""
