"""The documents' ratio beside the whole model's, against N; and the whole model's against the span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from spanbench.show.report.many import spread
from spanbench.show.report.plots.curves import alike, curve, ends, regime_name, sources_sentence, steps_note, thin_note
from spanbench.show.report.plots.picture import Axis, Curve, Guide, Mark, Picture, Role, thinned
from spanbench.show.report.summary import Across, Dot, Report, Section, Series, Setup
from spanbench.units import interval, ratio_text

__all__ = ["RATIOS", "across_pictures", "ratio_pictures"]

RATIOS: Mapping[str, tuple[Role, str]] = {
    "ratio:cells_dense": ("cells", "attention cells"),
    "ratio:flops": ("flops", "FLOPs"),
    "ratio:seconds": ("seconds", "time"),
    "ratio:joules": ("joules", "energy"),
}
_EQUAL = "1×: equal cost"
_HIGHER = "Above 1 the latent arm costs less."
_AXIS = Axis("token ÷ latent", "ratio:flops")


def ratio_pictures(section: Section, place: int, name: str) -> Iterator[Picture]:
    """Yield one picture a regime: what one layer mixes (the documents' ratio) and the whole model's ratios on one axis."""
    for regime in section.regimes:
        found = [_spanned(series) for what in RATIOS for series in alike(section, "pair", regime, what)]
        found = [series for series in found if series.dots]
        drawn = tuple(one for series in found if (one := curve(series.dots, _label(series), RATIOS[series.quantity][0])))
        if drawn:
            yield _picture(section, place, name, found, (*_documents(section), *drawn))


def _spanned(series: Series) -> Series:
    """Leave out prompts shorter than a span: without a latent the ratio says nothing about latents."""
    return replace(series, dots=tuple(dot for dot in series.dots if dot.spans))


def _label(series: Series) -> str:
    return f"{RATIOS[series.quantity][1]}, whole model ({series.source})"


def _documents(section: Section) -> tuple[Curve, ...]:
    """The documents count one layer's mixing: N × N cells against K × K."""
    marks = thinned(tuple(Mark(famous.tokens, famous.ratio, "counted") for famous in section.famous))
    return (Curve("N²÷K², one layer's mixing (documents)", "documents", "counted", marks),) if marks else ()


def _picture(section: Section, place: int, name: str, found: Sequence[Series], drawn: tuple[Curve, ...]) -> Picture:
    regime, series = found[0].regime, [one.dots for one in found]
    dots = list(chain(*series))
    steps = f"{note} " if (note := steps_note(regime)) else ""
    return Picture(
        name=f"{name}-ratios-{regime.replace('_', '-')}",
        kind="ratios",
        section=place,
        title=f"How much less? Token ÷ latent, {regime_name(regime, found[0].generate)}",
        where=section.setup.title,
        description=_described(section, found),
        caption=f"{_HIGHER} {steps}{_short(section)}{_bars(dots)}{thin_note(max(map(len, series)))}{sources_sentence(dots, section)}",
        x=Axis("N, tokens of the prompt", "tokens"),
        y=_AXIS,
        curves=drawn,
        guides=(_equal(drawn),),
    )


def _short(section: Section) -> str:
    return f"Prompts shorter than a span of {section.setup.span:,} are left out. " if section.tokens[0] < section.setup.span else ""


def _bars(dots: Sequence[Dot]) -> str:
    return "Bars are 95% intervals. " if any(dot.low is not None for dot in dots) else ""


def _equal(drawn: Sequence[Curve]) -> Guide:
    xs = [mark.x for one in drawn for mark in one.marks]
    return Guide(_EQUAL, ((min(xs), 1.0), (max(xs), 1.0)), dashed=True)


def _described(section: Section, found: Sequence[Series]) -> str:
    whole = "; ".join(f"{RATIOS[series.quantity][1]} {ends(series)}" for series in found)
    famous = section.famous[-1:]
    mixing = "".join(f"One layer's mixing: {ratio_text(one.ratio)} at N = {one.tokens:,}. " for one in famous)
    return f"Both axes logarithmic. {mixing}The whole model: {whole}."


def across_pictures(report: Report, names: Mapping[int, str]) -> Iterator[Picture]:
    """Yield one picture for each setup and regime: ratios against the span, each at the N that the report chose."""
    places = {section.setup: place for place, section in enumerate(report.sections)}
    groups: dict[tuple[Setup, str, int | None], list[Across]] = {}
    for across in report.across:
        if across.quantity in RATIOS:
            groups.setdefault((across.setup, across.regime, across.generate), []).append(across)
    for (setup, regime, generate), group in groups.items():
        found = sorted(group, key=lambda across: list(RATIOS).index(across.quantity))
        name = f"{names[places[setup]]}-across-{regime}".replace("_", "-") + (f"-{generate}" if generate is not None else "")
        lines = _lines(found)
        if lines:
            yield _across(report.sections[places[setup]], len(report.sections), name, found, lines)


def _lines(found: Sequence[Across]) -> tuple[Curve, ...]:
    lines = [
        curve(
            [one.dot for one in across.dots],
            f"{word}, N = {across.tokens:,} ({across.dots[0].dot.source})",
            role,
            [one.span for one in across.dots],
        )
        for across in found
        for role, word in (RATIOS[across.quantity],)
    ]
    return tuple(line for line in lines if line)


def _across(section: Section, place: int, name: str, found: Sequence[Across], lines: tuple[Curve, ...]) -> Picture:
    dots = [one.dot for across in found for one in across.dots]
    regime = found[0].regime
    setup = section.setup
    return Picture(
        name=name,
        kind="across",
        section=place,
        title=f"Ratio against the span, {regime_name(regime, found[0].generate)}",
        where=" · ".join([setup.preset, setup.allocation, *([f"batch {setup.batch:,}"] if setup.batch > 1 else [])]),
        description=f"Both axes logarithmic. {'; '.join(_spans(across) for across in found)}.",
        caption=f"{_HIGHER} {_bars(dots)}{thin_note(max(len(one.dots) for one in found))}{sources_sentence(dots, section)}",
        x=Axis("S, tokens of a span", "tokens"),
        y=_AXIS,
        curves=lines,
        guides=(_equal(lines),),
    )


def _spans(across: Across) -> str:
    by_span: dict[int, list[Dot]] = {}
    for one in across.dots:
        by_span.setdefault(one.span, []).append(one.dot)
    values = ", ".join(f"{_ratios(dots)} at span {span:,}" for span, dots in by_span.items())
    return f"{RATIOS[across.quantity][1]} at N = {across.tokens:,}: {values}"


def _ratios(dots: Sequence[Dot]) -> str:
    """Return the ratios of one span in words."""
    if many := spread(dots):
        return f"{ratio_text(many.middle)} (median of {many.count:,}, {interval('ratio:flops', many.low, many.high)})"
    return " and ".join(ratio_text(dot.value) for dot in dots)
