"""Rows of the Parquet files that datasets are shared in, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from ..errors import PixWizardError, reason_of

PARQUET = ".parquet"
ROWS_AT_ONCE = 16  # whose pictures are in memory


def parquet_files(source: str | Path) -> list[Path]:
    """List the Parquet files at a path: the file itself, or the files of a folder in order. Empty
    for any other path."""
    source = Path(source)
    if source.is_dir():
        return sorted(source.glob(f"*{PARQUET}"))
    return [source] if source.suffix.lower() == PARQUET else []


def open_parquet(path: Path) -> Any:
    """Open a file as pyarrow's ParquetFile. Raises PixWizardError when pyarrow is not installed,
    and for any other file."""
    try:
        import pyarrow.parquet as parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise PixWizardError(f"{path.name} needs pyarrow: pip install pyarrow") from None
    try:
        return cast(Any, parquet).ParquetFile(path)
    except (OSError, ValueError) as error:
        raise PixWizardError(f"{path.name} is no Parquet file: {reason_of(error, 160)}") from None


def parquet_rows(
    parquet: Any, columns: Sequence[str], path: Path
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number from 0, cells by column) of each row. path: for messages. Raises PixWizardError
    for a damaged file."""
    number = 0
    try:
        for batch in parquet.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns)):
            for row in batch.to_pylist():
                yield number, row
                number += 1
    except (OSError, ValueError) as error:
        raise PixWizardError(
            f"{path.name} is damaged at row {number}: {reason_of(error, 160)}"
        ) from None
