"""A pair measured through counters that tick: the real edge-aligned session in driven time, against the joules truly drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.measure.energy.counter import EdgeAligned
from spanbench.measure.energy.protocol import Probe, Session, Source
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement, Plan
from tests.measure.energy.sensor import Ticking, World

IDLE_WATTS, TOKEN, LATENT = 50.0, (1.3, 300.0), (0.55, 180.0)
GROSS = TOKEN[0] * TOKEN[1] / (LATENT[0] * LATENT[1])
ABOVE = TOKEN[0] * (TOKEN[1] - IDLE_WATTS) / (LATENT[0] * (LATENT[1] - IDLE_WATTS))


class CounterMeter:
    """One counter of 100 ms ticks."""

    name = "ticking"
    source: Source = "measured"
    note = ""
    min_window_s = 1.0

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed = world, seed

    def probe(self) -> Probe:
        return Probe(available=True, period_s=0.1, scope="gpu-board")

    @contextmanager
    def session(self) -> Iterator[Session]:
        draw = random.Random(self.seed)  # noqa: S311 - a simulation, repeatable by intent
        yield EdgeAligned(self.world.counters, "a driven counter", clock=self.world, sleep=self.world.sleep, random=draw)


def measured(seed: int, gain: float = 1.0, offset: float = 0.0, noise: float = 0.01) -> PairMeasurement:
    world = World([Ticking(gain=gain, offset=offset, jitter=0.05)], rest=lambda: IDLE_WATTS)
    draw = random.Random(seed)  # noqa: S311 - a simulation, repeatable by intent

    def token() -> None:
        world.spend(TOKEN[0] * draw.lognormvariate(0, noise), TOKEN[1])

    def latent() -> None:
        world.spend(LATENT[0] * draw.lognormvariate(0, noise), LATENT[1])

    plan = Plan(max_seconds=70.0, warmups=0)
    return measure_pair({"token": token, "latent": latent}, plan, CounterMeter(world, seed), clock=world, sleep=world.sleep)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.87, 1.18), st.floats(-24.0, 16.0))
def test_gain_and_offset_move_the_ratio_above_rest_by_at_most_a_ten_thousandth(seed: int, gain: float, offset: float) -> None:
    true, seen = measured(seed), measured(seed, gain, offset)
    assert true.dynamic_ratio.value is not None
    assert seen.dynamic_ratio.value == pytest.approx(true.dynamic_ratio.value, rel=1e-4)


def test_steady_arms_are_metered_within_half_a_percent_of_what_they_drew() -> None:
    found = measured(1, noise=0.0)
    assert found.idle_watts.value == pytest.approx(IDLE_WATTS, rel=0.005)
    assert found.arms["token"].joules.value == pytest.approx(TOKEN[0] * TOKEN[1], rel=0.005)
    assert found.arms["latent"].joules.value == pytest.approx(LATENT[0] * LATENT[1], rel=0.005)
    assert found.joules_ratio.value == pytest.approx(GROSS, rel=0.005)
    assert found.dynamic_ratio.value == pytest.approx(ABOVE, rel=0.005)


def test_waiting_for_ticks_is_planned_for() -> None:
    found = measured(2)
    assert len(found.order) >= 4
    assert "over-time" not in {caution.code for caution in found.cautions}
    assert found.energy_bound is not None
