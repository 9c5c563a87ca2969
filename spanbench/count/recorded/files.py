"""A file of records checked from its first line to its last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from spanbench.count.recorded.derived import audit_counts, derived
from spanbench.count.recorded.texts import BUILT_IN, Texts
from spanbench.errors import SpanbenchError
from spanbench.point import Point
from spanbench.prompt import Prompt, load_prompt
from spanbench.record import Record, SchemaMismatch
from spanbench.record.audit import audit_record
from spanbench.record.findings import Audit, FileAudit, Place
from spanbench.record.lines import Line, lines_of
from spanbench.record.points import recorded_point

__all__ = ["Ledger", "audit_file"]

Ledger = Callable[[Record, Point, Prompt | None, Audit], None]
"""What counts a record's point once more by running it, and notes what differs."""

_NOT_AT_HAND = "the record's prompt is not at hand (--prompt, --tokenizer)"


def audit_file(path: Path, texts: Texts, ledger: Ledger | None = None) -> FileAudit:
    """Check every line of a file of records.

    Raises:
        UsageError: it cannot be read.
        CountMismatch: with a ledger, where ledger and closed form of this version disagree.
    """
    audits, cut = [], []
    for line in lines_of(path):
        if line.cut:
            cut.append(line.number)
        else:
            audits.append(_audit_line(line, texts, ledger))
    return FileAudit(str(path), audits, cut)


def _audit_line(line: Line, texts: Texts, ledger: Ledger | None) -> Audit:
    audit = Audit(line.number)
    opened = _open(line, audit)
    if opened is None:
        return audit
    record, point = opened
    audit.same("id", Place("id"), line.plain.get("id"), record.id)
    audit_record(record, point, audit)
    prompt = texts.find(record, point)
    _prompt(record, point, prompt, audit)
    audit_counts(record, derived(record, point, prompt), "counts", audit)
    if ledger is not None:
        ledger(record, point, prompt, audit)
    return audit


def _open(line: Line, audit: Audit) -> tuple[Record, Point] | None:
    """Read a record and its point, or note why it is none. Its id is held against the hash later, as any other figure."""
    place = Place("line")
    if line.problem is not None:
        audit.hold("schema", place, False, line.problem, "one JSON object a line")
        return None
    try:
        plain = {**line.plain, "id": ""} if isinstance(line.plain, dict) else line.plain
        record = Record.from_line(json.dumps(plain), "record")
        point = recorded_point(record.point)
    except SchemaMismatch as error:
        audit.hold("schema", Place("schema"), False, str(error), "a schema that is read here")
        return None
    except SpanbenchError as error:
        audit.hold("schema", place, False, str(error), "a record of its schema")
        return None
    audit.hold("schema", place, True, None, None)
    return record, point


def _prompt(record: Record, point: Point, prompt: Prompt | None, audit: Audit) -> None:
    """Hold the hash of the ids against the built-in prompt's where the record names that one and no tokenizer."""
    if prompt is not None:
        audit.same("prompt", Place("prompt"), point.prompt, prompt.digest)
    elif (record.environment.get("prompt"), point.tokenizer) == (BUILT_IN, "bytes"):
        wanted = load_prompt(None, None, point.tokens, point.batch).digest
        audit.same("prompt", Place("prompt"), point.prompt, wanted)
    else:
        audit.leave("prompt", _NOT_AT_HAND)
