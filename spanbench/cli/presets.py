"""`spanbench presets`: the named sizes, and what they come to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import put
from spanbench.cli.values import completed, whole
from spanbench.request import DEFAULT_SPAN, DEFAULT_TOKENS, DTYPES, Request

__all__ = ["presets"]


def _option(metavar: str, text: str, default: object, **more: Any) -> Any:
    return typer.Option(metavar=metavar, show_default=False, help=f"{text} [default: {default}]", **more)


Tokens = Annotated[int, _option("N", "Tokens that FLOPs and memory are for", DEFAULT_TOKENS, parser=whole("--tokens"))]
Span = Annotated[int, _option("S", "Tokens in a span", DEFAULT_SPAN, parser=whole("--span"))]
Dtype = Annotated[str, _option("NAME", "Precision that memory is for", "float32", autocompletion=completed(DTYPES))]


def presets(tokens: Tokens = DEFAULT_TOKENS, span: Span = DEFAULT_SPAN, dtype: Dtype = "float32", fmt: Format = "table") -> None:
    """List presets and allocations with their parameters, FLOPs and memory."""
    from spanbench.cli.guard import checked_point
    from spanbench.run.listing import list_presets
    from spanbench.show.presets import render_presets

    checked_point(Request(tokens=tokens, span=span, dtype=dtype))
    put(render_presets, list_presets(tokens, span, dtype), fmt)
