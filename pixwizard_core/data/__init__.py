"""Instruction pairs: read and write lists of them, find them in folders, build them from
photographs, and check them before training."""
