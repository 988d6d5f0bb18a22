"""Arrays of MATLAB files up to version 7.2, by SciPy. Later ones are HDF5, see hdf5_files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from ..errors import CanvasError, PixWizardError


@lru_cache(maxsize=2)
def matlab_values(path: str) -> dict[str, Any]:
    """The arrays of a MATLAB file by name. Raises PixWizardError without SciPy and for any other
    file."""
    try:
        from scipy import io  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise PixWizardError(f"{Path(path).name} needs SciPy: pip install scipy") from None
    try:
        values = cast(Any, io).loadmat(path)
    except (ValueError, NotImplementedError, OSError) as error:
        raise PixWizardError(f"{path} cannot be read as a MATLAB file ({error})") from error
    return {name: value for name, value in values.items() if not name.startswith("__")}


def matlab_array(path: str) -> Any:
    """The one array of a MATLAB file. Raises PixWizardError without SciPy."""
    arrays = list(matlab_values(path).values())
    if len(arrays) != 1:
        raise CanvasError(f"{Path(path).name} should hold one array. Got: {len(arrays)}")
    return arrays[0]
