"""Four small exporters of one intermediate, the `Page` of blocks.py.

A reader's formats (table, markdown) print the blocks, a program's formats (json, csv) the data with every digit.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from spanbench.errors import UsageError, suggest
from spanbench.show.blocks import Page, Row, Table, Text, cell

__all__ = ["FORMATS", "Format", "render"]

Format = Literal["table", "json", "csv", "markdown"]
FORMATS: tuple[Format, ...] = get_args(Format)


def render(page: Page, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return a page as text in one of `FORMATS`, ending in a newline; `width` in columns matters to `table` only.

    Raises:
        UsageError: an unknown format.
    """
    exporters: Mapping[str, Callable[[], str]] = {
        "table": lambda: _table(page, width, colour),
        "json": lambda: json.dumps(page.data, ensure_ascii=False, allow_nan=False, indent=2) + "\n",
        "csv": lambda: _csv(page),
        "markdown": lambda: _markdown(page),
    }
    if fmt not in exporters:
        raise UsageError(f"--format: unknown value {fmt!r}{suggest(fmt, FORMATS)}")
    return exporters[fmt]()


def _table(page: Page, width: int, colour: bool) -> str:
    # Imported here: the other formats need no rich, and it is slow to load.
    from spanbench.show.terminal import terminal_text

    return terminal_text(page, width, colour)


def _csv(page: Page) -> str:
    out = io.StringIO()
    if page.tidy:
        writer = csv.DictWriter(out, fieldnames=list(page.tidy[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(page.tidy)  # None becomes an empty field, integers and floats keep every digit
    return out.getvalue()


def _markdown(page: Page) -> str:
    blocks = [_markdown_table(b) if isinstance(b, Table) else _markdown_text(b) for b in page.blocks]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _markdown_text(text: Text) -> str:
    return f"## {text.text}" if text.style == "title" else text.text


def _markdown_table(table: Table) -> str:
    rule = [":---" if column in table.left else "---:" for column in range(len(table.columns))]
    head = [" ".join(column.split()) for column in table.columns]
    rows = [_markdown_row(row, len(table.columns)) for row in table.rows]
    lines = ["| " + " | ".join(_escaped(c) for c in row) + " |" for row in [head, rule, *rows]]
    title = [f"### {table.title}", ""] if table.title else []
    return "\n".join(title + lines)


def _markdown_row(row: Row, width: int) -> list[str]:
    texts = [cell(c).full for c in row.cells]
    if row.group:
        return [f"**{texts[0]}**"] + [""] * (width - 1)
    # A row that belongs to the one above is indented; Markdown drops spaces, so it keeps its place with no-break ones.
    indent = len(texts[0]) - len(texts[0].lstrip())
    return ["&nbsp;" * indent + texts[0].lstrip(), *texts[1:]]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
