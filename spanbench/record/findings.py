"""What checking records finds: figures that hold, figures that do not, and figures that nothing could be held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from spanbench.errors import SpanbenchError
from spanbench.record.models import Measure

__all__ = ["CHECKS", "FORM", "Audit", "FileAudit", "Finding", "Place", "WrongFigure", "place_of"]

CHECKS: Mapping[str, str] = {
    "schema": "a record of a schema that is read here",
    "id": "hash of point, convention and schema",
    "environment": "what every record says of its run",
    "prompt": "hash of the ids",
    "names": "quantity, unit, arm, regime, steps; once",
    "sources": "those that a quantity can have",
    "values": "counts are integers, nothing below zero",
    "reasons": "nulls have one, counts have no interval",
    "intervals": "low ≤ value ≤ high",
    "ratios": "token ÷ latent of the figures beside them",
    "sums": "stages add up to their total",
    "counts": "closed form, derived from the point",
    "ledger": "ledger, run again on the meta device",
}
"""Every check by name, and what is held or held against. The order is that of the table."""

FORM = ("schema", "environment")
"""Checks of what a record is, rather than of its figures."""


class WrongFigure(SpanbenchError):
    """A record holds a figure that is not what it should be."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a record: of a figure all four, of anything else `quantity` alone names it."""

    quantity: str
    arm: str = ""
    regime: str = ""
    stage: str = ""


def place_of(measure: Measure, part: str = "") -> Place:
    """Return a figure's place; `part` names a field of it, such as its unit."""
    return Place(f"{measure.quantity}{f' ({part})' if part else ''}", measure.arm, measure.regime, measure.stage)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what the record says, and what it should say."""

    check: str
    line: int
    place: Place
    recorded: Any
    derived: Any


@dataclass(slots=True)
class Audit:
    """The checks of one line of a file."""

    line: int
    checked: Counter[str] = field(default_factory=Counter)
    """By check, how many figures were held against something."""
    findings: list[Finding] = field(default_factory=list)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By check and reason, how many figures nothing could be held against."""

    def hold(self, check: str, place: Place, ok: bool, recorded: Any, derived: Any) -> None:
        """Note one check; `derived` is what would be right."""
        self.checked[check] += 1
        if not ok:
            self.findings.append(Finding(check, self.line, place, recorded, derived))

    def same(self, check: str, place: Place, recorded: Any, derived: Any) -> None:
        """Note whether two values are equal, tolerance 0; 1, 1.0 and true are three values."""
        self.hold(check, place, recorded == derived and type(recorded) is type(derived), recorded, derived)

    def leave(self, check: str, reason: str, count: int = 1) -> None:
        """Note figures that were not checked, and why."""
        self.left[check, reason] += count


@dataclass(frozen=True, slots=True)
class FileAudit:
    """The checks of one file: an audit a line, but for those that break off, of which the numbers are kept."""

    name: str
    audits: Sequence[Audit]
    cut: Sequence[int] = ()

    @property
    def records(self) -> int:
        """Return how many lines are records that could be read."""
        return sum(audit.checked["id"] for audit in self.audits)

    @property
    def findings(self) -> list[Finding]:
        """Return all that is wrong, in the order of the lines."""
        return [finding for audit in self.audits for finding in audit.findings]

    @property
    def checked(self) -> Counter[str]:
        """Return by check how many figures were held against something."""
        return sum((audit.checked for audit in self.audits), Counter[str]())

    @property
    def left(self) -> Counter[tuple[str, str]]:
        """Return by check and reason how many figures were not checked."""
        return sum((audit.left for audit in self.audits), Counter[tuple[str, str]]())
