"""Rows held against rows, tolerance 0: every number of either side, in the order in which the work is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from spanbench.errors import NothingMeasured
from spanbench.judge.baseline.file import Baseline, accept_command
from spanbench.judge.baseline.result import By, Checked, Figure, PairRatio, RowChange
from spanbench.judge.baseline.row import ARMS, QUANTITIES, STAGES, TOTAL, Row
from spanbench.point import ALL_REGIMES

__all__ = ["SIZES", "compare"]

SIZES = "sizes"
"""What stands in a figure's regime where it is a size of the model and no count; its stage is then the part."""
RATIOS = ("flops", "cells_dense", "bytes_compulsory")
"""Quantities whose ratios token / latent are told."""

_Place = tuple[str, str, str]


def compare(old: Baseline, new: Sequence[Row], *, by: By, accept: str | None = None, notes: Sequence[str] = ()) -> Checked:
    """Hold a baseline against the rows of now.

    Raises:
        NothingMeasured: neither side has a row.
    """
    if not (old.rows or new):
        raise NothingMeasured(f"{old.path}: no row was compared")
    now = {row.key: row for row in new}
    before = {row.key: row for row in old.rows}
    both = [(row, now[row.key]) for row in old.rows if row.key in now]
    changes = [change for row in old.rows for change in _change(row, now.get(row.key))]
    changes += [RowChange("extra", row.name, row.arm, old.lines) for key, row in now.items() if key not in before]
    return Checked(
        path=old.path,
        by=by,
        convention=old.header.convention,
        rows=len(both),
        figures=sum(len(_numbers(one) | _numbers(other)) for one, other in both),
        changes=changes,
        ratios=[*_ratios(old.rows, new)],
        accept=accept_command(old.path) if accept is None else accept,
        notes=notes,
    )


def _change(old: Row, new: Row | None) -> Iterator[RowChange]:
    if new is None:
        yield RowChange("missing", old.name, old.arm, old.line)
        return
    figures = _differing(old, new)
    if figures:
        yield RowChange("changed", old.name, old.arm, old.line, figures)


def _differing(old: Row, new: Row) -> list[Figure]:
    one, other = _figures(old), _figures(new)
    layers = {(figure.regime, figure.stage): figure for figure in _first_layers(old, new)}
    figures = []
    places = {place for place in {**one, **other} if one.get(place) != other.get(place)} | {(*place, "flops") for place in layers}
    for place in sorted(places, key=lambda place: _order(old.arm, place)):
        regime, stage, quantity = place
        layer = layers.pop((regime, stage), None) if quantity == "flops" else None
        if one.get(place) != other.get(place):
            figures.append(Figure(regime, stage, quantity, one.get(place), other.get(place), layer.layer if layer else None))
        elif layer is not None:
            figures.append(layer)
    return figures + list(layers.values())


def _order(arm: str, place: _Place) -> tuple[int, int, int, _Place]:
    """Return regimes, stages and quantities in their order, what is not known behind it, and sizes last."""
    regime, stage, quantity = place
    regimes, stages = (*ALL_REGIMES, None), STAGES[arm]
    known = (regime in regimes, stage in stages, quantity in QUANTITIES)
    first = len(regimes) + 1 if regime == SIZES else regimes.index(regime) if known[0] else len(regimes)
    return (first, stages.index(stage) if known[1] else len(stages), QUANTITIES.index(quantity) if known[2] else len(QUANTITIES), place)


def _figures(row: Row) -> dict[_Place, int]:
    counts = {(r, s, q): value for r, stages in row.counts.items() for s, figures in stages.items() for q, value in figures.items()}
    return counts | {(SIZES, part, name): value for part, sizes in row.sizes.items() for name, value in sizes.items()}


def _numbers(row: Row) -> set[tuple[str, str, str | int]]:
    """Return the place of every number of a row."""
    layers = {(regime, stage, n) for regime, stages in row.layers.items() for stage, values in stages.items() for n in range(len(values))}
    return {*_figures(row), *layers}


def _first_layers(old: Row, new: Row) -> Iterator[Figure]:
    """Yield for each regime and stage the first layer that differs."""
    for regime in {**old.layers, **new.layers}:
        one, other = old.layers.get(regime, {}), new.layers.get(regime, {})
        for stage in {**one, **other}:
            pairs = zip_longest(one.get(stage, ()), other.get(stage, ()))
            first = next(((n, a, b) for n, (a, b) in enumerate(pairs) if a != b), None)
            if first is not None:
                yield Figure(regime, stage, "flops", first[1], first[2], first[0])
            elif (stage in one) != (stage in other):  # a list of no layers came or went
                yield Figure(regime, stage, "flops", 0 if stage in one else None, 0 if stage in other else None, 0)


def _ratios(old: Sequence[Row], new: Sequence[Row]) -> Iterator[PairRatio]:
    before, now = _by_point(old), _by_point(new)
    for point in {**before, **now}:
        name = next(iter((now.get(point) or before[point]).values())).asked.name
        for regime in ALL_REGIMES:
            for quantity in RATIOS:
                pair = PairRatio(
                    name, regime, quantity, _totals(before.get(point), regime, quantity), _totals(now.get(point), regime, quantity)
                )
                if pair.old or pair.new:
                    yield pair


def _by_point(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row.asked.key, {})[row.arm] = row
    return found


def _totals(arms: Mapping[str, Row] | None, regime: str, quantity: str) -> tuple[int, int] | None:
    """Return the totals of both arms; None where one of them is not there."""
    rows = [arms[arm] for arm in ARMS if arm in arms] if arms else []
    totals = [row.counts.get(regime, {}).get(TOTAL, {}).get(quantity) for row in rows]
    known = [total for total in totals if total is not None]
    return (known[0], known[1]) if len(known) == len(ARMS) else None
