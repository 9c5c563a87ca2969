"""A record read for showing: figures by name, the sizes of its point, and footnotes for figures that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from spanbench import units
from spanbench.point import REGIMES, Windows
from spanbench.presets import changes
from spanbench.record import Measure, Record
from spanbench.show.blocks import Cell

__all__ = ["Footnotes", "Reading", "named", "tidy_rows"]

MISSING = "–"
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_POINT_COLUMNS = ("preset", "allocation", "tokens", "span", "batch", "device", "dtype")


class Reading:
    """One record with its measures found by (arm, regime, stage, quantity)."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._found: dict[tuple[str, str, str, str], Measure] = {(m.arm, m.regime, m.stage, m.quantity): m for m in record.measures}
        self.regimes: list[str] = sorted({m.regime for m in record.measures}, key=_regime_order)

    def measure(self, arm: str, regime: str, quantity: str, stage: str = "total") -> Measure | None:
        """Return a measure, or None where the record has no such row (an arm without that stage)."""
        return self._found.get((arm, regime, stage, quantity))

    def number(self, arm: str, regime: str, quantity: str, stage: str = "total") -> int | float | None:
        """Return a measure's value, or None where it is null or the record has no such row."""
        found = self.measure(arm, regime, quantity, stage)
        return found.value if found else None

    def ratio(self, regime: str, quantity: str) -> int | float | None:
        """Return the pair's ratio of a quantity's totals, token ÷ latent."""
        return self.number("pair", regime, units.RATIO_PREFIX + quantity)

    @property
    def windows(self) -> Windows:
        """How the point's tokens fall into spans."""
        shape = cast(Mapping[str, Any], self.record.point["shape"])
        return Windows(self.size("tokens"), self.size("span"), int(shape["prefix"]), int(shape["carry"]))

    @property
    def changed(self) -> list[str]:
        """The sizes that were changed from what preset and allocation say."""
        point = self.record.point
        return changes(str(point["preset"]), str(point["allocation"]), cast("Mapping[str, Any]", point["shape"]), self.size("span"))

    def size(self, name: str) -> int:
        """Return a whole number of the point: tokens, span, batch, seed."""
        return int(cast(int, self.record.point[name]))

    def tokens(self, regime: str) -> int:
        """Return the tokens that a regime reads or says, of all prompts together: what a per-token figure divides by."""
        each = {"decode": "span", "request": "generate"}.get(regime, "tokens")
        return self.size("batch") * (1 if regime == "decode_worst" else self.size(each))

    def stack(self, part: str, name: str) -> int:
        """Return a size of one part's stack: `stack("mixer", "layers")`."""
        shape = cast(Mapping[str, Any], self.record.point["shape"])
        return int(shape[part][name])


def _regime_order(regime: str) -> int:
    """Score and prefill first, whatever comes later after them."""
    known = (*REGIMES, "decode", "decode_worst", "request")
    return known.index(regime)


class Footnotes:
    """Why a figure is missing, numbered in the order in which a reader meets the gaps."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def mark(self, reason: str) -> str:
        """Return what a table prints in place of a figure: a dash and the note's number."""
        if reason not in self._reasons:
            self._reasons.append(reason)
        return MISSING + str(self._reasons.index(reason) + 1).translate(_SUPERSCRIPT)

    def cell(self, measure: Measure | None) -> str | Cell:
        """Return a measure's value, a marked dash where it is null, and nothing where the record has no such row."""
        if measure is None:
            return ""
        if measure.value is None:
            return self.mark(measure.reason or "")
        return Cell(units.short(measure.quantity, measure.value), units.full(measure.quantity, measure.value))

    def lines(self) -> list[str]:
        """Return the notes themselves."""
        return [f"{str(number).translate(_SUPERSCRIPT)} {reason}" for number, reason in enumerate(self._reasons, start=1)]


def named(value: object) -> str:
    """Return a name that a record may lack, such as the prompt's, as text."""
    return str(value) if value not in (None, "") else "unknown"


def tidy_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return one row a measure, with what identifies its point in front: the CSV of every view of records."""
    return [{**head, **measure.model_dump()} for record in records for head in (_head(record),) for measure in record.measures]


def _head(record: Record) -> dict[str, Any]:
    point = {name: record.point.get(name) for name in _POINT_COLUMNS}
    return {"id": record.id, **point, "changed": " ".join(Reading(record).changed), "convention": record.convention}
