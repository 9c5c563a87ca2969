"""What GitHub shows of a check: annotations on the baseline's lines, and the job's summary.

Sources: docs.github.com, "Workflow commands for GitHub Actions" (10 error annotations a step, 1 MiB of summary a step), and
`escapeData` and `escapeProperty` of actions/toolkit.
"""

# No `from __future__ import annotations` here: the name is that of a function below.
import os
import re
from pathlib import Path

from spanbench.judge.baseline.result import Checked, RowChange
from spanbench.show.blocks import Page
from spanbench.show.check.page import blocks
from spanbench.show.check.words import many, sentence, short_verdict
from spanbench.show.formats import render

__all__ = ["ANNOTATIONS", "SUMMARY_BYTES", "annotations", "error_command", "failure", "failure_summary", "shown_file", "summary"]

ANNOTATIONS = 10
"""GitHub shows no more of one step."""
SUMMARY_BYTES = 2**20
"""Bytes of a step's summary that GitHub refuses: one must be smaller."""

_CUT = "\n\nThe rest was left out: a job summary holds less than 1 MiB.\n"


def annotations(checked: Checked, limit: int = ANNOTATIONS) -> list[str]:
    """Return a workflow command for each changed row, on its line of the baseline; at most `limit`, of which the last tells of the rest.

    They are read from standard error as well as from standard output, so a JSON document on standard output stays whole.
    """
    file, changes = shown_file(checked.path), checked.changes
    shown = changes if len(changes) <= limit else changes[: limit - 1]
    found = [error_command(file, one.line, _title(one), sentence(one, file, checked.accept)) for one in shown]
    left = len(changes) - len(shown)
    if left:
        told = f"… and {many(left, 'more row')} changed, see the job summary; accept all with: {checked.accept}"
        found.append(error_command(file, changes[len(shown)].line, "spanbench check", told))
    return found


def _title(change: RowChange) -> str:
    return f"spanbench check: {short_verdict([change]) if change.kind == 'changed' else f'row {change.kind}'}"


def failure(file: str, message: str) -> str:
    """Return the workflow command for a check that came to no answer, on the line that its message names."""
    named = re.search(r", line (\d+)", message)
    return error_command(shown_file(file), int(named[1]) if named else 1, "spanbench check: nothing was compared", message)


def failure_summary(file: str, message: str) -> str:
    """Return the same as Markdown."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", message)), default=0))
    return f"## spanbench check · {file}\n\nNothing was compared:\n\n{fence}\n{message}\n{fence}\n"


def error_command(file: str, line: int, title: str, message: str) -> str:
    """Return the workflow command that shows a message on a line of a file."""
    return f"::error file={_property(file)},line={line},title={_property(title)}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def shown_file(path: str) -> str:
    """Return a path as GitHub knows it: from the root of the checkout, or from the working folder; one outside of both stays whole."""
    full = Path(path).resolve()
    for root in (os.environ.get("GITHUB_WORKSPACE") or ".", "."):
        if full.is_relative_to(Path(root).resolve()):
            return full.relative_to(Path(root).resolve()).as_posix()
    return full.as_posix()


def summary(checked: Checked, limit: int = SUMMARY_BYTES) -> str:
    """Return the check as Markdown of fewer than `limit` bytes of UTF-8, with as many rows as fit and a line that counts the others.

    A step's summary is one file: whoever appends to one that holds something gives as `limit` what is left.
    """
    text = _markdown(checked, None)
    if _bytes(text) < limit:
        return text
    fits, too_many = 0, max(len(checked.changes), len(checked.ratios), len(checked.notes))
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if _bytes(_markdown(checked, middle)) < limit else (fits, middle)
    return _cut(_markdown(checked, fits), limit)


def _markdown(checked: Checked, most: int | None) -> str:
    return render(Page(tuple(blocks(checked, most, flat=True)), {}), "markdown")


def _bytes(text: str) -> int:
    return len(text.encode())


def _cut(text: str, limit: int) -> str:
    """Return text that is small enough; one whose very names are too long is cut between two characters."""
    if _bytes(text) < limit:
        return text
    return text.encode()[: max(0, limit - 1 - _bytes(_CUT))].decode(errors="ignore") + _CUT
