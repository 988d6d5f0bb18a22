"""The short way: one node that stands for the long way's nodes."""
