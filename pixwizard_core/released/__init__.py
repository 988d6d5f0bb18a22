"""The files of the released model on this machine: where they may be, which file is which part,
and what is missing. Nothing here uses the network."""
