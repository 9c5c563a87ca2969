"""A light world of noise for thousands of simulated measurements: slots of known mean, disturbed to order, through `measure_pair`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.protocol import IDLE, Probe, Reading, Session, Source, Window
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement, Plan

__all__ = ["TRUTH", "Noisy", "contaminated", "lognormal", "simulated"]

TRUTH = 2.0
"""The true ratio of seconds and of joules: arms of 2 s and 1 s, at one power."""

Noise = Callable[[random.Random], float]


def lognormal(sigma: float) -> Noise:
    return lambda draw: draw.lognormvariate(0.0, sigma)


def contaminated(sigma: float, share: float, most: float) -> Noise:
    """Return the noise of a loaded machine: now and then a slot takes up to `most` times as long."""
    return lambda draw: draw.lognormvariate(0.0, sigma) * (draw.uniform(1.0, most) if draw.random() < share else 1.0)


class Noisy:
    """A clock, and a meter whose joules carry noise of their own. It is its own session."""

    name = "noisy"
    source: Source = "measured"
    note = ""
    min_window_s = 0.0
    by = "the test"

    def __init__(self, seed: int, noise: Noise, metered: Noise = lambda _: 1.0) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - a simulation, repeatable by intent
        self.noise, self.metered, self.seconds, self.opened, self.watts = noise, metered, 0.0, 0.0, 10.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def arm(self, cost: float) -> Callable[[], None]:
        def forward() -> None:
            self.seconds += cost * self.noise(self.draw)

        return forward

    def probe(self) -> Probe:
        return Probe(available=True)

    @contextmanager
    def session(self) -> Iterator[Session]:
        yield self

    def begin(self, window: Window) -> None:
        self.opened, self.watts = self.seconds, 2.0 if window == IDLE else 10.0

    def end(self) -> Reading:
        return Reading(self.watts * (self.seconds - self.opened) * self.metered(self.draw))


def simulated(
    seed: int, noise: Noise, plan: Plan, *, costs: tuple[float, float] = (TRUTH, 1.0), metered: Noise | None = None, **more: Any
) -> PairMeasurement:
    """Return one simulated measurement of two arms, with joules where `metered` gives their noise."""
    world = Noisy(seed, noise, metered or (lambda _: 1.0))
    meter = NullMeter() if metered is None else world
    arms = {"token": world.arm(costs[0]), "latent": world.arm(costs[1])}
    return measure_pair(arms, plan, meter, clock=world, sleep=world.sleep, **more)
