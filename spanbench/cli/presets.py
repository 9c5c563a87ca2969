"""`spanbench presets`: the named sizes, and what they come to."""

from __future__ import annotations

from typing import Annotated

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import put
from spanbench.request import DEFAULT_SPAN, DEFAULT_TOKENS

__all__ = ["presets"]


def presets(
    tokens: Annotated[int, typer.Option(metavar="N", help="Tokens that the FLOPs and the memory are for.")] = DEFAULT_TOKENS,
    span: Annotated[int, typer.Option(metavar="S", help="Tokens a span.")] = DEFAULT_SPAN,
    dtype: Annotated[str, typer.Option(metavar="NAME", help="Precision that the memory is for.")] = "float32",
    fmt: Format = "table",
) -> None:
    """List presets and allocations with their parameters, FLOPs and memory."""
    from spanbench.run.listing import list_presets
    from spanbench.show.presets import render_presets

    put(render_presets, list_presets(tokens, span, dtype), fmt)
