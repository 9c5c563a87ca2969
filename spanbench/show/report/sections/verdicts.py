"""The documents' "near-constant scaling", judged by fitted exponents and said in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from spanbench.judge.fits import Fit, growth, near_constant
from spanbench.point import ALL_REGIMES, Regime
from spanbench.show.report.summary import Series, Verdict

__all__ = ["JUDGED", "exponent_text", "verdicts"]

JUDGED = ("cells_dense", "flops", "seconds")
"""What the statement could be of, in the order in which it is told."""

_GROWS = {"cells_dense": "attention cells grow", "flops": "FLOPs grow", "seconds": "time grows"}
_NAMES = {"cells_dense": "attention cells", "flops": "FLOPs", "seconds": "time"}
_SAID = {"holds": "near-constant", "refuted": "not near-constant", "undecided": "too uncertain to call it near-constant or not"}


def verdicts(series: Sequence[Series]) -> Iterator[Verdict]:
    """Yield one verdict for each judged quantity of the latent arm, in every regime; those without an exponent together."""
    latent = sorted((s for s in series if s.arm == "latent" and s.dots and s.quantity in JUDGED), key=_order)
    yield from (_verdict(s, _other(series, s)) for s in latent if s.fit.exponent is not None)
    without: dict[str, list[Series]] = {}
    for s in latent:
        if s.fit.exponent is None:
            without.setdefault(s.fit.reason or "", []).append(s)
    yield from (_none(reason, found) for reason, found in without.items())


def _order(series: Series) -> tuple[int, int]:
    return ALL_REGIMES.index(cast("Regime", series.regime)), JUDGED.index(series.quantity)


def _none(reason: str, found: Sequence[Series]) -> Verdict:
    """Return the verdict on figures that have no exponent, all for one reason."""
    what = ", ".join(dict.fromkeys(_NAMES[s.quantity] for s in found))
    where = ", ".join(dict.fromkeys(_regime(s) for s in found))
    return Verdict("", "", "undecided", f"No exponent for the latent arm's {what} ({where}): {reason}.")


def _other(series: Sequence[Series], latent: Series) -> Series | None:
    wanted = ("token", latent.regime, latent.quantity, latent.source, latent.generate)
    return next((s for s in series if (s.arm, s.regime, s.quantity, s.source, s.generate) == wanted), None)


def _verdict(latent: Series, token: Series | None) -> Verdict:
    what = f"{_regime(latent)}: the latent arm's {_GROWS[latent.quantity]}"
    judgement = near_constant(latent.fit)
    ends = [dot.tokens for dot in latent.dots if dot.spans]
    beside = f"; the token arm's: {_grown(token.fit)}" if token and token.fit.exponent is not None else ""
    sentence = (
        f"{what} as {exponent_text(latent.fit)} from {ends[0]:,} to {ends[-1]:,} tokens{_last(latent.fit)}: "
        f"{growth(latent.fit)}, {_SAID[judgement]}{beside}."
    )
    return Verdict(latent.regime, latent.quantity, judgement, sentence)


def _regime(series: Series) -> str:
    return series.regime if series.generate is None else f"{series.regime} of {series.generate:,} tokens"


def _grown(found: Fit) -> str:
    return f"{exponent_text(found)}, {growth(found)}"


def _last(found: Fit) -> str:
    """Return the exponent between the two longest prompts: where the figure is heading."""
    return f" (N^{_digits(found.local[-1].exponent)} between the last two)" if found.local else ""


def exponent_text(found: Fit) -> str:
    """Return 'N^1.93 [1.85, 2.01]', or a dash where there is no exponent."""
    if found.exponent is None or found.low is None or found.high is None:
        return "–"
    return f"N^{_digits(found.exponent)} [{_digits(found.low)}, {_digits(found.high)}]"


def _digits(value: float) -> str:
    """Return two decimals, and no minus before a zero."""
    return f"{value + 0.0 if abs(value) >= 0.005 else 0.0:.2f}"
