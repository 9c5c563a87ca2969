"""A check for github-action-benchmark: https://github.com/benchmark-action/github-action-benchmark, tools `custom…IsBetter`.

A chart is drawn by JavaScript, whose numbers are exact up to 2^53 only, so `extra` repeats each count with every digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from spanbench.judge.baseline.result import Checked, PairRatio
from spanbench.show.check.words import exact, label
from spanbench.units import QUANTITIES

__all__ = ["benchmark", "benchmark_bigger"]

QUANTITY = "flops"


def benchmark(checked: Checked) -> str:
    """Return what is counted now for `customSmallerIsBetter`: a JSON list of the total FLOP of each point, regime and arm."""
    return _list(entry for ratio in checked.ratios if ratio.quantity == QUANTITY for entry in _totals(ratio))


def benchmark_bigger(checked: Checked) -> str:
    """Return the ratios token ÷ latent of what is counted now for `customBiggerIsBetter`: a JSON list, one of each point and regime."""
    return _list(entry for ratio in checked.ratios if ratio.quantity == QUANTITY for entry in _quotient(ratio))


def _totals(ratio: PairRatio) -> Iterator[dict[str, Any]]:
    for arm, value in zip(("token", "latent"), ratio.new or (), strict=False):  # a point that is no longer counted has none
        yield {
            "name": f"{ratio.point}, {ratio.regime}: {arm} {label(QUANTITY)}",
            "unit": QUANTITIES[QUANTITY].unit,
            "value": value,
            "extra": f"{exact(value)} {QUANTITIES[QUANTITY].unit}",
        }


def _quotient(ratio: PairRatio) -> Iterator[dict[str, Any]]:
    value = PairRatio.quotient(ratio.new)
    if ratio.new is not None and value is not None:
        name = f"{ratio.point}, {ratio.regime}: {label(QUANTITY)}, token ÷ latent"
        yield {"name": name, "unit": "×", "value": value, "extra": f"{exact(ratio.new[0])} ÷ {exact(ratio.new[1])}"}


def _list(entries: Iterator[dict[str, Any]]) -> str:
    return json.dumps(list(entries), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
