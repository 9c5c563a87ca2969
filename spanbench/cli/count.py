"""`spanbench count`, `tables` and `explain`: counts only, on the meta device; nothing is run on real numbers."""

from __future__ import annotations

from spanbench.cli.options import Format, Out, Verify, takes_request
from spanbench.cli.output import check_out, keep, progress, put
from spanbench.presets import ALLOCATIONS
from spanbench.request import Request, point_of

__all__ = ["count", "explain", "tables"]

DOCUMENTS_POINTS = ((24, 8), (2048, 32))
"""(tokens, span) of the documents' two comparisons."""


@takes_request
def count(request: Request, verify: Verify = False, out: Out = None, fmt: Format = "table") -> None:
    """Count FLOPs, cells, parameters, bytes by stage and regime, exactly, at any size."""
    point, prompt, convention = point_of(request)
    check_out(out)
    from spanbench import run
    from spanbench.show.count import render_count

    with progress() as tell:
        record = run.count(point, prompt, convention, verify=verify, progress=tell)
    keep(out, record)
    put(render_count, record, fmt)


def tables(fmt: Format = "table") -> None:
    """Reproduce the documents' comparisons, 24×24 vs 3×3 and 2048² vs 64², at their own scale, by counting."""
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


@takes_request
def explain(request: Request, fmt: Format = "table") -> None:
    """Print the formulas with this run's numbers put in, so that a total can be followed by hand."""
    point, _, convention = point_of(request)
    from spanbench.count.explain import definitions
    from spanbench.count.explain import explain as terms_of
    from spanbench.show.explain import Explained, render_explain

    for regime in point.regimes:
        terms = terms_of(point, regime, convention)
        put(render_explain, Explained(point.to_json(), regime, convention, terms, definitions(point, convention)), fmt)
