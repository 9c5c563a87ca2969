"""Integer expressions that remember how they were written: in letters, in numbers, and as a value.

All three come from the same operations, so a printed formula cannot say anything else than the value it stands for.
The numbers are Python's own syntax once `·` is read as `*`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeAlias

__all__ = ["Expression", "Operand", "call", "letter", "number", "summed"]

_SUM, _PRODUCT, _ATOM = 0, 1, 2  # how tightly the outermost operation binds


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    rank: int

    def inside(self, rank: int) -> str:
        """Return the text, in parentheses where it binds more loosely than `rank`."""
        return self.text if self.rank >= rank else f"({self.text})"

    def __add__(self, other: _Text) -> _Text:
        return _Text(f"{self.text} + {other.text}", _SUM)

    def __sub__(self, other: _Text) -> _Text:
        return _Text(f"{self.text} - {other.inside(_PRODUCT)}", _SUM)

    def __mul__(self, other: _Text) -> _Text:
        return _Text(f"{self.inside(_PRODUCT)}·{other.inside(_PRODUCT)}", _PRODUCT)

    def over(self, divisor: str) -> _Text:
        return _Text(f"{self.inside(_PRODUCT)}{divisor}", _PRODUCT)


@dataclass(frozen=True, slots=True)
class Expression:
    """One integer, written twice: `symbols` in letters, `numbers` with this run's numbers put in."""

    symbols: _Text
    numbers: _Text
    value: int

    @property
    def formula(self) -> str:
        """The expression in letters, `K·Le·proj(S, De)`."""
        return self.symbols.text

    @property
    def written(self) -> str:
        """The expression in numbers, `64·2·(2·32·128·(…) + …)`."""
        return self.numbers.text

    def __add__(self, other: Operand) -> Expression:
        other = _lift(other)
        return Expression(self.symbols + other.symbols, self.numbers + other.numbers, self.value + other.value)

    def __sub__(self, other: Operand) -> Expression:
        other = _lift(other)
        return Expression(self.symbols - other.symbols, self.numbers - other.numbers, self.value - other.value)

    def __mul__(self, other: Operand) -> Expression:
        other = _lift(other)
        return Expression(self.symbols * other.symbols, self.numbers * other.numbers, self.value * other.value)

    def __rmul__(self, other: int) -> Expression:
        return number(other) * self

    def half(self) -> Expression:
        """Return half of an even expression; whole-number division keeps the numbers exact at any size.

        Raises:
            ValueError: the value is odd, so half of it is no count.
        """
        if self.value % 2:
            raise ValueError(f"{self.written} = {self.value} is odd")
        return Expression(self.symbols.over("/2"), self.numbers.over("//2"), self.value // 2)


Operand: TypeAlias = Expression | int


def letter(name: str, value: int) -> Expression:
    """Return a named number."""
    return Expression(_Text(name, _ATOM), _Text(str(value), _ATOM), value)


def number(value: int) -> Expression:
    """Return a number that stands for itself."""
    return letter(str(value), value)


def call(name: str, arguments: Iterable[Expression], body: Expression) -> Expression:
    """Return `name(arguments)` in letters, its `body` in numbers."""
    written = ", ".join(argument.formula for argument in arguments)
    return Expression(_Text(f"{name}({written})", _ATOM), body.numbers, body.value)


def summed(parts: Iterable[Expression]) -> Expression:
    """Return the sum of one or more expressions."""
    return reduce(add, parts)


def _lift(operand: Operand) -> Expression:
    return number(operand) if isinstance(operand, int) else operand
