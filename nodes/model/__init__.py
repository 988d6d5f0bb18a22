"""The transformer as a MODEL of the host."""
