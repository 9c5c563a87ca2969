"""`verify`: what was checked of each file of records, what was left and why, and every figure that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spanbench.record.findings import CHECKS, FileAudit, Finding
from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.formats import render

__all__ = ["page", "render_verify", "sentence"]

MOST = 40
"""Findings that are told one by one: a file of another version may hold thousands."""
EQUAL = "Every figure that was checked is what it should be, tolerance 0."


def render_verify(files: Sequence[FileAudit], fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`; as CSV a row for each file and check."""
    return render(page(files), fmt, width, colour)


def page(files: Sequence[FileAudit]) -> Page:
    """Return the view before it is printed."""
    findings = [{"file": file.name, **_plain(finding)} for file in files for finding in file.findings]
    tidy = [row for file in files for row in _checks(file)]
    return Page(tuple(_blocks(files)), {"files": [_file(file) for file in files], "findings": findings}, tidy)


def sentence(finding: Finding) -> str:
    """Return one finding as a line: where it stands, what is recorded, and what should be."""
    place = finding.place
    where = " ".join(part for part in (place.arm, place.regime, place.stage, place.quantity) if part)
    return f"line {finding.line}: {where}: recorded {_text(finding.recorded)}, should be {_text(finding.derived)} [{finding.check}]"


# ---- data -----------------------------------------------------------------------------------------------------------


def _plain(finding: Finding) -> dict[str, Any]:
    place = finding.place
    where = {"arm": place.arm, "regime": place.regime, "stage": place.stage, "quantity": place.quantity}
    return {"line": finding.line, "check": finding.check, **where, "recorded": finding.recorded, "derived": finding.derived}


def _file(file: FileAudit) -> dict[str, Any]:
    left = [{"check": check, "reason": reason, "figures": count} for (check, reason), count in sorted(file.left.items())]
    checks = [{name: value for name, value in row.items() if name != "file"} for row in _checks(file)]
    return {"file": file.name, "records": file.records, "cut_lines": list(file.cut), "checks": checks, "left": left}


def _checks(file: FileAudit) -> list[dict[str, Any]]:
    return [{"file": file.name, "check": name, **_numbers([file], name)} for name in CHECKS]


def _numbers(files: Sequence[FileAudit], check: str) -> dict[str, int]:
    """Return how many figures one check held, how many it had to leave, and how many are wrong."""
    return {
        "checked": sum(file.checked[check] for file in files),
        "left": sum(count for file in files for (name, _), count in file.left.items() if name == check),
        "wrong": sum(finding.check == check for file in files for finding in file.findings),
    }


# ---- the page -------------------------------------------------------------------------------------------------------


def _blocks(files: Sequence[FileAudit]) -> Iterator[Text | Table]:
    records = sum(file.records for file in files)
    yield Text(f"spanbench verify · {_many(records, 'record')} in {_many(len(files), 'file')}", "title")
    yield Table(("file", "records", "checked", "left", "wrong"), tuple(_file_row(file) for file in files))
    rows = [(name, _numbers(files, name)) for name in CHECKS]
    held = tuple(Row((name, CHECKS[name], *(f"{n:,}" for n in numbers.values()))) for name, numbers in rows if any(numbers.values()))
    yield Table(("check", "held against", "checked", "left", "wrong"), held, left=frozenset({0, 1}))
    yield from _wrong(files)
    yield from (Text(line, "note", hang=2) for line in _notes(files))


def _file_row(file: FileAudit) -> Row:
    left, wrong = sum(file.left.values()), len(file.findings)
    return Row((file.name, *(f"{n:,}" for n in (file.records, sum(file.checked.values()), left, wrong))))


def _wrong(files: Sequence[FileAudit]) -> Iterator[Text]:
    told = [f"{file.name}, {sentence(finding)}" for file in files for finding in file.findings]
    if not told and any(file.audits for file in files):
        yield Text(EQUAL)
    yield from (Text(line, hang=2) for line in told[:MOST])
    if len(told) > MOST:
        yield Text(f"and {len(told) - MOST:,} more; --format json lists all")


def _notes(files: Sequence[FileAudit]) -> Iterator[str]:
    reasons: dict[tuple[str, str], int] = {}
    for file in files:
        for key, count in file.left.items():
            reasons[key] = reasons.get(key, 0) + count
        yield from (f"{file.name}, line {number} breaks off, as a run that was killed leaves it; it was left out." for number in file.cut)
    yield from (f"Left of {check}: {count:,}, {reason}." for (check, reason), count in sorted(reasons.items()))


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:,}" if type(value) is int else str(value)
