"""A page on a terminal: tables without boxes, exact figures where they fit and short ones where they do not."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text as RichText

from spanbench.show.blocks import Page, Row, Table, Text, cell

__all__ = ["terminal_text"]

NARROWEST = 76  # below this figures would be cut: a narrower terminal breaks whole lines instead
READABLE = 116  # longer lines of prose are hard to read, however wide the terminal is
GAP = 2

STYLES = {"plain": "", "title": "bold", "note": "dim"}


def terminal_text(page: Page, width: int, colour: bool) -> str:
    """Return the page for a terminal of `width` columns. No line has trailing spaces, so equal pages are equal text."""
    width = max(width, NARROWEST)
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=colour, color_system="standard" if colour else None, highlight=False, markup=False, emoji=False
    )
    for index, block in enumerate(page.blocks):
        if index and not _continues(page.blocks[index - 1], block):
            console.print()
        for line in _lines(block, width):
            line.rstrip()
            console.print(line, soft_wrap=True)
    return out.getvalue()


def _continues(before: Text | Table, block: Text | Table) -> bool:
    """Lines of one style belong together, and to the title above them; all else starts after an empty line."""
    return isinstance(before, Text) and isinstance(block, Text) and before.style in (block.style, "title")


def _lines(block: Text | Table, width: int) -> Iterator[RichText]:
    if isinstance(block, Table):
        yield from _table_lines(block, width)
        return
    hang = " " * block.hang
    wrapped = textwrap.wrap(block.text, min(width, READABLE), subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)
    for line in wrapped:
        yield RichText(line, style=STYLES[block.style])


def _table_lines(table: Table, width: int) -> Iterator[RichText]:
    """Yield title, heading (as many lines as its tallest column name) and rows; a group heading runs over all columns."""
    if table.title:
        yield RichText(table.title, style="bold")
    exact = _width(_widths(table, exact=True)) <= width
    widths = _widths(table, exact)
    for names in _stacked(table.columns):
        yield RichText(_line(names, widths, table), style="bold")
    for row in table.rows:
        if row.group:
            yield RichText(cell(row.cells[0]).full, style="dim")
        else:
            yield RichText(_line(_texts(row, exact), widths, table))


def _stacked(columns: tuple[str, ...]) -> list[list[str]]:
    """Lay column names of several lines beside each other, so that their last lines meet the figures."""
    split = [column.split("\n") for column in columns]
    height = max(len(lines) for lines in split) if any(columns) else 0
    padded = [[""] * (height - len(lines)) + lines for lines in split]
    return [[lines[i] for lines in padded] for i in range(height)]


def _line(texts: list[str], widths: list[int], table: Table) -> str:
    pairs = enumerate(zip(texts, widths, strict=True))
    return (" " * GAP).join(text.ljust(width) if index in table.left else text.rjust(width) for index, (text, width) in pairs)


def _texts(row: Row, exact: bool) -> list[str]:
    return [cell(c).full if exact else cell(c).short for c in row.cells]


def _widths(table: Table, exact: bool) -> list[int]:
    rows = [_texts(row, exact) for row in table.rows if not row.group] + _stacked(table.columns)
    return [max((len(row[i]) for row in rows), default=0) for i in range(len(table.columns))]


def _width(widths: list[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
