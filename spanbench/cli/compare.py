"""`spanbench compare`: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from spanbench.cli.options import Format, Out, Verify, takes_request, with_note
from spanbench.cli.output import check_out, keep, progress, put
from spanbench.cli.values import completed, seconds
from spanbench.request import Request

__all__ = ["compare"]

DEFAULT_SECONDS = 24.0
METERS = ("codecarbon", "none")  # for help and completion, which import no meter; a test holds them to the meters there are

Run = Annotated[
    bool | None,
    typer.Option("--run/--no-run", help="Time the pair, or only count it [default: time it where it fits in memory]"),
]
MaxTime = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        parser=seconds("--max-time"),
        show_default=False,
        help=f"Time for all timed slots together [default: {DEFAULT_SECONDS:g}]",
    ),
]
Meter = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completed(METERS),
        show_default=False,
        help=f"Where joules come from: {', '.join(METERS)} [default: {METERS[0]}]",
    ),
]


@takes_request
def compare(
    request: Request,
    run: Run = None,
    max_time: MaxTime = DEFAULT_SECONDS,
    meter: Meter = METERS[0],
    verify: Verify = False,
    out: Out = None,
    fmt: Format = "table",
) -> None:
    """Put both models side by side on one prompt: first the documents' table, then the whole model's FLOPs, time and joules."""
    from spanbench.cli.guard import check_device, checked_point
    from spanbench.measure.energy import get_meter

    joules = get_meter(meter)
    check_out(out)
    point, prompt, convention = checked_point(request, times=2)
    if run is not False:
        check_device(point.device)
    from spanbench import run as flow
    from spanbench.cli.points import document_scale, doubled
    from spanbench.measure.result import Plan
    from spanbench.show.compare import Compared, render_compare

    timing = flow.Timing(Plan(max_seconds=max_time / len(point.regimes)), joules, must_run=run is True)
    with progress() as tell:
        if run is False:
            record = flow.count(point, prompt, convention, verify=verify, progress=tell)
        else:
            record = flow.compare(point, prompt, convention, timing, verify=verify, progress=tell)
    record = with_note(record, request)
    with keep(out, record):
        reference, unreferenced = document_scale(request, prompt)
        compared = Compared(record, reference, doubled(request, prompt), unreferenced)
        put(render_compare, compared, fmt)
