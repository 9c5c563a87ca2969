"""The two views of a sweep: what it would run (`--dry-run`), and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.sweep.flow import Summary
from spanbench.sweep.plan import Plan, Planned, Skipped, named, request_of
from spanbench.sweep.predict import COUNTING_S, RATES, STARTING_S, Prediction, predict
from spanbench.sweep.progress import duration
from spanbench.units import full, short

__all__ = ["Finished", "Predicted", "render_plan", "render_summary"]


@dataclass(frozen=True, slots=True)
class Predicted:
    """A plan, which of its points are done, and the memory that is free here (None: unknown)."""

    plan: Plan
    done: frozenset[str]
    available_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A sweep that came to its end, and where its records are."""

    plan: Plan
    summary: Summary
    out: str


def render_plan(predicted: Predicted, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    rows = [_PlannedRow(planned, predict(planned), planned.job.key in predicted.done) for planned in predicted.plan.points]
    plain = [row.plain() for row in rows]
    data = {"points": plain, **_skips(predicted.plan), "sum": _sum(rows), "modelled": _assumptions()}
    return render(Page(tuple(_plan_blocks(rows, predicted)), data, plain), fmt, width, colour)


@dataclass(frozen=True, slots=True)
class _PlannedRow:
    planned: Planned
    predicted: Prediction
    done: bool

    def plain(self) -> Mapping[str, Any]:
        """Return the row as plain JSON values; `set` has the sizes as `--set` takes them."""
        point, job = self.planned.point, self.planned.job
        sizes = " ".join(f"{key}={value}" for key, value in request_of(job).shape.items())
        return {
            "key": job.key, "done": self.done, "preset": point.preset, "allocation": point.allocation, "tokens": point.tokens,
            "span": point.span, "batch": "max" if self.planned.largest else point.batch, "dtype": point.dtype, "device": point.device,
            "seed": point.seed, "generate": point.generate, "set": sizes, "regimes": " ".join(point.regimes),
            "measured": job.timing is not None,
            "flops": self.predicted.flops, "memory_bytes": self.predicted.needed, "seconds": self.predicted.seconds,
        }  # fmt: skip


def _plan_blocks(rows: Sequence[_PlannedRow], predicted: Predicted) -> Iterator[Text | Table]:
    yield Text(f"spanbench sweep --dry-run · {len(rows):,} points, {len(predicted.done):,} of them done", "title")
    columns = ("key", "point", "FLOP", "memory", "time")
    yield Table(columns, (*(_line(row) for row in rows), _sum_line(rows)), left=frozenset({0, 1}))
    yield from _skipped(predicted.plan)
    yield from (Text(line, "note", hang=2) for line in _notes(rows, predicted))


def _line(row: _PlannedRow) -> Row:
    what, time = named(request_of(row.planned.job)), "done" if row.done else duration(row.predicted.seconds)
    return Row((row.planned.job.key, what, _cell("flops", row.predicted.flops), _cell("peak_bytes", row.predicted.needed), time))


def _sum(rows: Sequence[_PlannedRow]) -> Mapping[str, Any]:
    """Return the sum of what is left to run, and the most memory of a point of it."""
    left = [row.predicted for row in rows if not row.done]
    return {
        "points": len(left),
        "flops": sum(one.flops for one in left),
        "memory_bytes": max((one.needed for one in left), default=0),
        "seconds": sum(one.seconds for one in left),
    }


def _sum_line(rows: Sequence[_PlannedRow]) -> Row:
    found = _sum(rows)
    memory = Cell(f"≤ {short('peak_bytes', found['memory_bytes'])}", f"at most {short('peak_bytes', found['memory_bytes'])}")
    return Row(("to run", f"{found['points']:,} points", _cell("flops", found["flops"]), memory, duration(found["seconds"])))


def _cell(name: str, value: int) -> Cell:
    return Cell(short(name, value), full(name, value))


def _assumptions() -> Mapping[str, Any]:
    return {"flops_per_second": RATES, "seconds_a_counted_point": COUNTING_S, "seconds_to_start_a_measured_point": STARTING_S}


def _notes(rows: Sequence[_PlannedRow], predicted: Predicted) -> Iterator[str]:
    rates = ", ".join(f"{short('flops', int(rate))}FLOP/s on {device}" for device, rate in RATES.items())
    yield "FLOP: both arms, each regime once, by the closed form. Memory: an upper estimate of running both arms."
    yield f"Time is modelled, one point after another: {rates}; {COUNTING_S} s a counted point, {STARTING_S:.0f} s to start a measured one."
    if any(row.planned.largest for row in rows):
        yield "Batch max is taken for 1 here: what fits is known only where it runs."
    free = predicted.available_bytes
    beyond = sum(row.planned.job.timing is not None and free is not None and row.predicted.needed > free for row in rows)
    if free is not None and beyond:
        yield f"{beyond} points do not fit in the {short('peak_bytes', free)} that are free now: they are counted, and marked."


def _skips(plan: Plan) -> Mapping[str, Any]:
    return {"skipped": [asdict(skip) for skip in plan.skipped], "repeated": plan.repeated}


def render_summary(finished: Finished, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    summary, plan = finished.summary, finished.plan
    failed = [
        {"key": one.job.key, "what": named(request_of(one.job)), "reason": one.reason, "attempts": one.attempts} for one in summary.failed
    ]
    data = {
        "out": finished.out, "points": len(plan.points), "before": summary.before, "finished": [one.id for one in summary.finished],
        "not_run": _not_run(summary), "failed": failed, **_skips(plan),
    }  # fmt: skip
    return render(
        Page(tuple(_summary_blocks(finished)), data, [{**row, "out": finished.out} for row in _tidy(finished)]), fmt, width, colour
    )


def _tidy(finished: Finished) -> Iterator[Mapping[str, Any]]:
    for done in finished.summary.finished:
        yield {"key": done.id, "state": "finished", "reason": None}
    for one in finished.summary.failed:
        yield {"key": one.job.key, "state": "failed", "reason": one.reason}
    for skip in finished.plan.skipped:
        yield {"key": None, "state": "skipped", "reason": f"{skip.what}: {skip.reason}"}


def _not_run(summary: Summary) -> int:
    """Return how many points were to be timed and did not fit in memory."""
    return sum(one.not_run is not None for one in summary.finished)


def _summary_blocks(finished: Finished) -> Iterator[Text | Table]:
    summary, plan = finished.summary, finished.plan
    yield Text(f"spanbench sweep · {len(plan.points):,} points in {finished.out}", "title")
    parts = [f"{summary.before:,} were done before", f"{len(summary.finished):,} finished now", f"{len(summary.failed):,} have no record"]
    yield Text(f"{', '.join(parts)}.")
    if not_run := _not_run(summary):
        yield Text(f"{not_run:,} of those finished now did not fit in memory: they were counted, and marked.", "note")
    yield from (Text(f"No record: {named(request_of(one.job))}: {one.reason}", "note", hang=2) for one in summary.failed)
    yield from _skipped(plan)


def _skipped(plan: Plan) -> Iterator[Text]:
    """Yield one line a reason: a span that does not divide is wrong for every length."""
    reasons: dict[str, list[Skipped]] = {}
    for skip in plan.skipped:
        reasons.setdefault(skip.reason, []).append(skip)
    for reason, skips in reasons.items():
        more = f" and {len(skips) - 1:,} more" if len(skips) > 1 else ""
        yield Text(f"Skipped: {skips[0].what}{more}: {reason}", "note", hang=2)
