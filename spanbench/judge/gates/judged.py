"""A gate held against what was counted: whole numbers over whole numbers, against decimals; nothing is rounded before it is compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import ClassVar

from spanbench.errors import SpanbenchError
from spanbench.judge.gates.gate import Gate
from spanbench.point import Point
from spanbench.record import Measure

__all__ = ["GateFailed", "Judged", "NoRatio", "judge", "places", "refuse", "rounded", "sentence"]

_LEAST_PLACES, _MOST_PLACES = 4, 80


class GateFailed(SpanbenchError):
    """A ratio does not lie where its gate demands."""

    exit_code: ClassVar[int] = 1


class NoRatio(SpanbenchError):
    """A gate asks for a ratio that does not exist."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate and both arms' whole-batch integers in base units; one that is None was not counted, and `reason` says why."""

    gate: Gate
    point: Point
    token: int | None
    latent: int | None
    by: str
    reason: str = ""

    @property
    def ratio(self) -> Fraction | None:
        """Token ÷ latent, exactly; None where it does not exist."""
        return None if self.token is None or not self.latent else Fraction(self.token, self.latent)

    @property
    def missed(self) -> Decimal | None:
        """The limit that the ratio is beyond; None where there is none such, or no ratio."""
        ratio, gate = self.ratio, self.gate
        if ratio is None:
            return None
        if gate.least is not None and ratio < Fraction(gate.least):
            return gate.least
        return gate.most if gate.most is not None and ratio > Fraction(gate.most) else None

    @property
    def holds(self) -> bool | None:
        """Whether the gate holds; None where there is no ratio."""
        return None if self.ratio is None else self.missed is None

    @property
    def margin(self) -> Fraction | None:
        """How far the ratio is from the nearer limit, as a share of that limit: negative where it is beyond."""
        if self.ratio is None:
            return None
        least, most = (None if limit is None else Fraction(limit) for limit in (self.gate.least, self.gate.most))
        room = [self.ratio / least - 1] if least is not None else []
        return min([*room, *([1 - self.ratio / most] if most is not None else [])], default=None)


def judge(gate: Gate, point: Point, measures: Iterable[Measure]) -> Judged:
    """Hold a gate against the measures of its point."""
    place = (gate.regime, gate.stage, gate.quantity)
    rows = {row.arm: row for row in measures if (row.regime, row.stage, row.quantity) == place}
    token, latent = rows.get("token"), rows.get("latent")
    if token is None or latent is None:
        return Judged(gate, point, None, None, "", f"{gate.asked} was not counted of both arms")
    reason = token.reason or latent.reason or ("" if latent.value else f"the latent arm's {gate.quantity} is 0")
    return Judged(gate, point, _whole(token), _whole(latent), token.by, reason)


def _whole(row: Measure) -> int | None:
    if row.value is not None and not isinstance(row.value, int):
        raise NoRatio(f"{row.arm} {row.regime} {row.stage} {row.quantity}: {row.value} is not whole, so it cannot be compared exactly")
    return row.value


def refuse(judged: Sequence[Judged]) -> None:
    """Raise what the exit code says: a gate that cannot be judged before one that fails.

    Raises:
        NoRatio, GateFailed: the first such gate.
    """
    for one in judged:
        if one.holds is None:
            raise NoRatio(f"{_which(one.gate, len(judged))} has no ratio: {one.reason}; take another quantity, regime or stage")
    failing = [one for one in judged if not one.holds]
    if failing:
        more = f" (and {len(failing) - 1} more {'fails' if len(failing) == 2 else 'fail'})" if failing[1:] else ""
        raise GateFailed(f"{_which(failing[0].gate, len(judged))} fails{more}: {sentence(failing[0])}")


def _which(gate: Gate, of: int) -> str:
    number = f"gate {gate.number} of {of}" if of > 1 else "the gate"
    place = f" in {gate.path}" + (f", line {gate.line}" if gate.line else "") if gate.path else ""
    return f"{number} {gate.title!r}{place}" if gate.name or of > 1 else f"{number}{place}"


def sentence(one: Judged) -> str:
    """Return what a gate that fails says: the figure, the limit, by how much it misses, and what to change."""
    gate, ratio, limit = one.gate, one.ratio, one.missed
    if ratio is None or limit is None:
        return f"token ÷ latent of {gate.asked} holds"
    low, digits = ratio < Fraction(limit), places(ratio, limit)
    gap = abs(ratio - Fraction(limit))
    side, key = ("least", "min") if low else ("most", "max")
    share = rounded(100 * gap / Fraction(limit), places(100 * gap / Fraction(limit), Decimal(0), least=2))
    return (
        f"token ÷ latent of {gate.asked} is {rounded(ratio, digits)}, must be at {side} {limit:f}: "
        f"{rounded(gap, digits)} ({share}%) too {'low' if low else 'high'}; "
        f"{_mend(low=low)}, or accept it with {_accepted(gate, key, ratio, low=low)}"
    )


def _mend(*, low: bool) -> str:
    return f"have the latent arm do {'less' if low else 'more'} or the token arm {'more' if low else 'less'}"


def _accepted(gate: Gate, key: str, ratio: Fraction, *, low: bool) -> str:
    """Return the limit, of few digits, that would let the ratio pass."""
    digits = 2
    while floor(ratio * 10**digits) == 0:
        digits += 1
    scaled = Fraction((floor if low else ceil)(ratio * 10**digits), 10**digits)
    return f"{key} = {rounded(scaled, digits)}" if gate.path else f"--{key} {rounded(scaled, digits)}"


def places(ratio: Fraction, limit: Decimal, least: int = _LEAST_PLACES) -> int:
    """Return how many decimal places show on which side of a limit a ratio lies, at least `least`; that many where it is the limit."""
    near = Fraction(limit)
    for digits in range(least, _MOST_PLACES):
        shown = Fraction(rounded(ratio, digits))
        if (shown > near, shown < near) == (ratio > near, ratio < near):
            return digits
    return _MOST_PLACES


def rounded(value: Fraction, digits: int) -> str:
    """Return a fraction that is not negative as a decimal of so many places, half to even, with all its whole digits.

    >>> rounded(Fraction(2246, 100), 4), rounded(Fraction(1, 3), 2)
    ('22.4600', '0.33')
    """
    whole, rest = divmod(round(value * 10**digits), 10**digits)
    return f"{whole}.{rest:0{digits}d}" if digits else str(whole)
