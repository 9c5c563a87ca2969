"""`meters`: every meter with what it reads now, or why it cannot be used and what would help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.units import short

__all__ = ["MeterLine", "page", "render_meters"]

TITLE = "spanbench meters · where joules can come from on this machine"
LIVE = "Live: the mean power of one window in which spanbench itself did nothing."
CHOICE = "--meter names another; A+B adds two that count different hardware."


@dataclass(frozen=True, slots=True)
class MeterLine:
    """One meter: what it is, and one live reading in watts or the reason for none."""

    name: str
    source: str
    available: bool
    default_for: tuple[str, ...]
    """The devices on which `compare` takes it unless told otherwise."""
    scope: str
    period_s: float | None
    min_window_s: float
    watts: float | None
    by: str | None
    reason: str | None
    mend: str | None


def render_meters(lines: Sequence[MeterLine], fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    return render(page(lines), fmt, width, colour)


def page(lines: Sequence[MeterLine]) -> Page:
    """Return the view before it is printed."""
    plain = [asdict(line) for line in lines]
    tidy = [{**row, "default_for": " ".join(row["default_for"])} for row in plain]
    return Page(tuple(_blocks(lines)), {"meters": plain}, tidy)


def _blocks(lines: Sequence[MeterLine]) -> Iterator[Text | Table]:
    yield Text(TITLE, "title")
    rows = [
        Row(
            (
                line.name,
                line.source,
                line.scope if line.available else "–",
                _seconds(line.period_s),
                _seconds(line.min_window_s),
                _live(line),
            )
        )
        for line in lines
    ]
    yield Table(("meter", "source", "scope", "tick", "window", "live"), tuple(rows), left=frozenset({0, 1, 2}))
    for line in lines:
        if line.by or line.reason:
            yield Text(f"{line.name}: {_said(line)}", hang=2)
    yield Text(LIVE, "note", hang=2)
    yield Text(f"{_defaults(lines)}; {CHOICE}", "note", hang=2)


def _defaults(lines: Sequence[MeterLine]) -> str:
    chosen = [f"{line.name} on {device}" for line in lines for device in line.default_for]
    return f"`compare` takes {', '.join(chosen) or 'none of them'}"


def _seconds(seconds: float | None) -> str:
    return short("seconds", seconds) if seconds else "–"


def _live(line: MeterLine) -> str:
    if line.watts is not None:
        return short("watts", line.watts)
    return "–" if line.available else "missing"


def _said(line: MeterLine) -> str:
    parts = (line.by if line.watts is not None else None, line.reason, line.mend)
    return "; ".join(part for part in parts if part) or "available"
