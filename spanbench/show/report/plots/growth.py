"""Cells, FLOPs, time and energy against N, both arms, each with its fitted exponent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import get_args

from spanbench.show.report.plots.curves import alike, arm_name, curve, ends, regime_name, sources_sentence, steps_note, thin_note
from spanbench.show.report.plots.picture import Axis, Curve, Picture, Role
from spanbench.show.report.sections.verdicts import exponent_text
from spanbench.show.report.summary import Section, Series
from spanbench.units import quantity

__all__ = ["GROWING", "growth_pictures"]

GROWING = ("cells_dense", "flops", "seconds", "joules")
_ARMS: tuple[Role, Role] = ("token", "latent")
_NAMES = {"cells_dense": "Attention cells", "flops": "FLOPs", "seconds": "Time", "joules": "Energy"}
_FIT = "N^k: least squares in logarithms over lengths with a complete span, 95% Student t in brackets."


def growth_pictures(section: Section, place: int, name: str) -> Iterator[Picture]:
    """Yield a picture of each quantity and regime that an arm has figures of at two lengths; `name` is the section's."""
    for regime in section.regimes:
        for what in GROWING:
            found = [series for arm in _ARMS for series in alike(section, arm, regime, what)]
            curves = [_curve(series) for series in found]
            drawn = tuple(one for one in curves if one)
            if len({mark.x for one in drawn for mark in one.marks}) >= 2:
                yield _picture(section, place, name, found, drawn)


def _curve(series: Series) -> Curve | None:
    source = f", {series.source}" if series.source != "counted" else ""
    label = f"{arm_name(series.arm)}{source}{_grows(series, ': ')}"
    role = next(role for role in get_args(Role) if role == series.arm)
    return curve(series.dots, label, role)


def _picture(section: Section, place: int, name: str, found: list[Series], drawn: tuple[Curve, ...]) -> Picture:
    what, regime = found[0].quantity, found[0].regime
    known, dots = quantity(what), [series.dots for series in found]
    fits = f"{_FIT} " if any(series.fit.exponent is not None for series in found) else ""
    steps = f"{note} " if (note := steps_note(regime)) else ""
    return Picture(
        name=f"{name}-{what.replace('_', '-')}-{regime.replace('_', '-')}",
        kind=what,
        section=place,
        title=f"{_NAMES[what]} against N, {regime_name(regime, found[0].generate)}",
        where=section.setup.title,
        description=_described(found),
        caption=f"{steps}{_bars(found)}{_why_none(found)}{fits}{thin_note(max(map(len, dots)))}{sources_sentence(chain(*dots), section)}",
        x=Axis("N, tokens of the prompt", "tokens"),
        y=Axis(known.label if known.label == known.unit else f"{known.label} [{known.unit}]", what),
        curves=drawn,
    )


def _described(found: list[Series]) -> str:
    grown = [f"{arm_name(series.arm)} {ends(series)}{_grows(series, ', growing as ')}" for series in found]
    return f"Both axes logarithmic. {'; '.join(grown)}."


def _grows(series: Series, before: str) -> str:
    return f"{before}{exponent_text(series.fit)}" if series.fit.exponent is not None else ""


def _bars(found: list[Series]) -> str:
    """Say what the ends of a bar are: an arm's range of slots, no confidence interval."""
    has = any(dot.low is not None for series in found for dot in series.dots)
    return "Bars: the smallest and the largest slot. " if has else ""


def _why_none(found: list[Series]) -> str:
    reasons = sorted({series.fit.reason for series in found if series.fit.reason})
    return "".join(f"No exponent: {reason}. " for reason in reasons)
