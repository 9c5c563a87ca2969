"""`check --against`: what base and head take, the verdict on each arm and regime, and what their counts say beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from spanbench import units
from spanbench.judge.stats import Estimate
from spanbench.judge.verdict import AgainstResult, AgainstRow, Verdict
from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.formats import render

__all__ = ["page", "render_against", "sentence"]

MISSING = "–"
SHORT = 12  # digits of a hash
WORDS: Mapping[Verdict, str] = {
    "better": "head takes less than base, beyond the tolerance",
    "same": "head and base take the same within the tolerance",
    "worse": "head takes more than base, beyond the tolerance",
    "inconclusive": "nothing can be told as finely as was asked",
}


def render_against(found: AgainstResult, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`; as CSV a row for each arm and regime."""
    return render(page(found), fmt, width, colour)


def page(found: AgainstResult) -> Page:
    """Return the view before it is printed."""
    rows = [_plain(row) for row in found.rows]
    about = {name: getattr(found, name) for name in ("ref", "commit", "head", "point", "quantity", "by", "tolerance")}
    return Page(tuple(_blocks(found)), {"verdict": found.verdict, **about, "rows": rows, "notes": list(found.notes)}, _tidy(found))


def sentence(row: AgainstRow) -> str:
    """Return one verdict as a line: which arm and regime, the ratio with its interval, and why nothing is told, where it is not."""
    judged = row.judged
    ratio = f"head/base {_ratio(judged.ratio)} (99%: {_interval(judged.ratio)})"
    return f"{row.arm} {row.regime}: {judged.verdict}, {ratio}{f'; {judged.reason}' if judged.reason else ''}"


# ---- data -----------------------------------------------------------------------------------------------------------


def _plain(row: AgainstRow) -> dict[str, Any]:
    return asdict(row)


def _tidy(found: AgainstResult) -> list[dict[str, Any]]:
    return [
        {
            "arm": row.arm,
            "regime": row.regime,
            "verdict": row.judged.verdict,
            "quantity": found.quantity,
            "base": row.base.value,
            "head": row.head.value,
            "ratio": row.judged.ratio.value,
            "low": row.judged.ratio.low,
            "high": row.judged.ratio.high,
            "floor": row.judged.floor,
            "tolerance": found.tolerance,
            "blocks": row.judged.blocks,
            "null_blocks": row.judged.null_blocks,
            "repeats": row.repeats,
            "base_flops": row.base_flops,
            "head_flops": row.head_flops,
            "reason": row.judged.reason,
        }
        for row in found.rows
    ]


# ---- the page -------------------------------------------------------------------------------------------------------


def _blocks(found: AgainstResult) -> Iterator[Text | Table]:
    yield Text(f"spanbench check --against {found.ref} · {found.verdict}", "title")
    yield Text(f"{found.point}. Base {found.ref} ({found.commit[:SHORT]}), head {found.head}.")
    columns = ("", "base", "head", "head/base", "99% interval", "floor", "verdict")
    yield Table(columns, tuple(_row(row, found.quantity) for row in found.rows), found.quantity, left=frozenset({0, 6}))
    yield Text(f"{found.verdict}: {WORDS[found.verdict]} (±{found.tolerance:.2%}).")
    yield from (Text(f"{row.arm} {row.regime}: {row.judged.reason}.", hang=2) for row in found.rows if row.judged.reason)
    yield from (Text(line, hang=2) for row in found.rows for line in _counts(row))
    yield from (Text(line, "note", hang=2) for line in (*found.notes, _legend(found)))


def _row(row: AgainstRow, quantity: str) -> Row:
    judged = row.judged
    taken = (MISSING if one.value is None else units.short(quantity, one.value) for one in (row.base, row.head))
    floor = MISSING if judged.floor is None else (f"{judged.floor:.2%}" if judged.floor < 1 else "> 100%")
    return Row((f"{row.arm} {row.regime}", *taken, _ratio(judged.ratio), _interval(judged.ratio), floor, judged.verdict))


def _ratio(ratio: Estimate) -> str:
    return MISSING if ratio.value is None else f"{ratio.value:.4f}"


def _interval(ratio: Estimate) -> str:
    return MISSING if ratio.low is None or ratio.high is None else f"{ratio.low:.3f}–{ratio.high:.3f}"


def _counts(row: AgainstRow) -> Iterator[str]:
    """Yield by how much the counts differ, where they do: context, which no verdict rests on."""
    base, head = row.base_flops, row.head_flops
    if base is None or head is None or base == head:
        return
    share = f"{abs(head - base) / base:.2%} " if base else ""
    word = "more" if head > base else "fewer"
    yield f"{row.arm} {row.regime}: head does {share}{word} FLOPs, {base:,} → {head:,}."


def _legend(found: AgainstResult) -> str:
    blocks = ", ".join(f"{row.judged.blocks} + {row.judged.null_blocks}" for row in found.rows)
    return (
        "The floor is how far one program, run against itself in processes of their own, may lie from 1 here (99%); no tolerance below "
        f"it is judged. Blocks of four slots, and A/A blocks: {blocks}. By {found.by}."
    )
