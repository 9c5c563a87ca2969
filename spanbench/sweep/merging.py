"""The view of a merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from spanbench.show.blocks import Page, Text
from spanbench.show.formats import render
from spanbench.sweep.merge import Merged

__all__ = ["MergeOf", "render_merge"]


@dataclass(frozen=True, slots=True)
class MergeOf:
    """Which files were put together, and what came of it."""

    out: str
    files: Sequence[str]
    found: Merged


def render_merge(merged: MergeOf, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    found = merged.found
    data = {"out": merged.out, "files": list(merged.files), **asdict(found), "equal": found.equal}
    kept = f"{found.kept:,} records of {found.points:,} points"
    lines = [
        Text(f"spanbench merge · {kept} in {merged.out}", "title"),
        Text(f"{found.read:,} were read: {found.equal:,} were there already, {found.replaced:,} counted ones gave way to measured ones."),
    ]
    if found.kept > found.points:
        lines.append(Text("Several records of one point are runs of their own, and all were kept.", "note"))
    return render(Page(tuple(lines), data, [{key: value for key, value in data.items() if key != "files"}]), fmt, width, colour)
