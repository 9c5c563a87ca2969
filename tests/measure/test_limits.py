"""The machine's peaks: exact arithmetic on a driven clock, and plausible figures from the real one."""

from __future__ import annotations

import pytest

from spanbench.measure.limits import Gemm, copy_bandwidth, matrix_peak

SMALL, SKINNY = Gemm(8, 16, 32), Gemm(2, 64, 64)


class Metronome:
    """A clock that moves on by the next of its steps at each reading."""

    def __init__(self, *steps: float) -> None:
        self.steps, self.seconds, self.readings = steps, 0.0, 0

    def now(self) -> float:
        self.seconds += self.steps[self.readings % len(self.steps)]
        self.readings += 1
        return self.seconds


def test_a_products_flops_are_two_a_multiply() -> None:
    assert SMALL.flops == 2 * 8 * 16 * 32


def test_rates_are_flops_over_the_best_seconds() -> None:
    peak = matrix_peak("float32", shapes=(SMALL, SKINNY), repeats=3, clock=Metronome(9.0, 4.0, 9.0, 2.0, 9.0, 8.0))
    assert peak.rates == ((SMALL, SMALL.flops / 2.0), (SKINNY, SKINNY.flops / 2.0))
    assert (peak.flops_per_second, peak.shape) == (SKINNY.flops / 2.0, SKINNY)


def test_bandwidth_counts_each_byte_read_and_written() -> None:
    assert copy_bandwidth(size_bytes=1000, repeats=2, clock=Metronome(9.0, 4.0, 9.0, 2.0)) == 1000.0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_this_machine_multiplies(dtype: str) -> None:
    peak = matrix_peak(dtype, shapes=(Gemm(64, 64, 64),), repeats=2)
    assert peak.flops_per_second > 1e6
