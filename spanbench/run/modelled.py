"""What the counts come to in joules by published constants: the floor of the arithmetic, memory's share of it, a board's reference.

No run is needed, and none is described: both are references beside a meter's figure, never in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.energy.protocol import Cost
from spanbench.measure.energy.reference import Modelled, arithmetic_floor, board_reference, memory_of
from spanbench.point import Point, Regime
from spanbench.record import Measure
from spanbench.run.counted import Counts
from spanbench.run.rows import measured, with_ratios

__all__ = ["costs_of", "modelled_measures"]

BY = "published constants, docs/energy.md"
"""Each with its citation and its interval, which a row has no room for."""


def costs_of(counts: Counts, regime: Regime) -> Mapping[str, Cost]:
    """Return what each arm's work costs in one regime: FLOPs as executed (dense attention) and compulsory bytes."""
    totals = {arm: stages["total"] for arm, stages in counts.tallies[regime].items()}
    return {arm: Cost(total.flops(), total.bytes_compulsory) for arm, total in totals.items()}


def modelled_measures(counts: Counts, point: Point, regime: Regime, device: str) -> list[Measure]:
    """Return the references of both arms and their ratios; `device` is 'cpu' or a GPU's name as its driver gives it."""
    costs = costs_of(counts, regime)
    floors = {arm: arithmetic_floor(cost.flops, cost.bytes, point.dtype, memory_of(device)) for arm, cost in costs.items()}
    boards = {arm: board_reference(cost.flops, point.dtype, device) for arm, cost in costs.items()}
    rows = [row for arm in costs for row in _floor(arm, regime, floors[arm], point.steps(regime))]
    rows += [_row(arm, regime, "joules_board", _estimate(found), point.steps(regime)) for arm, found in boards.items()]
    shares = [row for row in rows if row.quantity == "memory_share"]
    return [*shares, *with_ratios([row for row in rows if row.quantity != "memory_share"])]


def _floor(arm: str, regime: Regime, floor: Modelled, steps: int) -> Iterator[Measure]:
    share = Estimate(floor.memory_share, floor.memory_share_low, floor.memory_share_high)
    parts = {
        "joules_floor": _estimate(floor),
        "joules_arithmetic": Estimate(floor.joules_arithmetic, None, None),
        "joules_memory": Estimate(floor.joules_memory, None, None),
        "memory_share": share,
    }
    for name, estimate in parts.items():
        known = estimate if estimate.value is not None else unknown(floor.reason or "it was not modelled")
        yield _row(arm, regime, name, known, steps)


def _row(arm: str, regime: Regime, name: str, estimate: Estimate, steps: int) -> Measure:
    return measured(arm, regime, name, estimate, "modelled", BY, steps)


def _estimate(found: Modelled) -> Estimate:
    return Estimate(found.value, found.low, found.high) if found.value is not None else unknown(found.reason or "it was not modelled")
