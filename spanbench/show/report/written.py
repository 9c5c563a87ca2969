"""What `report --out` says of the files that it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.show.report.export import Written
from spanbench.show.report.summary import Report

__all__ = ["Done", "render_written"]

Done = tuple[Report, Sequence[Written]]


def render_written(done: Done, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the list of files as text in one of `formats.FORMATS`."""
    report, written = done
    title = f"spanbench report · {report.records:,} records in {len(report.sections):,} sections"
    rows = tuple(Row((w.file, f"{w.bytes:,}", w.what)) for w in written)
    plain = [asdict(w) for w in written]
    table = Table(("file", "bytes", ""), rows, left=frozenset({0, 2}))
    blocks: tuple[Text | Table, ...] = (Text(title, "title"), *(Text(note) for note in report.notes), table)
    data = {"records": report.records, "sections": len(report.sections), "notes": list(report.notes), "written": plain}
    return render(Page(blocks, data, plain), fmt, width, colour)
