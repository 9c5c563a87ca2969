"""One record read for a report: checked, and reduced to what the report's tables, plots and pages need of it.

A file of thousands of records is read once, line by line. A line is parsed and looked over here; only one that looks
wrong goes through the record's full check, which takes three times as long and says what is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from operator import itemgetter
from types import NoneType
from typing import Any, get_args

from pydantic_core import from_json

from spanbench.errors import UsageError
from spanbench.record import SCHEMA, SOURCES, Measure, Record, record_id
from spanbench.show.report.reading.figures import Figures
from spanbench.show.report.reading.skim import TOTALS, skimmed
from spanbench.show.report.setups import setup_of
from spanbench.show.report.summary import Setup
from spanbench.show.report.tables.rows import point_row, tidy_text, wide_row
from spanbench.tally import CONVENTIONS

__all__ = ["Digest", "Wanted", "digest", "digest_line", "distinct"]

Plain = Mapping[str, Any]

_FIELDS, _KEYS = len(Record.model_fields), len(Measure.model_fields)
_WRITTEN = f'{{"schema":{SCHEMA},"id":'.encode()
"""How each line begins that was written here."""
_NUMBERS = frozenset({int, float, NoneType})
_LEGAL = frozenset(product(*(get_args(Measure.model_fields[name].annotation) for name in ("arm", "regime", "stage")), SOURCES))
_place, _value, _ends = itemgetter("arm", "regime", "stage", "source"), itemgetter("value"), itemgetter("low", "high")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tables the lines of a record are kept for."""

    tidy: bool = False
    wide: bool = False


SUMMARY_ALONE = Wanted()


@dataclass(frozen=True, slots=True)
class Digest:
    """What is left of a record: where it belongs, its figures of `SUMMARISED` (stages' FLOPs too), and its rows as they are wanted."""

    setup: Setup
    tokens: int
    id: str
    seal: str
    """A hash of the whole record: equal records are one."""
    point: Plain = field(repr=False)
    environment: Plain = field(repr=False)
    warnings: Sequence[str]
    verified: Sequence[str]
    figures: Figures = field(repr=False)
    measured: bool
    """Whether a figure of it depends on the machine."""
    tidy: str = field(default="", repr=False)
    wide: Plain = field(default_factory=dict, repr=False)

    @property
    def order(self) -> tuple[Any, ...]:
        """What records are sorted by, in every output."""
        return (self.setup, self.tokens, self.id, self.seal)


def distinct(digests: Iterable[Digest]) -> list[Digest]:
    """Return sorted records; one that was given several times, to its last digit, stands once."""
    by_seal = {d.seal: d for d in digests}
    return sorted(by_seal.values(), key=lambda d: d.order)


def digest_line(line: bytes, where: str, wanted: Wanted) -> Digest:
    """Return one line's record, reduced; the line has no space around it, `where` names it in an error.

    Raises:
        UsageError: not a record.
        SchemaMismatch: a record of another schema.
        UnicodeDecodeError: not UTF-8.
    """
    seal = hashlib.sha256(line if line.startswith(_WRITTEN) else _written(line, where)).hexdigest()
    try:
        return _looked_over(skimmed(line) if wanted == SUMMARY_ALONE else from_json(line, allow_inf_nan=False), seal, wanted)
    except (ValueError, TypeError, KeyError, AttributeError):  # not as it is written here: let the full check say why, or fill it up
        plain = Record.from_line(line.decode(), where).to_json()
    try:
        return _reduced(plain, seal, wanted)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{where}: its point is not one that a report can place ({type(error).__name__}: {error})") from None


def _written(line: bytes, where: str) -> bytes:
    """Return a line as it is written here: the same record in another form is the same record."""
    return Record.from_line(line.decode(), where).to_line().strip().encode()


def digest(record: Record, wanted: Wanted = SUMMARY_ALONE) -> Digest:
    """Return a record, reduced."""
    seal = hashlib.sha256(record.to_line().strip().encode()).hexdigest()
    return _reduced(record.to_json(), seal, wanted)


def _looked_over(plain: Any, seal: str, wanted: Wanted) -> Digest:
    """Reduce what has the form of a record.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it has not.
    """
    if plain["schema"] != SCHEMA or plain["convention"] not in CONVENTIONS or plain["id"] != record_id(plain["point"], plain["convention"]):
        raise ValueError("another schema, or not the hash of its point")
    if len(plain) != _FIELDS:
        raise ValueError("a field too many or too few")
    _look_over(plain["measures"])
    return _reduced(plain, seal, wanted)


def _look_over(measures: Sequence[Plain]) -> None:
    """Check the figures of a record, all of one kind at a time: a loop over them takes three times as long.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: one has not the form of a figure.
    """
    if not set(map(len, measures)) <= {_KEYS} or not set(map(_place, measures)) <= _LEGAL:
        raise ValueError("no such place")
    values, ends = set(map(type, map(_value, measures))), set(map(type, chain.from_iterable(map(_ends, measures))))
    if not values | ends <= _NUMBERS:
        raise TypeError("no number")
    if NoneType in values and not all(m["reason"] for m in measures if m["value"] is None):
        raise ValueError("null without a reason")


def _reduced(plain: Plain, seal: str, wanted: Wanted) -> Digest:
    figures = _figures(plain["measures"])
    head = point_row(plain) if wanted.tidy or wanted.wide else {}
    return Digest(
        setup=setup_of(plain),
        tokens=plain["point"]["tokens"],
        id=plain["id"],
        seal=seal,
        point=plain["point"],
        environment=_kept(plain["environment"]),
        warnings=plain["warnings"],
        verified=plain["verified"],
        figures=figures,
        measured=any(p.source != "counted" and value is not None for p, value in zip(figures.places, figures.values, strict=True)),
        tidy=tidy_text(head, plain["measures"]) if wanted.tidy else "",
        wide=wide_row(head, plain["measures"]) if wanted.wide else {},
    )


def _figures(measures: Iterable[Plain]) -> Figures:
    return Figures.of([m for m in measures if (name := m["quantity"]) in TOTALS and (m["stage"] == "total" or name == "flops")])


def _kept(environment: Plain) -> dict[str, Any]:
    """Return what a report says of the surroundings; a schedule has thousands of slots, and is not kept."""
    return {name: environment.get(name) for name in ("limits", "packages", "commit", "sweep")}
