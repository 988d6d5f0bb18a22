"""Instruction pairs: read and write their lists, find them in folders, build them from photographs,
and check them before training."""
