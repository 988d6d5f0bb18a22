"""The procedural demo world: scenes with exact truth, and training of the bundled model on them."""
