"""Read pickles of plain values (numbers, strings, lists, dictionaries), which older datasets
use."""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

from ..errors import PixWizardError, reason_of

SHAPE = {"PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP"}
NUMBERS = {
    *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2"),
    *("LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
}
TEXTS = {
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
CONTAINERS = {
    *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
}
STORE = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
RECALL = {"GET", "BINGET", "LONG_BINGET"}
PLAIN = SHAPE | NUMBERS | TEXTS | CONTAINERS | STORE | RECALL


class PlainUnpickler(pickle.Unpickler):
    """A second safeguard: refuses every class or function that a pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        raise _refused(f"{module} {name}")


def read_plain_pickle(data: bytes) -> Any:
    """Read the plain values of a pickle. Raises PixWizardError if it holds anything else."""
    try:
        _scan(data)
        return PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except PixWizardError:
        raise
    except Exception as error:  # the standard library raises a dozen kinds for broken input
        reason = reason_of(error, 160)
        raise PixWizardError(f"the pickle is damaged ({reason})") from error


def _scan(data: bytes) -> None:
    """Raise unless the opcodes are those of plain values and no memo index is larger than the
    number of bytes so far: the reader allocates memory up to that index at once."""
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name not in PLAIN:
            raise _refused(argument if opcode.name == "GLOBAL" else opcode.name)
        if opcode.name in STORE and (argument or 0) > (position or 0):
            raise PixWizardError(
                f"the pickle stores a value as number {argument}, where it cannot have that many, "
                "so it is not opened"
            )


def _refused(wanted: object) -> PixWizardError:
    return PixWizardError(
        f"the pickle asks for more than plain values ({str(wanted)[:160].replace(' ', '.', 1)!r}), "
        "so it is not opened; nothing was run"
    )
