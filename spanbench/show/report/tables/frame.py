"""Records as pandas frames, for notebooks and for Parquet. pandas is imported when a frame is asked for, not before.

Counts are `Int64` columns: pandas' default would turn integers beside a null into floats, which lose digits above 2^53.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spanbench import units
from spanbench.errors import UsageError
from spanbench.record import Record
from spanbench.show.report.tables.rows import POINT_COLUMNS, TIDY_COLUMNS, point_row, sorted_columns, tidy_row, wide_row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_parquet", "frame_of_rows", "read_tidy_csv", "tidy_frame", "wide_frame", "write_parquet"]

_WHOLE = frozenset({"batch", "seed", "generate", "span", "tokens", "value_int", "steps"})
_REAL = frozenset({"value", "low", "high"})
_LARGEST = 2**63 - 1


def tidy_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a measure, in the order of the records: `value` as Float64, `value_int` with every digit as Int64.

    Raises:
        UsageError: an integer beyond 64 bits.
    """
    rows = []
    for record in records:
        plain = record.to_json()
        front = tuple(point_row(plain).values())
        rows += [(*front, *tidy_row(measure)) for measure in plain["measures"]]
    return _frame({name: [row[index] for row in rows] for index, name in enumerate(TIDY_COLUMNS)}, _tidy_type)


def wide_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a record; the columns of exact quantities are Int64, of all others Float64, of names strings.

    Raises:
        UsageError: an integer beyond 64 bits.
    """
    plains = [record.to_json() for record in records]
    return frame_of_rows([wide_row(point_row(plain), plain["measures"]) for plain in plains])


def frame_of_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows of `wide_row` as the frame of `wide_frame`."""
    columns = sorted_columns({name for row in rows for name in row})
    return _frame({name: [row.get(name) for row in rows] for name in columns}, _wide_type)


def read_tidy_csv(path: Path | io.StringIO) -> pd.DataFrame:
    """Return a records.csv as `tidy_frame` would give it: every integer exact, every null null."""
    import pandas as pd

    types = {name: _tidy_type(name, ()) for name in TIDY_COLUMNS}
    # Only an empty field is null: a text such as 'NA' is a text.
    return pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])


def _tidy_type(name: str, _values: Sequence[Any]) -> str:
    return "Int64" if name in _WHOLE else "Float64" if name in _REAL else "string"


def _wide_type(name: str, values: Sequence[Any]) -> str:
    if name in POINT_COLUMNS:
        return _tidy_type(name, values)
    if name.endswith(".source"):
        return "string"
    base = units.QUANTITIES.get(name.partition(".")[0])
    whole = base is not None and base.exact and not any(isinstance(value, float) for value in values)
    return "Int64" if whole else "Float64"


def _frame(columns: Mapping[str, Sequence[Any]], type_of: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: _column(values, type_of(name, values), name) for name, values in columns.items()})


def _column(values: Sequence[Any], kind: str, name: str) -> Any:
    import pandas as pd

    if kind == "Float64":  # an integer among them becomes the nearest double; its digits are in value_int
        return pd.array([None if value is None else float(value) for value in values], dtype="Float64")
    if kind == "Int64" and any(value is not None and abs(value) > _LARGEST for value in values):
        raise UsageError(f"{name}: an integer beyond 64 bits does not fit a table's column; take the CSV, which keeps its digits")
    return pd.array(list(values), dtype=kind)  # type: ignore[call-overload]  # the stubs know each dtype by its own literal alone


def check_parquet() -> None:
    """Refuse Parquet where pyarrow is not installed, before any work is done.

    Raises:
        UsageError: what to install.
    """
    try:
        import pyarrow.parquet  # noqa: F401  # whether it is there is all that is asked
    except ImportError:
        raise UsageError("--formats parquet: pyarrow is not installed; pip install 'spanbench[parquet]'") from None


def write_parquet(frame: pd.DataFrame) -> bytes:
    """Return a frame as the bytes of a Parquet file; equal frames give equal bytes under one version of pyarrow.

    Raises:
        UsageError: pyarrow is not installed.
    """
    check_parquet()
    return bytes(frame.to_parquet(engine="pyarrow", index=False) or b"")
