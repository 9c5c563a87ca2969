"""`spanbench schema`: what a record is, for programs that read one."""

from __future__ import annotations

from typing import Annotated

from spanbench.cli.options import format_option
from spanbench.cli.output import put

__all__ = ["schema"]

Format = Annotated[str, format_option("json")]


def schema(fmt: Format = "json") -> None:
    """Print the JSON Schema (2020-12) of a record; as a table, its fields with what they mean."""
    from spanbench.record.schema import json_schema
    from spanbench.show.schema import render_schema

    put(render_schema, json_schema(), fmt)
