"""`--stages`: where each arm's time goes, stage by stage, and how far the stages' sum is from the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spanbench.record import Measure
from spanbench.show.blocks import Row, Table
from spanbench.show.reading import Footnotes, Reading
from spanbench.units import short

__all__ = ["stages_table"]

STAGES = ("embedding", "encoder", "mixer", "bridge", "decoder", "layers", "head")
_OF_ALL = "of stages"


def stages_table(reading: Reading, footnotes: Footnotes, number: int) -> Table | None:
    """Return the table, under this number; None where no stage was timed."""
    regimes = [regime for regime in reading.regimes if _timed(reading, regime)]
    if not regimes:
        return None
    rows = [row for arm in ("token", "latent") for row in _arm(reading, arm, regimes, footnotes)]
    columns = ("", *(name for regime in regimes for name in (f"{regime}\ntime", _OF_ALL, "of FLOP")))
    return Table(columns, tuple(rows), f"{number} · Where the time goes: each stage by itself, on what a forward left for it")


def _timed(reading: Reading, regime: str) -> bool:
    return any(reading.measure(arm, regime, "seconds", stage) for arm in ("token", "latent") for stage in STAGES)


def _arm(reading: Reading, arm: str, regimes: Sequence[str], footnotes: Footnotes) -> Iterator[Row]:
    yield Row((f"{arm} arm",), group=True)
    for stage in STAGES:
        found = [reading.measure(arm, regime, "seconds", stage) for regime in regimes]
        if any(found):
            shares = [
                share for regime, m in zip(regimes, found, strict=True) for share in _shares(reading, arm, regime, stage, m, footnotes)
            ]
            yield Row((f"  {stage}", *shares))
    sums = [reading.measure(arm, regime, "stages_over_whole") for regime in regimes]
    yield Row(("  sum ÷ whole", *(text for m in sums for text in (footnotes.cell(m), "", ""))))


def _shares(reading: Reading, arm: str, regime: str, stage: str, measure: Measure | None, footnotes: Footnotes) -> tuple[str, str, str]:
    """Return a stage's time, its share of all stages' time, and its share of the arm's FLOPs."""
    if measure is None or measure.value is None:
        return footnotes.mark(measure.reason or "") if measure else "", "", ""
    every = sum(float(value) for name in STAGES if (value := reading.number(arm, regime, "seconds", name)) is not None)
    flops, total = (reading.number(arm, regime, "flops", name) for name in (stage, "total"))
    return short("seconds", measure.value), f"{measure.value / every:.0%}", f"{flops / total:.0%}" if flops and total else ""
