"""Series of a report as curves, and the sentences that say where their figures come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spanbench.point import SPOKEN
from spanbench.record import SOURCES, weakest
from spanbench.show.report.plots.picture import MOST_MARKS, Curve, Mark, Role, thinned
from spanbench.show.report.summary import Dot, Section, Series
from spanbench.units import short

__all__ = ["CONVENTIONS", "MOST_NAMED", "alike", "arm_name", "curve", "ends", "regime_name", "sources_sentence", "steps_note", "thin_note"]

MOST_NAMED = 2
"""Counters or meters named in a caption; the rest are counted: the tables and records name them all."""

CONVENTIONS = {"dense": "all attention cells", "useful": "the cells that the mask lets through", "causal-half": "half the causal cells"}
"""What FLOPs of attention are, in the few words that a caption has room for."""

_ARMS = {"token": "token arm", "latent": "latent arm", "pair": "token ÷ latent"}
_REGIMES = {"decode": "decode (one span)", "decode_worst": "decode, dearest step"}


def arm_name(arm: str) -> str:
    """Return what a legend calls an arm."""
    return _ARMS[arm]


def regime_name(regime: str, generate: int | None = None) -> str:
    """Return what a title calls a regime."""
    return f"request of {generate:,} tokens" if generate is not None else _REGIMES.get(regime, regime)


def curve(dots: Sequence[Dot], label: str, role: Role, xs: Sequence[float] | None = None) -> Curve | None:
    """Return figures as a curve against N, or against `xs`; None where none is above 0."""
    across = xs if xs is not None else [dot.tokens for dot in dots]
    marks = thinned(tuple(_mark(x, dot) for x, dot in zip(across, dots, strict=True)))
    return Curve(label, role, weakest(mark.source for mark in marks), marks) if marks else None


def _mark(x: float, dot: Dot) -> Mark:
    ends = (dot.low, dot.high) if dot.low is not None and dot.high is not None and dot.low > 0 else (None, None)
    return Mark(x, dot.value, dot.source, *ends)


def alike(section: Section, arm: str, regime: str, quantity: str) -> list[Series]:
    """Return the series of one figure that have dots, one a source; of several lengths of answer the shortest."""
    found = [s for s in section.series if (s.arm, s.regime, s.quantity) == (arm, regime, quantity) and s.dots]
    generate = min((s.generate for s in found if s.generate is not None), default=None)
    return [s for s in found if s.generate == generate]


def ends(series: Series) -> str:
    """Return the first and the last figure in words, for those who do not see the curve."""
    first, last = series.dots[0], series.dots[-1]
    name = series.quantity
    if first is last:
        return f"{short(name, first.value)} at N = {first.tokens:,}"
    return f"from {short(name, first.value)} at N = {first.tokens:,} to {short(name, last.value)} at N = {last.tokens:,}"


def sources_sentence(dots: Iterable[Dot], section: Section) -> str:
    """Return where figures come from and by which convention: what every caption ends with."""
    by: dict[str, set[str]] = {}
    for dot in dots:
        by.setdefault(dot.source, set()).add(dot.by)
    named = [f"{source} ({_listed(sorted(by[source]))})" for source in SOURCES if source in by]
    where = f" On {section.setup.machine}." if section.setup.machine and set(by) - {"counted"} else ""
    return f"Source: {'; '.join(named)}.{where} Convention {section.setup.convention}: {CONVENTIONS[section.setup.convention]}."


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = len(shown) - MOST_NAMED
    return "; ".join([*shown[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def thin_note(most: int) -> str:
    """Return that a curve of so many figures is not drawn whole; '' where it is."""
    return (
        f"Of {most:,} figures at most {MOST_MARKS} a curve are drawn, of several at one place the middle one. " if most > MOST_MARKS else ""
    )


def steps_note(regime: str) -> str:
    """Return what a figure of speaking sums over; '' for the others."""
    if regime not in SPOKEN:
        return ""
    return {"decode": "The sum over the steps of one span.", "decode_worst": "The dearest single step."}.get(regime, "The whole request.")
