"""Records for reports: counts by the closed form, and figures set by hand that stand for measured ones. No results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spanbench.point import Regime
from spanbench.record import Measure, Record, Source, pair_ratio
from tests.show.building import figure, point, record

__all__ = ["BIG", "LAPTOP", "LIMITS", "SERVER", "counted", "machine", "measured", "series"]

LIMITS = {"flops_per_second": 1e11, "bandwidth": {"bytes_per_second": 1e10, "cached_bytes_per_second": None, "cache_bytes": None}}
BIG = 2**63 - 1


def machine(model: str, threads: int = 2) -> dict[str, Any]:
    return {"device": {"name": "cpu"}, "cpu": {"model": model, "usable_cores": 2}, "torch": {"threads": threads}, "limits": LIMITS}


LAPTOP, SERVER = machine("Laptop CPU"), machine("Server CPU")


def counted(tokens: int = 256, span: int = 8, environment: Mapping[str, Any] = LAPTOP, **others: Any) -> Record:
    made = record(point("tiny", tokens=tokens, span=span), regimes=others.pop("regimes", ("prefill",)), **others)
    return made.model_copy(update={"environment": dict(environment)})


def measured(
    tokens: int = 256,
    seconds: tuple[float, float] = (0.2, 0.1),
    environment: Mapping[str, Any] = LAPTOP,
    joules: Source = "measured",
    **others: Any,
) -> Record:
    """Return a counted record with seconds of both arms, ±10% around them, and joules of ten times the seconds."""
    made = counted(tokens, environment=environment, **others)
    rows: list[Measure] = []
    for quantity, factor, source in (("seconds", 1.0, "measured"), ("joules", 10.0, joules)):
        pair = [_figure(arm, "prefill", quantity, value * factor, source) for arm, value in zip(("token", "latent"), seconds, strict=True)]
        ratio = pair_ratio(*pair)
        rows += [*pair, ratio.model_copy(update={"low": 0.9 * (ratio.value or 0), "high": 1.1 * (ratio.value or 0)})]
    return made.model_copy(update={"measures": [*made.measures, *rows]})


def _figure(arm: str, regime: Regime, quantity: str, value: float, source: Any) -> Measure:
    return figure(arm, regime, quantity, value, source, low=0.9 * value, high=1.1 * value)


def series(lengths: Sequence[int] = (64, 128, 256, 512), **others: Any) -> list[Record]:
    """Return records at these N whose token arm takes N² µs and whose latent arm takes N µs."""
    return [measured(n, (n * n * 1e-6, n * 1e-6), **others) for n in lengths]
