"""`diff`: two records, or two files of them, side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from spanbench import units
from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.difference import Changed, Counted, Difference, Differences, Noisy
from spanbench.show.formats import render

__all__ = ["page", "render_diff"]

MISSING = "–"
_LONGEST = 60  # characters of a value that is no number
LEGEND = (
    "~ the intervals overlap, so no difference is shown; ≠ they lie apart; ? one of them has no interval. An arm's interval is the range "
    "of its slots, a ratio's the 95% interval. Modelled figures are listed where they differ."
)


def render_diff(found: Differences, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    return render(page(found), fmt, width, colour)


def page(found: Differences) -> Page:
    """Return the view before it is printed."""
    rows = [row for pair in found.pairs for row in _tidy(pair)]
    plain = [_plain(pair) for pair in found.pairs]
    data = {"same_counts": all(pair.same_counts for pair in found.pairs), "pairs": plain, "only_a": found.only_a, "only_b": found.only_b}
    return Page(tuple(_blocks(found)), data, rows)


def _blocks(found: Differences) -> Iterator[Text | Table]:
    for pair in found.pairs:
        yield from _pair(pair)
    for side, ids in (("A", found.only_a), ("B", found.only_b)):
        if ids:
            yield Text(f"Only in {side}: {', '.join(ids)}.")
    if any(pair.noisy for pair in found.pairs):
        yield Text(LEGEND, "note")


def _pair(pair: Difference) -> Iterator[Text | Table]:
    yield Text(f"spanbench diff · A {pair.a.id}, B {pair.b.id}", "title")
    yield Text(_sentence(pair))
    for title, changed in (("Point", pair.point), ("Environment", pair.environment)):
        if changed:
            rows = tuple(Row((one.name, _text(one.a), _text(one.b))) for one in changed)
            yield Table(("", "A", "B"), rows, title, left=frozenset({0, 1, 2}))
    differ = tuple(_count_row(count) for count in pair.counts if count.differs)
    if differ:
        yield Table(("", "A", "B", "B − A", "B ÷ A"), differ, "Counts that differ")
    yield from _alone(pair)
    noisy = tuple(_noisy_row(one) for one in pair.noisy if one.a.source != "modelled" or one.judged != "~")
    if noisy:
        yield Table(("", "A", "B", "B ÷ A", ""), noisy, "Noisy figures")


def _alone(pair: Difference) -> Iterator[Text]:
    """Yield which counts only one of the two knows, by regime: the others' values are in JSON and CSV."""
    for side, other in (("a", "b"), ("b", "a")):
        found = Counter(count.regime for count in pair.counts if getattr(count, side) is not None and getattr(count, other) is None)
        if found:
            yield Text(f"Known in {side.upper()} alone: {', '.join(f'{count:,} counts of {regime}' for regime, count in found.items())}.")


def _sentence(pair: Difference) -> str:
    differ = sum(count.differs for count in pair.counts)
    known = sum(not count.differs for count in pair.counts)
    apart = sum(one.judged == "≠" for one in pair.noisy)
    parts = [
        f"{pair.equal:,} counts are equal, {differ:,} differ" + (f", {known:,} are known in one record alone" if known else ""),
        f"{apart:,} of {len(pair.noisy):,} noisy figures lie apart" if pair.noisy else "no noisy figure is in both",
        f"the points differ in {len(pair.point)} {_fields(pair.point)}" if pair.point else "the points are the same",
    ]
    return "; ".join(parts) + "."


def _fields(changed: Sequence[Changed]) -> str:
    return "field" if len(changed) == 1 else "fields"


def _text(value: Any) -> str:
    """Return a JSON value on one line, cut where it is long."""
    if value is None:
        return MISSING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _place(one: Counted | Noisy) -> str:
    stage = "" if one.stage == "total" else f" {one.stage}"
    return f"{one.regime} {one.arm}{stage}, {units.quantity(one.quantity).label if _known(one.quantity) else one.quantity}"


def _known(name: str) -> bool:
    return name.removeprefix(units.RATIO_PREFIX) in units.QUANTITIES


def _figure(name: str, value: int | float | None) -> str | Cell:
    if value is None:
        return MISSING
    return Cell(units.short(name, value), units.full(name, value)) if _known(name) else str(value)


def _count_row(count: Counted) -> Row:
    cells = (_figure(count.quantity, count.a), _figure(count.quantity, count.b))
    a, b = count.a or 0, count.b or 0  # both known: only counts that differ have a row
    return Row((_place(count), *cells, f"{b - a:+,}", _quotient(a, b)))


def _noisy_row(one: Noisy) -> Row:
    cells = (_bounded(one.quantity, one.a), _bounded(one.quantity, one.b))
    a, b = one.a.value, one.b.value
    quotient = _quotient(a, b) if a is not None and b is not None else MISSING
    return Row((_place(one), *cells, quotient, one.judged))


def _bounded(name: str, measure: Any) -> str | Cell:
    """Return a figure, with its interval where there is room."""
    if measure.low is None or measure.high is None or not _known(name):
        return _figure(name, measure.value)
    return Cell(units.short(name, measure.value), f"{units.short(name, measure.value)} ({units.interval(name, measure.low, measure.high)})")


def _quotient(a: int | float, b: int | float) -> str:
    """Return b ÷ a to six digits: a count that differs by one must not look equal."""
    return f"{b / a:.6g}" if a else MISSING


def _plain(pair: Difference) -> dict[str, Any]:
    rows = list(_tidy(pair))
    kinds = ("point", "environment", "count", "noisy")
    return {"a": pair.a.id, "b": pair.b.id, "same_counts": pair.same_counts, "equal_counts": pair.equal} | {
        kind: [
            {key: value for key, value in row.items() if key not in {"record_a", "record_b", "kind"}} for row in rows if row["kind"] == kind
        ]
        for kind in kinds
    }


def _tidy(pair: Difference) -> Iterator[dict[str, Any]]:
    """Yield one row a difference; `difference` is b - a, exact for counts."""
    for kind, changed in (("point", pair.point), ("environment", pair.environment)):
        yield from (_row(pair, kind, name=one.name, a=one.a, b=one.b) for one in changed)
    for count in pair.counts:
        yield _row(pair, "count", count, a=count.a, b=count.b, judged="≠" if count.differs else "?")
    for one in pair.noisy:
        yield _row(pair, "noisy", one, a=one.a.value, b=one.b.value, judged=one.judged)


def _row(
    pair: Difference, kind: str, place: Counted | Noisy | None = None, *, a: Any, b: Any, name: str = "", judged: str = ""
) -> dict[str, Any]:
    where = {key: getattr(place, key, None) for key in ("arm", "regime", "stage", "quantity")}
    numbers = place is not None and a is not None and b is not None
    return {
        "record_a": pair.a.id, "record_b": pair.b.id, "kind": kind, "name": name or None, **where, "a": a, "b": b,
        "difference": b - a if numbers else None, "relative": b / a - 1 if numbers and a else None, "judged": judged or None,
    }  # fmt: skip
