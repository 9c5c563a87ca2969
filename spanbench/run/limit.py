"""Each arm against the machine's limit: what its counts would take at best, and how much of that it reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.caution import Caution
from spanbench.measure.energy.protocol import Cost
from spanbench.measure.limits.limits import Limits
from spanbench.measure.limits.roofline import Roofline, roofline
from spanbench.point import Regime
from spanbench.record import Measure
from spanbench.run.rows import measured, with_ratios
from spanbench.tally import Tally
from spanbench.units import interval, ratio_text, short

__all__ = ["Reached", "reached", "roofline_cautions", "roofline_measures", "why_not"]

_ALIKE = 0.1
"""Ratios and shares of a limit that are less than a tenth apart are not worth an explanation."""


@dataclass(frozen=True, slots=True)
class Reached:
    """One arm in one regime: its roofline, and the seconds that were measured."""

    arm: str
    roofline: Roofline
    seconds: Estimate

    @property
    def fraction(self) -> Estimate:
        """Return roofline ÷ measured seconds; the slowest slot gives the low end."""
        best, took = self.roofline.seconds, self.seconds
        if not (took.value and took.low and took.high):
            return unknown(took.reason or "no time was measured")
        return Estimate(best / took.value, best / took.high, best / took.low)


def reached(totals: Mapping[str, Tally], seconds: Mapping[str, Estimate], limits: Limits, steps: int = 1) -> dict[str, Reached]:
    """Set each arm's counted total in one regime beside its measured seconds.

    FLOPs are useful ones: a kernel that skips masked cells must not exceed its limit by doing less than was counted.

    Args:
        totals: the tally of stage `total`, by arm.
        seconds: median and range of an arm's slots, per repeat of its work.
        limits: the machine's.
        steps: what the tallies sum over (`Point.steps`).
    """
    costs = {arm: Cost(total.flops("useful"), total.bytes_compulsory) for arm, total in totals.items()}
    return {arm: Reached(arm, roofline(cost, limits, steps), seconds[arm]) for arm, cost in costs.items() if arm in seconds}


def roofline_measures(found: Mapping[str, Reached], regime: Regime, limits: Limits, steps: int = 1) -> list[Measure]:
    """Return `roofline_seconds` and `roofline_fraction` of each arm, and the ratio of the former."""
    row = partial(_row, regime=regime, limits=limits, steps=steps)
    bounds = [row(arm, "roofline_seconds", Estimate(arm.roofline.seconds, None, None)) for arm in found.values()]
    return [*with_ratios(bounds), *(row(arm, "roofline_fraction", arm.fraction) for arm in found.values())]


def _row(arm: Reached, name: str, estimate: Estimate, regime: Regime, limits: Limits, steps: int) -> Measure:
    return measured(arm.arm, regime, name, estimate, "modelled", f"{_by(limits)}; {arm.roofline.bound} binds", steps)


def _by(limits: Limits) -> str:
    rates = f"{limits.flops_per_second / 1e9:,.4g} GFLOP/s, {limits.bytes_per_second / 1e9:,.4g} GB/s"
    cached = limits.bandwidth.cached_bytes_per_second
    return f"roofline: {rates}{f' ({cached / 1e9:,.4g} GB/s in the last cache)' if cached else ''}, measured in this run"


def roofline_cautions(found: Mapping[str, Reached], regime: Regime) -> list[Caution]:
    """Return a caution for each arm that was faster than its limit, which is then the limit's fault."""
    return [
        Caution(
            "limit-exceeded",
            f"{regime}: the {name} arm was {fraction:.2f} times as fast as its limit allows: that was measured too low",
        )
        for name, arm in found.items()
        if (fraction := arm.fraction.value) is not None and fraction > 1
    ]


def why_not(found: Mapping[str, Reached], regime: Regime, flops_ratio: float | None, seconds: Estimate) -> tuple[str, ...]:
    """Say in one or two sentences whether the saved FLOPs became saved seconds, and if not, why not.

    Both ratios are token ÷ latent; `seconds` is the measured one. Nothing is said where something of it is unknown.
    """
    token, latent = found.get("token"), found.get("latent")
    if not (token and latent and flops_ratio and seconds.value and token.fraction.value and latent.fraction.value):
        return ()
    at_best = token.roofline.seconds / latent.roofline.seconds
    told = f"{regime}: {ratio_text(flops_ratio)} in FLOPs became {ratio_text(seconds.value)}{_bounds(seconds)} in time"
    if seconds.value >= (1 - _ALIKE) * flops_ratio:
        return (f"{told}; {_share(token)}, {_share(latent)}.",)
    return (
        f"{told}, at these limits it could be {ratio_text(at_best)}; {_share(token)}, {_share(latent)}.",
        *(f"{regime}: {cause}" for cause in _cause(token, latent, flops_ratio)),
    )


def _bounds(ratio: Estimate) -> str:
    if ratio.low is None or ratio.high is None:
        return f" (no interval: {ratio.reason})"
    return f" ({interval('ratio:seconds', ratio.low, ratio.high)})"


def _share(arm: Reached) -> str:
    return f"{arm.arm} reached {short('roofline_fraction', arm.fraction.value or 0.0)} of its limit ({arm.roofline.bound})"


def _cause(token: Reached, latent: Reached, flops_ratio: float) -> tuple[str, ...]:
    """Return why time was saved less than FLOPs: bytes bind, or one arm is further from its limit than the other."""
    at_best = token.roofline.seconds / latent.roofline.seconds
    causes = []
    if at_best < (1 - _ALIKE) * flops_ratio:
        causes.append(_bytes_bind(token, latent))
    if (latent.fraction.value or 0) < (1 - _ALIKE) * (token.fraction.value or 0):
        causes.append("the latent arm loses more to what no FLOP counts: smaller products, element-wise work, calls")
    sentence = "; ".join(causes)
    return (f"{sentence}.",) if sentence else ()


def _bytes_bind(token: Reached, latent: Reached) -> str:
    """Say whose bytes are waited for; where none are, attention's cells differ (useful ones here, the convention's there)."""
    bound = [arm.arm for arm in (token, latent) if arm.roofline.bound == "memory"]
    if not bound:
        return "counted as useful cells alone, attention saves less"
    return f"the bytes of {'both arms' if len(bound) == 2 else f'the {bound[0]} arm'} are waited for, and they shrink less than FLOPs"
