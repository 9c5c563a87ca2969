"""`spanbench explain`: the formulas with numbers put in. Arithmetic alone, so it needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from spanbench.cli.options import Format, takes_request
from spanbench.cli.output import put
from spanbench.request import Request

if TYPE_CHECKING:
    from spanbench.show.explain import Explained

__all__ = ["explain"]


@takes_request
def explain(request: Request, fmt: Format = "table") -> None:
    """Print the formulas with this run's numbers put in, so that a total can be followed by hand."""
    from spanbench.cli.guard import checked_point
    from spanbench.count.explain import definitions, step_definitions
    from spanbench.count.explain import explain as terms_of
    from spanbench.show.explain import Explained

    point, _, convention = checked_point(request)
    legend = definitions(point, convention)
    explained = [
        Explained(point.to_json(), regime, convention, terms_of(point, regime, convention), [*legend, *step_definitions(point, regime)])
        for regime in point.regimes
    ]
    put(_render, explained, fmt)


def _render(explained: Sequence[Explained], fmt: str, width: int, colour: bool) -> str:
    """Print the regimes below one another: as JSON one document with a list, as CSV one table that names the regime."""
    from spanbench.show.blocks import Page
    from spanbench.show.explain import page
    from spanbench.show.formats import render

    pages = [page(one) for one in explained]
    tidy = [{"regime": one.regime, **row} for one, shown in zip(explained, pages, strict=True) for row in shown.tidy]
    blocks = tuple(chain.from_iterable(shown.blocks for shown in pages))
    return render(Page(blocks, {"explained": [shown.data for shown in pages]}, tidy), fmt, width, colour)
