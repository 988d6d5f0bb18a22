"""Fetch the parts of the released model, when a person asks for it. No node comes here, and this
is the one place that uses the network."""
