"""FLOPs by stage: a bar for each arm and regime at the longest prompt, filled by its stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spanbench.show.report.plots.curves import CONVENTIONS, arm_name, regime_name
from spanbench.show.report.plots.picture import Axis, Bar, Part, Picture
from spanbench.show.report.summary import Bars, Section
from spanbench.units import short

__all__ = ["stage_pictures"]


def stage_pictures(section: Section, place: int, name: str) -> Iterator[Picture]:
    """Yield one picture of all regimes, where any has FLOPs by stage."""
    found = [bars for regime in section.regimes for bars in _longest(section, regime)]
    if found:
        yield _picture(section, place, name, found)


def _longest(section: Section, regime: str) -> Sequence[Bars]:
    """Return both arms' stages at the regime's longest prompt; of several lengths of answer the shortest."""
    bars = [one for one in section.bars if one.regime == regime and one.total > 0]
    if not bars:
        return []
    tokens = max(one.tokens for one in bars)
    generate = min((one.generate for one in bars if one.generate is not None), default=None)
    return [one for one in bars if one.tokens == tokens and one.generate == generate]


def _picture(section: Section, place: int, name: str, found: Sequence[Bars]) -> Picture:
    tokens = sorted({one.tokens for one in found})
    at = " and ".join(f"{n:,}" for n in tokens)
    convention = section.setup.convention
    return Picture(
        name=f"{name}-stages",
        kind="stages",
        section=place,
        title=f"Where the FLOPs go, N = {at}",
        where=section.setup.title,
        description=" ".join(f"{_label(one)}: {', '.join(part.text for part in _parts(one))}." for one in found),
        caption=f"Each bar is all of its arm, its FLOP above it. Source: counted. Convention {convention}: {CONVENTIONS[convention]}.",
        x=Axis("share of the arm's FLOP", "share"),
        y=Axis("", "flops"),
        bars=tuple(Bar(_label(one), _parts(one)) for one in found),
    )


def _label(bars: Bars) -> str:
    return f"{regime_name(bars.regime, bars.generate)}, {arm_name(bars.arm)}: {short('flops', bars.total)} FLOP"


def _parts(bars: Bars) -> tuple[Part, ...]:
    shares = [(stage, flops / bars.total) for stage, flops in bars.stages if flops > 0]
    return tuple(Part(stage, share, f"{stage} {_percent(share)}") for stage, share in shares)


def _percent(share: float) -> str:
    """Return a share with no digit that says nothing: 40%, 4.3%, 0.036%."""
    return f"{100 * share:.0f}%" if share >= 0.095 else f"{100 * share:.2g}%"
