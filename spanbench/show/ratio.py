"""`ratio`: every gate with both arms' figures, their exact ratio, the limit, and by how much it holds or fails."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

from spanbench.judge.gates import Judged, sentence
from spanbench.judge.gates.judged import places, rounded
from spanbench.point import Point
from spanbench.presets import changes
from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.check.github import ANNOTATIONS, error_command, shown_file
from spanbench.show.formats import render
from spanbench.units import full, short

__all__ = ["Gated", "page", "render_ratio", "workflow_commands"]

MISSING = "–"
NAME = 22
"""Columns of a name that somebody gave a gate, where a table has no more room."""
VERDICTS = {True: "holds", False: "FAILS", None: "no ratio"}
_FORMULA = "Counted by the closed form alone: no model was executed, so a changed model is not seen."

_NO_SPAN = "Where fewer tokens than a span are read no span is complete: there is no latent, and the ratio says nothing about latents."


@dataclass(frozen=True, slots=True)
class Gated:
    """All gates of one call as they were judged; `verified` are the checks that agreed, none of them for the closed form alone."""

    judged: Sequence[Judged]
    closed_form: bool = False
    verified: Sequence[str] = ()


def render_ratio(gated: Gated, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`; as CSV a row for each gate."""
    return render(page(gated), fmt, width, colour)


def page(gated: Gated) -> Page:
    """Return the view before it is printed."""
    rows = [_plain(one) for one in gated.judged]
    data = {"holds": all(one.holds for one in gated.judged), "by": _by(gated), "verified": list(gated.verified), "gates": rows}
    return Page(tuple(_blocks(gated)), data, [{key: value for key, value in row.items() if key != "changed"} for row in rows])


def workflow_commands(judged: Sequence[Judged]) -> list[str]:
    """Return a workflow command for each gate of a file that fails, on its line; at most 10, of which the last tells of the rest."""
    failing = [one for one in judged if one.holds is False and one.gate.path is not None]
    shown = failing if len(failing) <= ANNOTATIONS else failing[: ANNOTATIONS - 1]
    found = [_annotation(one, sentence(one)) for one in shown]
    return found + [_annotation(failing[-1], f"… and {len(failing) - len(shown)} more gates fail")] * (len(failing) > len(shown))


# ---- data -----------------------------------------------------------------------------------------------------------


def _by(gated: Gated) -> str:
    return "closed form" if gated.closed_form else "ledger"


def _plain(one: Judged) -> dict[str, Any]:
    gate, point = one.gate, one.point
    return {
        "number": gate.number, "name": gate.name, "file": gate.path, "line": gate.line,
        "preset": point.preset, "allocation": point.allocation, "tokens": point.tokens, "span": point.span, "batch": point.batch,
        "changed": _changed(point), "convention": gate.request.convention,
        "regime": gate.regime, "stage": gate.stage, "quantity": gate.quantity, "token": one.token, "latent": one.latent,
        "ratio": None if one.ratio is None else float(one.ratio), "min": _text(gate.least), "max": _text(gate.most),
        "holds": one.holds, "margin": None if one.margin is None else float(one.margin), "reason": one.reason or None,
    }  # fmt: skip


def _text(limit: object) -> str | None:
    """Return a limit as text: a JSON number would come back as the nearest float."""
    return None if limit is None else f"{limit:f}"


def _changed(point: Point) -> list[str]:
    return changes(point.preset, point.allocation, point.to_json()["shape"], point.span)


# ---- the page -------------------------------------------------------------------------------------------------------


def _blocks(gated: Gated) -> Iterator[Text | Table]:
    yield Text(f"spanbench ratio · {_verdict(gated.judged)}", "title")
    rows: list[Row] = []
    for heading, group in groupby(gated.judged, key=_heading):
        rows += [Row((heading,), group=True), *(_row(one) for one in group)]
    yield Table(("gate", "token", "latent", "token ÷\nlatent", "limit", "margin"), tuple(rows), left=frozenset({0, 5}))
    told = [sentence(one) for one in gated.judged if one.holds is False]
    missing = [f"{one.gate.title}: no ratio, {one.reason}" for one in gated.judged if one.holds is None]
    yield from (Text(f"{line}.", hang=2) for line in (*told, *missing))
    if any(not one.point.windows.complete for one in gated.judged):
        yield Text(_NO_SPAN, "note", hang=2)
    yield Text(_FORMULA if gated.closed_form else f"Checked, tolerance 0: {', '.join(gated.verified)}.", "note", hang=2)
    yield Text("Limits are compared exactly, as fractions of whole numbers; the figures shown are rounded.", "note", hang=2)


def _verdict(judged: Sequence[Judged]) -> str:
    counts = {
        word: sum(one.holds is holds for one in judged) for holds, word in ((True, "hold"), (False, "fail"), (None, "without a ratio"))
    }
    gates = f"{len(judged)} gate{'' if len(judged) == 1 else 's'}"
    told = [f"{count} {word}{'s' if count == 1 and word != 'without a ratio' else ''}" for word, count in counts.items() if count]
    return f"{gates}: {', '.join(told)}"


def _heading(one: Judged) -> str:
    point = one.point
    changed = f", {', '.join(_changed(point))}" if _changed(point) else ""
    convention = "" if one.gate.request.convention == "dense" else f", convention {one.gate.request.convention}"
    return (
        f"{point.preset} {point.allocation}{changed}: {point.tokens:,} tokens in spans of {point.span:,}, batch {point.batch:,}{convention}"
    )


def _row(one: Judged) -> Row:
    figures = [_figure(one.gate.quantity, value) for value in (one.token, one.latent)]
    return Row((_name(one), *figures, _ratio(one), one.gate.limits, _verdict_of(one)))


def _name(one: Judged) -> Cell:
    name = one.gate.name and textwrap.shorten(one.gate.name, NAME, placeholder=" …")
    return Cell(f"  {name or one.gate.asked}", f"  {one.gate.title}")


def _figure(quantity: str, value: int | None) -> Cell:
    return Cell(MISSING, MISSING) if value is None else Cell(short(quantity, value), full(quantity, value))


def _ratio(one: Judged) -> str:
    """Return the ratio with as many digits as tell it from its limits."""
    if one.ratio is None:
        return MISSING
    limits = [limit for limit in (one.gate.least, one.gate.most) if limit is not None]
    return f"{rounded(one.ratio, max(places(one.ratio, limit) for limit in limits))}×"


def _verdict_of(one: Judged) -> str:
    """Return whether a gate holds and its distance from the nearer limit; one that is hardly beyond it does not show as 0."""
    if one.margin is None:
        return VERDICTS[one.holds]
    size = 100 * abs(one.margin)
    digits = ".0f" if size >= 100 else ".2f" if size >= Fraction(1, 100) or not size else ".1g"
    return f"{VERDICTS[one.holds]} {'−' if one.margin < 0 else '+'}{float(size):,{digits}}%"


def _annotation(one: Judged, message: str) -> str:
    return error_command(shown_file(one.gate.path or ""), one.gate.line or 1, f"spanbench ratio: {one.gate.title}", message)
