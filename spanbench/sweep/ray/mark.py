"""What a reader must know of a record that came from a task of Ray."""

from __future__ import annotations

from spanbench.record import Record

__all__ = ["DAEMONS", "marked"]

DAEMONS = "ray-daemons"
"""The code of the warning (docs/sweep.md)."""

_TEXT = f"seconds and joules were taken beside Ray's daemons, which use the CPU too: compare them only with others from Ray [{DAEMONS}]"


def marked(line: str) -> str:
    """Return a record's line with Ray named as the sweep's engine, and with a warning where the CPU was what was timed.

    A line that was marked before is returned as it is.

    Raises:
        UsageError: the line is no record.
        SchemaMismatch: a record of another schema.
    """
    record = Record.from_line(line)
    known = record.environment.get("sweep")
    sweep = {**(known if isinstance(known, dict) else {}), "engine": "ray"}
    warn = _timed_on_cpu(record) and _TEXT not in record.warnings
    fields = {"environment": record.environment | {"sweep": sweep}, "warnings": [*record.warnings, *([_TEXT] if warn else [])]}
    return record.model_copy(update=fields).to_line()


def _timed_on_cpu(record: Record) -> bool:
    """Return whether anything of the record was taken from a running CPU: it was measured, or estimated while it ran."""
    on_cpu = str(record.point.get("device", "cpu")).startswith("cpu")
    return on_cpu and any(measure.source in {"measured", "estimated"} for measure in record.measures)
