"""`check`: the verdict, every row that changed and where it first differs, the ratios of the two arms, and how to accept it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from spanbench.judge.baseline.result import Checked, Figure, RowChange
from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.check.ratios import ratio_blocks, ratio_data
from spanbench.show.check.words import direction, exact, gap, label, left_out, many, percent, place, step, total_of, verdict
from spanbench.show.formats import render

__all__ = ["MOST", "blocks", "page", "render_checked"]

MOST = 40
"""Rows that a terminal shows one by one: a changed preset may change thousands."""

_TIDY = ("path", "line", "kind", "row", "arm", "regime", "stage", "layer", "quantity", "old", "new", "difference", "relative")
_BY = {"ledger": "counted by the ledger", "closed form": "counted by closed form", "another baseline": "as two files have it"}
_WORDS = {"missing": "missing: it is no longer counted", "extra": "extra: the baseline has no such row", "changed": "changed"}


def render_checked(checked: Checked, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return a check as text in one of `formats.FORMATS`; as CSV a row for each figure that changed, and the heading alone for none."""
    if fmt == "csv" and not checked.changes:
        return ",".join(_TIDY) + "\n"
    most = MOST if fmt == "table" else None
    return render(page(checked, most, flat=fmt == "markdown"), fmt, width, colour)


def page(checked: Checked, most: int | None = MOST, flat: bool = False) -> Page:
    """Return the view before it is printed; for `most` and `flat` see `blocks`. Its data are always whole."""
    rows = [row for change in checked.changes for row in _tidy(checked, change)]
    return Page(tuple(blocks(checked, most, flat)), _data(checked), rows)


# ---- data -----------------------------------------------------------------------------------------------------------


def _data(checked: Checked) -> dict[str, Any]:
    which = direction(checked.changes)
    return {
        "path": checked.path,
        "by": checked.by,
        "convention": checked.convention,
        "verdict": verdict(checked),
        "changed": bool(checked.changes),
        "direction": which[0] if which else None,
        "rows": checked.rows,
        "figures": checked.figures,
        "changes": [_change(change) for change in checked.changes],
        "ratios": [ratio_data(ratio) for ratio in checked.ratios],
        "accept": checked.accept,
        "notes": list(checked.notes),
    }


def _change(change: RowChange) -> dict[str, Any]:
    named = {"kind": change.kind, "row": change.row, "arm": change.arm, "line": change.line}
    return {**named, "figures": [_figure(figure) for figure in change.figures]}


def _figure(figure: Figure) -> dict[str, Any]:
    where = {"regime": figure.regime, "stage": figure.stage, "layer": figure.layer, "quantity": figure.quantity}
    return {**where, "old": figure.old, "new": figure.new, "difference": figure.difference, "relative": figure.relative}


def _tidy(checked: Checked, change: RowChange) -> Iterator[dict[str, Any]]:
    """Yield a row for each figure; a missing or extra row that has none is a row all the same."""
    named = {"path": checked.path, "line": change.line, "kind": change.kind, "row": change.row, "arm": change.arm}
    for figures in [_figure(figure) for figure in change.figures] or [{}]:
        yield dict.fromkeys(_TIDY) | named | figures


# ---- the page -------------------------------------------------------------------------------------------------------


def blocks(checked: Checked, most: int | None, flat: bool) -> Iterator[Text | Table]:
    """Yield what a reader sees.

    Args:
        checked: the check.
        most: how many rows, ratios and notes are shown at most; None: all.
        flat: for Markdown, whose tables have room for everything about a row in one line.
    """
    yield Text(f"spanbench {'baseline diff' if checked.by == 'another baseline' else 'check'} · {checked.path}", "title")
    yield Text(verdict(checked), hang=2)
    yield Text(f"{_BY[checked.by]}, convention {checked.convention}, tolerance 0", hang=2)
    if checked.changes:
        shown = checked.changes[:most]
        yield _flat_table(shown) if flat else _table(shown)
        yield from left_out(len(shown), len(checked.changes), "row")
        yield from _accept(checked.accept, flat)
    yield from ratio_blocks(checked.ratios, most)
    notes = checked.notes[:most]
    yield from (Text(note, "note", hang=2) for note in notes)
    yield from left_out(len(notes), len(checked.notes), "note")


def _accept(command: str, flat: bool) -> Iterator[Text | Table]:
    """Yield the command on a line of its own, however long it is: a wrapped one could not be copied."""
    if flat and command:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))  # longer than any that the command holds
        yield Text(f"To accept what is counted now:\n\n{fence}sh\n{command}\n{fence}")
    elif command:
        yield Table(("",), (Row((command,)),), "To accept what is counted now")


def _table(changes: Sequence[RowChange]) -> Table:
    """Return a heading for each row, where it first differs, and the figures below it with every digit."""
    rows = tuple(row for change in changes for row in _lines(change))
    return Table(("", "baseline", "now", "difference", "relative"), rows, "Rows that changed")


def _lines(change: RowChange) -> Iterator[Row]:
    yield Row((f"line {change.line:,} · {change.row}",), group=True)
    if change.kind != "changed" or not change.figures:
        yield Row((f"  {_WORDS[change.kind]}",), group=True)
        return
    first, total = change.figures[0], total_of(change)
    yield Row((f"  first differs in {place(first)}: {label(first.quantity)}",), group=True)
    yield Row(("  there", *_numbers(first)))
    if total:
        yield Row(("  total", *_numbers(total)))
    left = len(change.figures) - 1 - bool(total)
    if left:
        yield Row((f"  and {many(left, 'more figure')}",), group=True)


def _numbers(figure: Figure) -> tuple[str, str, str, str]:
    return exact(figure.old), exact(figure.new), gap(figure), percent(figure)


def _flat_table(changes: Sequence[RowChange]) -> Table:
    columns = ("line", "row", "first differs in", "quantity", "there", "in all", "figures")
    return Table(columns, tuple(_flat(change) for change in changes), "Rows that changed", left=frozenset({1, 2, 3}))


def _flat(change: RowChange) -> Row:
    head, many_figures = (exact(change.line), change.row), exact(len(change.figures))
    if change.kind != "changed" or not change.figures:
        return Row((*head, _WORDS[change.kind], "", "", "", many_figures))
    first = change.figures[0]
    total = total_of(change)
    return Row((*head, place(first), label(first.quantity), step(first), step(total) if total else "", many_figures))
