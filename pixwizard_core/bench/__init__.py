"""Benchmarks: time and memory of a sampling step, of decoders, and of loading weights."""
