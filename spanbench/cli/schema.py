"""`spanbench schema`: what a record is, for programs that read one."""

from __future__ import annotations

from typing import Annotated

import typer

from spanbench.cli.output import put
from spanbench.cli.values import completed, format_name
from spanbench.show.formats import FORMATS

__all__ = ["schema"]

Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        parser=format_name,
        autocompletion=completed(FORMATS),
        show_default=False,
        help=f"{', '.join(FORMATS)} [default: json]",
    ),
]


def schema(fmt: Format = "json") -> None:
    """Print the JSON Schema (2020-12) of a record; as a table, its fields with what they mean."""
    from spanbench.record.schema import json_schema
    from spanbench.show.schema import render_schema

    put(render_schema, json_schema(), fmt)
