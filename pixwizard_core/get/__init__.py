"""Fetch the parts of the released model when the user asks for it. No node uses this package, and
it is the only one that uses the network."""
