"""The whole model: every regime of a record side by side, rows under the source that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from spanbench import units
from spanbench.record import Measure
from spanbench.show.blocks import Cell, Row, Table
from spanbench.show.reading import Footnotes, Reading

__all__ = ["COMPARED", "Line", "whole_table"]

ARMS = ("token", "latent", "pair")
STAGES = ("layers", "encoder", "mixer", "bridge", "decoder", "head")


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a quantity of one stage, under a label; `per` divides what was recorded for the whole batch."""

    quantity: str
    stage: str = "total"
    label: str = ""
    per: Literal["", "prompt", "token"] = ""

    @property
    def text(self) -> str:
        """What the row is called: its stage inside a breakdown, else the quantity's own label."""
        return self.label or (units.quantity(self.quantity).label if self.stage == "total" else f"  {self.stage}")


COMPARED: Sequence[Line] = (
    Line("flops"),
    *(Line("flops", stage) for stage in STAGES),
    Line("cells_dense"),
    Line("cells_useful", label="  of them useful"),
    Line("params"),
    Line("bytes_compulsory"),
    Line("bytes_fused"),
    Line("state_bytes"),
    Line("flops_other"),
    Line("peak_bytes"),
    Line("seconds"),
    Line("null_seconds", label="  A/A null"),
    Line("roofline_seconds"),
    Line("roofline_fraction", label="  of it reached"),
    Line("joules"),
    Line("joules", label="  per prompt", per="prompt"),
    Line("joules", label="  per token", per="token"),
    Line("null_joules", label="  A/A null"),
    Line("joules_dynamic"),
    Line("watts"),
    Line("grams_co2e"),
    Line("joules_floor"),
    Line("memory_share", label="  of it memory"),
    Line("joules_board"),
)


def whole_table(reading: Reading, regimes: Sequence[str], lines: Sequence[Line], footnotes: Footnotes, title: str) -> Table:
    """Return a table of token, latent and ratio for each regime, grouped by the source of its figures."""
    rows: list[Row] = []
    group = ""
    for line in lines:
        found = [_measure(reading, arm, regime, line) for regime in regimes for arm in ARMS]
        if not any(found):
            continue
        source = _source(found)
        if source != group:
            rows.append(Row((source,), group=True))
            group = source
        rows.append(Row((line.text, *(footnotes.cell(m) for m in found))))
        rows.extend(_bounds(found, footnotes))
    return Table(("", *_columns(regimes)), tuple(rows), title)


def _columns(regimes: Sequence[str]) -> list[str]:
    return [name for regime in regimes for name in (f"{regime}\ntoken", "latent", "ratio")]


def _measure(reading: Reading, arm: str, regime: str, line: Line) -> Measure | None:
    if arm == "pair":
        # An A/A null is itself a ratio; of anything else the pair has the quotient.
        if line.per:
            return None  # that of the totals, which stands with its interval above
        own = reading.measure("pair", regime, line.quantity, line.stage)
        return own or reading.measure("pair", regime, units.RATIO_PREFIX + line.quantity, line.stage)
    found = reading.measure(arm, regime, line.quantity, line.stage)
    if found is None or not line.per:
        return found
    if line.per == "prompt":
        return _each(found, reading.size("batch")) if reading.size("batch") > 1 else None  # of one prompt it stands above
    return _each(found, reading.tokens(regime))


def _each(found: Measure, count: int) -> Measure:
    """Return a figure of the whole batch for one of its parts."""
    parts = {name: end / count for name in ("value", "low", "high") if (end := getattr(found, name)) is not None}
    return found.model_copy(update=parts)


def _source(found: Sequence[Measure | None]) -> str:
    """Return who says so: the source and its counter or meter, of the first figure that is there."""
    present = [m for m in found if m is not None]
    first = next((m for m in present if m.value is not None), present[0])
    # A roofline's row also says which side binds its own arm; the notes say it of both.
    by = first.by.partition("; ")[0] if first.quantity.startswith("roofline") else first.by
    return f"{first.source} · {by}"


def _bounds(found: Sequence[Measure | None], footnotes: Footnotes) -> list[Row]:
    """Return what bounds a figure: an arm's smallest and largest slot, a ratio's 95% interval; two things, two rows.

    An arm's estimate gets no range, the spread of what restates the time is the time's; no ratio stands without its interval.
    """
    ends = [cell for start in range(0, len(found), len(ARMS)) for cell in _interval(found[start : start + len(ARMS)], footnotes)]
    rows: dict[str, list[str | Cell]] = {
        "  range of slots": [_range(m) for m in found],
        "  known within": [_known_within(m) for m in found],
        "  95% interval": [*ends],
    }
    return [Row((label, *cells)) for label, cells in rows.items() if any(cells)]


def _known_within(measure: Measure | None) -> str | Cell:
    """Return both ends of what a model's constants leave open, or the larger half in percent where there is no room."""
    if measure is None or measure.arm == "pair" or measure.source != "modelled" or measure.low is None or measure.high is None:
        return ""
    if measure.quantity in ("watts", "roofline_fraction"):  # what they are open by is the slots' range
        return ""
    return Cell(_half(measure), units.interval(measure.quantity, measure.low, measure.high))


def _half(measure: Measure) -> str:
    """Return the larger of both halves around a value, in percent of it."""
    if not measure.value or measure.low is None or measure.high is None:
        return ""
    wider = max(measure.high / measure.value - 1, 1 - measure.low / measure.value)
    return f"±{100 * wider:.1f}%"


def _range(measure: Measure | None) -> str | Cell:
    """Return both ends where there is room, the larger half in percent where there is not."""
    if measure is None or measure.arm == "pair" or measure.source in ("estimated", "modelled"):
        return ""
    if not measure.value or measure.low is None or measure.high is None:
        return ""
    return Cell(_half(measure), units.interval(measure.quantity, measure.low, measure.high))


def _interval(trio: Sequence[Measure | None], footnotes: Footnotes) -> tuple[str, str, str]:
    """Return the ratio's interval of one regime with both ends, always: it is not symmetric. It begins under `latent`."""
    ratio = trio[-1]
    if ratio is None or not ratio.value:
        return "", "", ""
    if ratio.low is None or ratio.high is None:
        return "", "", footnotes.mark(ratio.reason) if ratio.reason else ""
    return "", f"{units.ratio_text(ratio.low)} –", units.ratio_text(ratio.high)
