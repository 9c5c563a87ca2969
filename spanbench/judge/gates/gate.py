"""One gate: which ratio it asks for, and between which limits that must lie. What can never gate is refused here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from spanbench.errors import UsageError, suggest
from spanbench.request import Request
from spanbench.units import QUANTITIES

__all__ = ["GATED", "STAGES", "Gate", "check_limits", "check_quantity", "check_stage", "parse_limit"]

_DERIVED = "bytes_per_token"
GATED = tuple(name for name, quantity in QUANTITIES.items() if quantity.exact and name != _DERIVED)
"""Quantities that gates may ask for: exact ones, of both arms, always whole numbers."""
STAGES = ("total", "embedding", "head")
"""Stages that both arms have."""
_ONE_ARM = {"layers": "token", "encoder": "latent", "mixer": "latent", "bridge": "latent", "decoder": "latent"}

_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_LARGEST, _DIGITS = Decimal(10) ** 30, 30


@dataclass(frozen=True, slots=True)
class Gate:
    """`least` ≤ token ÷ latent of `quantity` ≤ `most`, both ends allowed, in one regime and stage of one point.

    Limits are decimals: 22.46 is 2246/100 and nothing near it. `number` counts from 1; `path` and `line` are those of the
    file that holds the gate, None for one of the command line.
    """

    request: Request
    quantity: str
    regime: str
    stage: str = "total"
    least: Decimal | None = None
    most: Decimal | None = None
    name: str = ""
    number: int = 1
    path: str | None = None
    line: int | None = None

    @property
    def title(self) -> str:
        """What a table calls the gate: its name, else what it asks for."""
        return self.name or self.asked

    @property
    def asked(self) -> str:
        """Quantity, regime and stage in words."""
        return f"{self.quantity} in {self.regime}{'' if self.stage == 'total' else f', {self.stage}'}"

    @property
    def limits(self) -> str:
        """The limits as a table prints them: ≥ 20, ≤ 30, 20–30."""
        if self.least is not None and self.most is not None:
            return f"{self.least:f}–{self.most:f}"
        return f"≥ {self.least:f}" if self.least is not None else f"≤ {self.most:f}"


def check_quantity(name: str, where: str) -> str:
    """Return the name of a quantity that may gate.

    Raises:
        UsageError: an unknown name, or a quantity that is not an exact count of both arms; `where` it was given.
    """
    if name in GATED:
        return name
    known = QUANTITIES.get(name)
    if known is None:
        raise UsageError(f"{where}: unknown value {name!r}{suggest(name, GATED)}")
    if name == _DERIVED:
        raise UsageError(f"{where} {name}: need not be whole; gate bytes_compulsory in decode, whose ratio is the same")
    raise UsageError(f"{where} {name}: {_why_not(known.unit)} — exact quantities that gate: {', '.join(GATED)}")


def _why_not(unit: str) -> str:
    if unit in {"s", "token/s"}:
        return "is measured, and never gates here; use check --against for seconds"
    if unit in {"J", "W", "g"}:
        return "is energy, measured or estimated, and never gates"
    return "is measured or modelled, and never gates"


def check_stage(name: str, where: str) -> str:
    """Return the name of a stage that both arms have.

    Raises:
        UsageError: an unknown stage, or one that one arm lacks, so that there is no ratio.
    """
    if name in STAGES:
        return name
    if name in _ONE_ARM:
        raise UsageError(f"{where} {name}: only the {_ONE_ARM[name]} arm has it, so there is no ratio; take one of {', '.join(STAGES)}")
    raise UsageError(f"{where}: unknown value {name!r}{suggest(name, STAGES)}")


def parse_limit(given: str | int | Decimal, where: str) -> Decimal:
    """Return a limit as the decimal that was written.

    Raises:
        UsageError: no positive number, or one of more digits than any ratio has; `where` it was given.
    """
    if isinstance(given, str) and not _NUMBER.fullmatch(given):
        raise UsageError(f"{where} {given!r}: must be a positive decimal number, such as 20 or 22.46")
    limit = Decimal(given)
    if not (limit.is_finite() and 0 < limit <= _LARGEST) or not _short(limit):
        raise UsageError(f"{where} {given}: must be above 0 and at most 1e30, with at most {_DIGITS} decimal places")
    return limit


def _short(limit: Decimal) -> bool:
    exponent = limit.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_DIGITS


def check_limits(least: Decimal | None, most: Decimal | None, where: str) -> None:
    """Refuse limits between which nothing lies.

    Raises:
        UsageError: the smaller one is the larger; `where` they were given.
    """
    if least is not None and most is not None and least > most:
        raise UsageError(f"{where}: min {least:f} is above max {most:f}, so no ratio could pass; exchange them or leave one out")
