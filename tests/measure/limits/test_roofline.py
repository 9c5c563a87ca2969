"""The roofline: never above what a machine of these limits could do, whichever way the work is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.measure.energy.protocol import Cost
from spanbench.measure.limits.bandwidth import Bandwidth
from spanbench.measure.limits.limits import Gemm, Limits
from spanbench.measure.limits.roofline import roofline

CACHE = 1000
LIMITS = Limits("cpu", "float32", 1, 100.0, Gemm(1, 1, 1), Bandwidth("copy", 10.0, 4000, CACHE, 50.0))


def test_the_slower_side_binds() -> None:
    compute, memory = roofline(Cost(1000, 50), LIMITS), roofline(Cost(1000, 5000), LIMITS)
    assert (compute.seconds, compute.bound) == (10.0, "compute")
    assert (memory.seconds, memory.bound) == (1000 / 50 + 4000 / 10, "memory")


def test_each_step_may_find_its_bytes_in_the_cache_again() -> None:
    once, stepwise = roofline(Cost(0, 8000), LIMITS), roofline(Cost(0, 8000), LIMITS, steps=8)
    assert once.seconds == pytest.approx(1000 / 50 + 7000 / 10)
    assert stepwise.seconds == pytest.approx(8000 / 50)


steps = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5)), min_size=1, max_size=8)


@given(steps)
def test_it_never_exceeds_what_a_perfect_machine_takes_step_by_step(work: list[tuple[int, int]]) -> None:
    perfect = sum(max(flops / 100.0, LIMITS.memory_seconds(size)) for flops, size in work)
    whole = Cost(sum(flops for flops, _ in work), sum(size for _, size in work))
    assert roofline(whole, LIMITS, len(work)).seconds <= perfect * (1 + 1e-12)
