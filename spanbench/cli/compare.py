"""`spanbench compare`: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from spanbench.cli.options import Format, Out, Verify, takes_request
from spanbench.cli.output import check_out, keep, progress, put
from spanbench.request import Request, point_of

__all__ = ["compare"]

DEFAULT_SECONDS = 30.0


@takes_request
def compare(
    request: Request,
    run: Annotated[
        bool | None, typer.Option("--run/--no-run", help="Time the pair or only count it [default: time it where it fits in memory]")
    ] = None,
    max_time: Annotated[float, typer.Option(metavar="SECONDS", help="Time for all timed slots together.")] = DEFAULT_SECONDS,
    meter: Annotated[str, typer.Option(metavar="NAME", help="codecarbon, none.")] = "codecarbon",
    verify: Verify = False,
    out: Out = None,
    fmt: Format = "table",
) -> None:
    """Put both models side by side on one prompt: the documents' table, the whole model's truth, time and joules."""
    point, prompt, convention = point_of(request)
    check_out(out)
    from spanbench import run as flow
    from spanbench.cli.points import document_scale, doubled
    from spanbench.measure.energy import get_meter
    from spanbench.measure.result import Plan
    from spanbench.show.compare import Compared, render_compare

    plan = Plan(max_seconds=max_time / len(point.regimes))
    timing = flow.Timing(plan, get_meter(meter), must_run=run is True)
    with progress() as tell:
        if run is False:
            record = flow.count(point, prompt, convention, verify=verify, progress=tell)
        else:
            record = flow.compare(point, prompt, convention, timing, verify=verify, progress=tell)
        keep(out, record)
        compared = Compared(record, document_scale(request), doubled(request))
    put(render_compare, compared, fmt)
