"""The roofline: FLOP/s reached over FLOP a byte, below what the machine could (Williams et al., CACM 52(4), 2009)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from spanbench.show.report.plots.curves import CONVENTIONS, arm_name, regime_name, thin_note
from spanbench.show.report.plots.picture import Axis, Curve, Guide, Mark, Picture, Role, thinned
from spanbench.show.report.summary import Limits, Roof, Section
from spanbench.units import short

__all__ = ["roofline_pictures"]

_ROOM = 2.0
"""How far the limits are drawn beyond the outermost marks."""


def roofline_pictures(section: Section, place: int, name: str) -> Iterator[Picture]:
    """Yield one picture a regime whose time was measured beside the machine's limits."""
    for regime in section.regimes:
        roofs = [roof for roof in section.roofs if roof.regime == regime and roof.reached > 0 and roof.intensity > 0]
        if roofs:
            yield _picture(section, place, name, roofs)


def _picture(section: Section, place: int, name: str, roofs: Sequence[Roof]) -> Picture:
    regime, limits = roofs[0].regime, _best([roof.limits for roof in roofs])
    by_arm = {role: [roof for roof in roofs if roof.arm == role] for role in get_args(Role)}
    drawn = tuple(_curve(role, of) for role, of in by_arm.items() if of)
    convention = section.setup.convention
    return Picture(
        name=f"{name}-roofline-{regime.replace('_', '-')}",
        kind="roofline",
        section=place,
        title=f"Against the machine's limits, {regime_name(regime)}",
        where=section.setup.title,
        description=f"Both axes logarithmic. {' '.join(_described(role, of) for role, of in by_arm.items() if of)} {_limits(limits)}",
        caption=(
            f"{_limits(limits)}{_spread(roofs)} {thin_note(max(map(len, by_arm.values())))}"
            f"Source: FLOP and compulsory bytes counted, time measured; limits measured in the same runs, on {section.setup.machine}. "
            f"Convention {convention}: {CONVENTIONS[convention]}."
        ),
        x=Axis("FLOP per compulsory byte", "number"),
        y=Axis("FLOP/s", "flops"),
        curves=drawn,
        guides=tuple(_guides(limits, [roof.intensity for roof in roofs])),
    )


def _curve(role: Role, roofs: Sequence[Roof]) -> Curve:
    """Return an arm's marks by intensity: where prompts grow, work a byte grows too."""
    marks = (Mark(roof.intensity, roof.reached, "measured") for roof in sorted(roofs, key=lambda roof: (roof.intensity, roof.tokens)))
    spans = sorted({roof.tokens for roof in roofs})
    ends = f"N = {spans[0]:,}" + (f" … {spans[-1]:,}" if len(spans) > 1 else "")
    return Curve(f"{arm_name(role)}, {ends}", role, "measured", thinned(tuple(marks)))


def _best(limits: Sequence[Limits]) -> Limits:
    """Return the best of each limit: a limit that one run reached was there for all."""
    cached = [one.cached_bytes_per_second for one in limits if one.cached_bytes_per_second is not None]
    sizes = [one.cache_bytes for one in limits if one.cache_bytes is not None]
    return Limits(
        max(one.flops_per_second for one in limits),
        max(one.bytes_per_second for one in limits),
        max(cached, default=None),
        max(sizes, default=None),
    )


def _guides(limits: Limits, intensities: Sequence[float]) -> Iterator[Guide]:
    low, high = min(intensities) / _ROOM, max(intensities) * _ROOM
    yield _roof("limit, bytes from memory", limits.flops_per_second, limits.bytes_per_second, low, high)
    if limits.cached_bytes_per_second is not None and limits.cached_bytes_per_second > limits.bytes_per_second:
        yield _roof("limit, bytes from the last cache", limits.flops_per_second, limits.cached_bytes_per_second, low, high, dashed=True)


def _roof(label: str, peak: float, rate: float, low: float, high: float, *, dashed: bool = False) -> Guide:
    ridge = peak / rate
    xs = [low, *([ridge] if low < ridge < high else []), high]
    return Guide(label, tuple((x, min(peak, rate * x)) for x in xs), dashed)


def _limits(limits: Limits) -> str:
    cached = limits.cached_bytes_per_second
    cache = f", {_rate(cached)}B/s from the last cache" if cached is not None else ""
    return f"Limits: {_rate(limits.flops_per_second)}FLOP/s, {_rate(limits.bytes_per_second)}B/s from memory{cache}."


def _rate(value: float) -> str:
    """Return a rate with a decimal prefix, ready for its unit: '156 G'."""
    text = short("flops", value)
    return text if text[-1].isalpha() else f"{text} "


def _spread(roofs: Sequence[Roof]) -> str:
    different = len({roof.limits for roof in roofs})
    return f" Each is the best of {different:,} runs." if different > 1 else ""


def _described(role: Role, roofs: Sequence[Roof]) -> str:
    shares = [roof.fraction for roof in roofs if roof.fraction is not None]
    reached = f"{100 * min(shares):.2g}% to {100 * max(shares):.2g}% of its limit" if shares else "an unknown share of its limit"
    rates = f"{_rate(min(r.reached for r in roofs))}FLOP/s to {_rate(max(r.reached for r in roofs))}FLOP/s"
    return f"The {arm_name(role)} reached {rates}, {reached}."
