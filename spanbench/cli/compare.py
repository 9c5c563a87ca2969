"""`spanbench compare`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli import timing as options
from spanbench.cli.options import Format, Out, Verify, takes_request, with_note
from spanbench.cli.output import check_out, keep, progress, put
from spanbench.errors import Inconclusive, NothingMeasured
from spanbench.request import Request

if TYPE_CHECKING:
    from spanbench.record import Record

__all__ = ["compare"]

Run = Annotated[
    bool | None,
    typer.Option("--run/--no-run", help="Time the pair, or only count it [default: time it where it fits in memory]"),
]


@takes_request
def compare(
    request: Request,
    run: Run = None,
    max_time: options.MaxTime = options.DEFAULT_SECONDS,
    precision: options.Precision = options.DEFAULT_PRECISION,
    meter: options.Meter = options.METERS[0],
    threads: options.Threads = None,
    compiled: options.Compile = False,
    stages: options.Stages = False,
    co2: options.Co2 = None,
    limits: options.Limits = True,
    peak: options.Peak = True,
    strict: options.Strict = False,
    verify: Verify = False,
    out: Out = None,
    fmt: Format = "table",
) -> None:
    """Put both models side by side on one prompt: first the documents' table, then the whole model's FLOPs, time and joules."""
    from spanbench.cli.guard import checked_point
    from spanbench.measure.carbon import parse_carbon
    from spanbench.measure.energy import get_meter

    carbon = parse_carbon(co2) if co2 is not None else None
    get_meter(meter)  # an unknown name is refused before any work is done
    check_out(out)
    point, prompt, convention = checked_point(request, times=2)
    if run is not False:
        _check_runs(point.device, compiled)
    from spanbench import run as flow
    from spanbench.cli.points import document_scale, doubled
    from spanbench.measure.pair.result import Plan
    from spanbench.run.threads import set_threads
    from spanbench.show.compare import Compared, render_compare

    if threads is not None:
        set_threads(threads)
    timing = flow.Timing(
        Plan(max_seconds=max_time / len(point.regimes), precision=precision, seed=point.seed),
        flow.meter_of(meter, point),
        must_run=run is True,
        compiled=compiled,
        stages=stages,
        limits=limits,
        peak=peak,
        carbon=carbon,
    )
    with progress() as tell:
        if run is False:
            record = flow.count(point, prompt, convention, verify=verify, progress=tell)
        else:
            record = flow.compare(point, prompt, convention, timing, verify=verify, progress=tell)
    record = with_note(record, request)
    with keep(out, record):
        reference, why = document_scale(request, prompt)
        put(render_compare, Compared(record, reference, doubled(request, prompt), why), fmt)
    if strict:
        _refuse_inconclusive(record)


def _check_runs(device: str, compiled: bool) -> None:
    """Refuse a device that is not there, and a compiler that is not, before anything is counted."""
    from spanbench.cli.guard import check_device
    from spanbench.run.compilable import check_compile

    check_device(device)
    if compiled:
        check_compile(device)


def _refuse_inconclusive(record: Record) -> None:
    """Raise where a ratio was not found as finely as was asked.

    Raises:
        Inconclusive: which regimes.
        NothingMeasured: nothing was timed at all.
    """
    schedule = record.environment.get("schedule")
    runs = schedule if isinstance(schedule, dict) else {}
    if not runs:
        raise NothingMeasured("--strict: nothing was timed, so nothing can be told; take sizes that fit in memory, and leave --no-run out")
    regimes = [name for name, one in runs.items() if isinstance(one, dict) and one.get("conclusive") is False]
    if regimes:
        raise Inconclusive(f"--strict: {', '.join(regimes)}: inconclusive at --precision; give more --max-time or a wider --precision")
