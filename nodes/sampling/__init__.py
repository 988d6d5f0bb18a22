"""Nodes that sample: guider, schedule, and both with a sampler."""
