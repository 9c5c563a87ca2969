"""What the committed records say of the documents' claims, as Markdown: ratios, exponents, and what became of the saved FLOPs.

Everything is computed from the sections of a report; no figure is typed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median_low

from spanbench import units
from spanbench.judge.fits import NEAR_CONSTANT, near_constant
from spanbench.show.report.many import spread
from spanbench.show.report.summary import Dot, Section, Series

__all__ = ["interpreted"]

REGIMES = ("score", "prefill", "decode")
EXAMPLES = ((24, 8), (2048, 32))
"""The documents' own: N and S."""
FIGURES = {"cells_dense": "attention cells", "flops": "FLOPs", "seconds": "time"}


def interpreted(sections: Sequence[Section]) -> Iterator[str]:
    """Yield the lines of the page: first the documents' scale, which is counted, then what was measured, then how all of it grows."""
    yield "## The documents' two examples, at their scale"
    yield ""
    yield from _examples([s for s in sections if s.setup.preset == "document"])
    measured = [s for s in sections if any(series.quantity == "seconds" and series.dots for series in s.series)]
    for tokens in _lengths(measured):
        yield ""
        yield f"## Measured: {tokens:,} tokens"
        yield ""
        yield from _measured(measured, tokens)
    yield ""
    yield "## A saved FLOP and a saved second"
    yield ""
    yield from _became(measured)
    yield ""
    yield "## “Near-constant scaling”"
    yield ""
    yield from _growth(sections)


def _examples(sections: Sequence[Section]) -> Iterator[str]:
    yield "| N / S | allocation | one layer's mixing | cells, score | prefill | FLOPs, score | prefill | decode |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for tokens, span in EXAMPLES:
        for section in sections:
            if section.setup.span == span and tokens in section.tokens:
                famous = next(one.ratio for one in section.famous if one.tokens == tokens)
                cells = [_ratio(section, regime, "cells_dense", tokens) for regime in REGIMES[:2]]
                flops = [_ratio(section, regime, "flops", tokens) for regime in REGIMES]
                figures = " | ".join([units.ratio_text(famous), *cells, *flops])
                yield f"| {tokens:,} / {span} | {section.setup.allocation} | {figures} |"
    yield ""
    yield (
        "Token ÷ latent, counted; above 1 the latent arm costs less. The documents' figure is the first: it is exact, and it is of the "
        "score matrix of one mixing layer. The rest is what the whole model saves."
    )


def _lengths(sections: Sequence[Section]) -> list[int]:
    """Return the longest length that most setups were timed at, and the longest of all."""
    timed = [{dot.tokens for dot in _dots(section, "pair", "prefill", "ratio:seconds")} for section in sections]
    if not timed:
        return []
    every = sorted(set().union(*timed))
    most = max(every, key=lambda n: (sum(n in one for one in timed), n))
    return sorted({most, every[-1]})


def _measured(sections: Sequence[Section], tokens: int) -> Iterator[str]:
    yield "| preset, allocation | span | FLOPs, score | time | FLOPs, prefill | time | FLOPs, decode | time |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for section in sections:
        if any(dot.tokens == tokens for dot in _dots(section, "pair", "prefill", "ratio:seconds")):
            pairs = (_ratio(section, regime, what, tokens) for regime in REGIMES for what in ("flops", "seconds"))
            yield f"| {section.setup.preset}, {section.setup.allocation} | {section.setup.span} | {' | '.join(pairs)} |"
    machines = sorted({section.setup.machine for section in sections})
    yield ""
    yield f"Token ÷ latent; FLOPs counted, time measured, in brackets its 95% interval. On {'; '.join(machines)}."


def _ratio(section: Section, regime: str, what: str, tokens: int) -> str:
    """Return a ratio at one length as text: with its interval where it has one, and of many runs the median and the ends."""
    name = f"{units.RATIO_PREFIX}{what}"
    dots = [dot for dot in _dots(section, "pair", regime, name) if dot.tokens == tokens]
    if many := spread(dots):
        return f"{units.ratio_text(many.middle)} ({units.interval(name, many.low, many.high)}, of {many.count})"
    return "; ".join(_text(name, dot) for dot in dots) or "–"


def _text(name: str, dot: Dot) -> str:
    if dot.low is None or dot.high is None:
        return units.ratio_text(dot.value)
    return f"{units.ratio_text(dot.value)} ({units.interval(name, dot.low, dot.high)})"


def _became(sections: Sequence[Section]) -> Iterator[str]:
    """Yield how much of the FLOP ratio became a ratio of times, over all timed points."""
    yield "| regime | points | ratio of times ÷ ratio of FLOPs: least | median | most | latent arm slower |"
    yield "|---|---:|---:|---:|---:|---:|"
    for regime in REGIMES:
        shares, slower = _shares(sections, regime)
        if shares:
            ends = " | ".join(f"{value:.2f}" for value in (min(shares), median_low(shares), max(shares)))
            yield f"| {regime} | {len(shares)} | {ends} | {slower} |"
    yield ""
    yield (
        "1 would be a saved second for each saved FLOP. Below it the rest goes to what no FLOP counts: smaller products, element-wise "
        "work, calls; above it (in decode) the latent arm saves more bytes than FLOPs. “Slower” counts points whose ratio of times is "
        "below 1. Prompts without a complete span have no latent and are left out."
    )


def _shares(sections: Iterable[Section], regime: str) -> tuple[list[float], int]:
    shares, slower = [], 0
    for section in sections:
        flops = {dot.tokens: dot.value for dot in _dots(section, "pair", regime, "ratio:flops")}
        for dot in _dots(section, "pair", regime, "ratio:seconds"):
            if dot.spans and dot.tokens in flops:
                shares.append(dot.value / flops[dot.tokens])
                slower += dot.value < 1
    return shares, slower


def _growth(sections: Sequence[Section]) -> Iterator[str]:
    yield "| regime | figure | setups | latent arm grows as N^ | token arm | near-constant: holds | refuted | undecided |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for regime in REGIMES:
        for what, name in FIGURES.items():
            latent, token = (_fitted(sections, arm, regime, what) for arm in ("latent", "token"))
            judged = [near_constant(series.fit) for series in latent]
            counts = " | ".join(str(judged.count(verdict)) for verdict in ("holds", "refuted", "undecided"))
            if latent:
                yield f"| {regime} | {name} | {len(latent)} | {_exponents(latent)} | {_exponents(token)} | {counts} |"
    yield ""
    yield (
        "Exponents of least squares in logarithms, from three lengths on, smallest to largest over the setups. A figure counts as "
        f"near-constant if its 95% interval lies below {NEAR_CONSTANT} (twice the prompt costs at most 15% more), as refuted if it lies "
        "above. Decode is one span of one-token steps: where the token arm's exponent is small too, being near-constant there is no "
        "advantage of latents. Every fit, with its interval and the exponent that it is heading for, is in the reports of "
        "[document](report/document/report.md) and [small](report/small/report.md)."
    )


def _fitted(sections: Iterable[Section], arm: str, regime: str, what: str) -> list[Series]:
    found = (section.find(arm, regime, what) for section in sections)
    return [series for series in found if series and series.fit.exponent is not None]


def _exponents(series: Sequence[Series]) -> str:
    found = sorted(one.fit.exponent for one in series if one.fit.exponent is not None)
    return f"{found[0]:.2f} – {found[-1]:.2f}".replace("-0.00", "0.00") if found else "–"


def _dots(section: Section, arm: str, regime: str, quantity: str) -> Sequence[Dot]:
    series = section.find(arm, regime, quantity)
    return series.dots if series else ()
