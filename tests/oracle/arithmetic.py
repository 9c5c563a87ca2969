"""Scalars and lists: the products that are counted, the element-wise functions that are not, and the counter of both.

A `Vector` is one row, a `Matrix` a list of rows; a weight is out x in. Nothing here, or in the modules built on it,
imports torch or numpy, so a slip in the models cannot repeat itself here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import cos, erf, exp, sin, sqrt
from typing import TypeAlias, cast

__all__ = [
    "KeyValue",
    "Matrix",
    "Nested",
    "Stage",
    "Vector",
    "Weights",
    "Work",
    "add",
    "dot",
    "gelu",
    "linear",
    "rms_norm",
    "rope",
    "silu",
    "softmax",
]

Vector: TypeAlias = list[float]
Matrix: TypeAlias = list[Vector]
Nested: TypeAlias = Vector | Matrix
KeyValue: TypeAlias = tuple[Matrix, Matrix]
"""Key heads and value heads of one row, each G x E."""

NORM_EPSILON = 1e-6
ROPE_BASE = 10000.0


@dataclass(slots=True)
class Stage:
    """What one stage executed: scalar multiplies of matrix-class work, attention cells evaluated, rows entering an MLP."""

    multiplies: int = 0
    cells: int = 0
    mlp_rows: int = 0

    @property
    def flops(self) -> int:
        """Executed floating-point operations, 2 a multiply. Only allowed cells are evaluated: the `useful` convention."""
        return 2 * self.multiplies


@dataclass(slots=True)
class Work:
    """What one call of an arm executed, by stage. The prompts of one batch share one `Work`.

    `start_memory` holds the keys and values of the start memory, a list over the layers, once they are computed: they depend on
    weights alone, so a batch needs them once. A new `Work` (another call) computes them again.
    """

    stages: dict[str, Stage] = field(default_factory=dict)
    start_memory: list[list[KeyValue]] | None = None

    def __getitem__(self, stage: str) -> Stage:
        return self.stages.setdefault(stage, Stage())


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights by name, seen from one part of the model; a missing name or an unexpected shape is an error."""

    named: Mapping[str, Nested]
    prefix: str = ""

    def part(self, name: str) -> Weights:
        """Return the weights whose names begin with `name`, a dot after it."""
        return Weights(self.named, f"{self.prefix}{name}.")

    def vector(self, name: str, width: int) -> Vector:
        """Return a weight of `width` numbers."""
        value = cast(Vector, self.named[self.prefix + name])
        if len(value) != width or any(isinstance(number, list) for number in value):
            raise ValueError(f"{self.prefix}{name}: expected {width} numbers")
        return value

    def matrix(self, name: str, rows: int, columns: int) -> Matrix:
        """Return a weight of `rows` x `columns` numbers: for a linear map its outputs x its inputs."""
        value = cast(Matrix, self.named[self.prefix + name])
        if len(value) != rows or any(len(row) != columns for row in value):
            raise ValueError(f"{self.prefix}{name}: expected {rows} x {columns} numbers")
        return value


def dot(x: Sequence[float], y: Sequence[float], stage: Stage) -> float:
    """Return the sum of products, counting each multiply as it is executed."""
    total, executed = 0.0, 0
    for a, b in zip(x, y, strict=True):
        total += a * b
        executed += 1
    stage.multiplies += executed
    return total


def linear(weight: Matrix, x: Vector, stage: Stage) -> Vector:
    """y = W x, one counted dot product a row of W."""
    return [dot(row, x, stage) for row in weight]


def add(x: Vector, y: Vector) -> Vector:
    """Return x + y, element by element."""
    return [a + b for a, b in zip(x, y, strict=True)]


def rms_norm(weight: Vector, x: Vector) -> Vector:
    """x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019, arXiv:1910.07467)."""
    scale = 1.0 / sqrt(sum(a * a for a in x) / len(x) + NORM_EPSILON)
    return [a * scale * w for a, w in zip(x, weight, strict=True)]


def softmax(scores: Vector) -> Vector:
    """Return exp(score) divided by their sum, shifted by the largest so that nothing overflows."""
    largest = max(scores)
    powers = [exp(score - largest) for score in scores]
    return [power / sum(powers) for power in powers]


def gelu(x: float) -> float:
    """x * Phi(x), the exact form (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    return x * 0.5 * (1.0 + erf(x / sqrt(2.0)))


def silu(x: float) -> float:
    """x * sigmoid(x)."""
    return x / (1.0 + exp(-x))


def rope(head: Vector, position: int) -> Vector:
    """Turn the pairs (2i, 2i + 1) of one head by position * 10000^(-2i/E) (Su et al. 2021, arXiv:2104.09864)."""
    turned: Vector = []
    for first in range(0, len(head), 2):
        angle = position * ROPE_BASE ** (-first / len(head))
        a, b = head[first : first + 2]
        turned += [a * cos(angle) - b * sin(angle), b * cos(angle) + a * sin(angle)]
    return turned
