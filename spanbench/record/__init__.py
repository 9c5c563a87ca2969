"""What came out of a run: measures in a record, and files of records. Neither torch nor pandas is needed to read one."""

from spanbench.record.counted import counted_measures, pair_ratio
from spanbench.record.file import append, appending, check_writable
from spanbench.record.models import SCHEMA, SOURCES, Measure, Record, SchemaMismatch, Source, record_id, weakest
from spanbench.record.reading import Stored, each, read

__all__ = [
    "SCHEMA",
    "SOURCES",
    "Measure",
    "Record",
    "SchemaMismatch",
    "Source",
    "Stored",
    "append",
    "appending",
    "check_writable",
    "counted_measures",
    "each",
    "pair_ratio",
    "read",
    "record_id",
    "weakest",
]
