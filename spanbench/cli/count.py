"""`spanbench count` and `tables`: counts only, on the meta device; nothing is run on real numbers."""

from __future__ import annotations

from spanbench.cli.options import Format, Out, Verify, takes_request
from spanbench.cli.output import check_out, keep, progress, put
from spanbench.presets import ALLOCATIONS
from spanbench.request import Request

__all__ = ["count", "tables"]

DOCUMENTS_POINTS = ((24, 8), (2048, 32))
"""(tokens, span) of the documents' two comparisons."""


@takes_request
def count(request: Request, verify: Verify = False, out: Out = None, fmt: Format = "table") -> None:
    """Count FLOPs, attention cells, parameters and bytes by stage and regime: exactly, at any size, without running a model."""
    from spanbench.cli.guard import checked_point

    check_out(out)
    point, prompt, convention = checked_point(request)
    from spanbench import run
    from spanbench.show.count import render_count

    with progress() as tell:
        record = run.count(point, prompt, convention, verify=verify, progress=tell)
    with keep(out, record):
        put(render_count, record, fmt)


def tables(fmt: Format = "table") -> None:
    """Count the documents' comparisons, 24×24 against 3×3 and 2048² against 64², at their own scale, and the whole models beside them."""
    from spanbench.cli.points import counted
    from spanbench.show.tables import render_tables

    requests = [
        Request(preset="document", allocation=allocation, tokens=tokens, span=span)
        for tokens, span in DOCUMENTS_POINTS
        for allocation in ALLOCATIONS
    ]
    with progress() as tell:
        records = []
        for done, request in enumerate(requests):
            tell("counting", done, len(requests))
            records.append(counted(request))
    put(render_tables, records, fmt)
