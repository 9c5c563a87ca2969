"""Records as tables. Tidy: one row a measure, its point in front. Wide: one row a record, a column a figure.

Exact figures stay integers. A CSV holds their digits; a pandas frame holds them in `Int64` columns (see frame.py).
Null is an empty field, and a tidy row has its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, get_args

from spanbench import units
from spanbench.point import ALL_REGIMES
from spanbench.record import Measure
from spanbench.show.report.setups import changed, machine

__all__ = [
    "FIGURE_COLUMNS",
    "POINT_COLUMNS",
    "TIDY_COLUMNS",
    "csv_line",
    "point_row",
    "sorted_columns",
    "tidy_row",
    "tidy_text",
    "wide_lines",
    "wide_row",
]

POINT_COLUMNS = (
    "id", "convention", "machine", "device", "preset", "allocation", "changed", "dtype", "batch", "tokenizer", "seed", "generate",
    "span", "tokens",
)  # fmt: skip
FIGURE_COLUMNS = ("arm", "regime", "stage", "quantity", "value", "value_int", "unit", "steps", "source", "low", "high", "by", "reason")
TIDY_COLUMNS = (*POINT_COLUMNS, *FIGURE_COLUMNS)
"""`value_int` repeats a value that is an integer, every digit, and is empty for any other."""

_ARMS: tuple[str, ...] = get_args(Measure.model_fields["arm"].annotation)
_STAGES: tuple[str, ...] = ("total", *get_args(Measure.model_fields["stage"].annotation)[:-1])
_QUANTITIES = tuple(name for base in units.QUANTITIES for name in (base, units.RATIO_PREFIX + base))
_BOUNDS = ("", "low", "high", "source")
_UNQUOTED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-+.:/;()=×÷%")


def point_row(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a record: the columns in front of its figures."""
    point = plain["point"]
    own = {
        "id": plain["id"],
        "convention": plain["convention"],
        "machine": machine(plain["environment"]),
        "changed": changed(point) or None,
    }
    return {name: own[name] if name in own else point.get(name) for name in POINT_COLUMNS}


def tidy_row(measure: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return one measure's own columns, `FIGURE_COLUMNS`."""
    m, value = measure, measure["value"]
    return (
        m["arm"], m["regime"], m["stage"], m["quantity"], value, value if type(value) is int else None, m["unit"], m["steps"],
        m["source"], m["low"], m["high"], m["by"], m["reason"],
    )  # fmt: skip


def tidy_text(head: Mapping[str, Any], measures: Iterable[Mapping[str, Any]]) -> str:
    """Return the CSV lines of one record: `csv_line` of every tidy row, without doing for each what they have in common."""
    front = csv_line(head.values())[:-1]
    return "".join([_tidy_line(front, m) for m in measures])


def _tidy_line(front: str, m: Mapping[str, Any]) -> str:
    value, low, high, reason = m["value"], m["low"], m["high"], m["reason"]
    place = _place(m["arm"], m["regime"], m["stage"], m["quantity"])
    middle = _middle(m["unit"], m["steps"], m["source"])
    number = "," if value is None else f"{value},{value}" if type(value) is int else f"{value!r},"
    ends = f"{'' if low is None else repr(low)},{'' if high is None else repr(high)}"
    return f"{front},{place},{number},{middle},{ends},{_field(m['by'])},{_field(reason) if reason else ''}\n"


@lru_cache(maxsize=65536)
def _place(arm: str, regime: str, stage: str, quantity: str) -> str:
    return f"{arm},{regime},{stage},{_field(quantity)}"


@lru_cache(maxsize=65536)
def _middle(unit: str, steps: int, source: str) -> str:
    return f"{_field(unit)},{steps},{source}"


def csv_line(values: Iterable[Any]) -> str:
    """Return one line of CSV (RFC 4180 but for its end, a newline): None is empty, numbers keep every digit."""
    return ",".join(["" if v is None else _field(v) if isinstance(v, str) else repr(v) for v in values]) + "\n"


@lru_cache(maxsize=65536)
def _field(text: str) -> str:
    return text if _UNQUOTED.issuperset(text) else '"' + text.replace('"', '""') + '"'


def wide_row(head: Mapping[str, Any], measures: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one record as a row: its point, then `quantity.arm.regime` of totals and `quantity.arm.regime.stage` of stages.

    A noisy figure has `….low`, `….high` and `….source` beside it.
    """
    row = dict(head)
    for m in measures:
        name, noisy = _column(m["quantity"], m["arm"], m["regime"], m["stage"], m["source"])
        row[name] = m["value"]
        if noisy:
            row[f"{name}.low"], row[f"{name}.high"], row[f"{name}.source"] = m["low"], m["high"], m["source"]
    return row


@lru_cache(maxsize=65536)
def _column(quantity: str, arm: str, regime: str, stage: str, source: str) -> tuple[str, bool]:
    return ".".join((quantity, arm, regime, *([] if stage == "total" else [stage]))), source != "counted"


def sorted_columns(names: Iterable[str]) -> list[str]:
    """Return the columns of a wide table: the point's, then figures by quantity, regime, stage, arm, each before its bounds."""
    figures = set(names) - set(POINT_COLUMNS)
    return [*POINT_COLUMNS, *sorted(figures, key=_column_order)]


def _column_order(name: str) -> tuple[Any, ...]:
    quantity, arm, regime, *rest = name.split(".")
    stage = next((part for part in rest if part in _STAGES), "total")
    bound = next((part for part in rest if part in _BOUNDS), "")
    known = ((_QUANTITIES, quantity), (ALL_REGIMES, regime), (_STAGES, stage), (_ARMS, arm), (_BOUNDS, bound))
    return (*(_index(among, part) for among, part in known), name)


def _index(among: Sequence[str], name: str) -> int:
    """Return a name's place; one that this version does not know comes last."""
    return among.index(name) if name in among else len(among)


def wide_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a wide table as CSV, heading first."""
    columns = sorted_columns({name for row in rows for name in row})
    yield csv_line(columns)
    yield from (csv_line(map(row.get, columns)) for row in rows)
