"""The closing sentences: the famous ratio beside the whole model's, and where the rest went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spanbench.point import SPOKEN
from spanbench.record import Measure
from spanbench.show.documents import attention_size, mixed
from spanbench.show.reading import Reading
from spanbench.show.speaking import DEAREST
from spanbench.units import interval, ratio_text

__all__ = ["attention_flops", "closing", "shares"]

_NAMES = {"decode": "the decode steps of one span", "decode_worst": "the dearest of them", "request": "a whole request"}

STAGES = ("encoder", "mixer", "bridge", "decoder", "head")


def closing(reading: Reading) -> str:
    """Return one paragraph: N × N against K × K, the whole model's ratios, and what keeps them apart."""
    return " ".join(_sentences(reading))


def _sentences(reading: Reading) -> Iterator[str]:
    token, latent = mixed(reading).cells
    if reading.regimes[0] in SPOKEN:  # its cells are a sum over steps, no square
        yield f"In speaking the whole model does {_flop_ratios(reading)}."
    elif token is None or not latent:
        yield f"The latent arm mixes nothing here, so there is no attention ratio; the whole model does {_flop_ratios(reading)}."
    else:
        yield (
            f"The attention that mixes shrinks {ratio_text(token / latent)} ({attention_size(token)} to {attention_size(latent)}); "
            f"the whole model does {_flop_ratios(reading)}."
        )
    yield from _where_the_rest_went(reading)
    yield from _in_time(reading)
    yield from _dearest_step(reading)


def _flop_ratios(reading: Reading) -> str:
    parts = [_fewer(regime, reading.ratio(regime, "flops")) for regime in reading.regimes]
    return _listed([part for part in parts if part]) or "an unknown share of the FLOPs"


def _listed(parts: Sequence[str]) -> str:
    """Join by commas, the last two by 'and'."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def _named(regime: str) -> str:
    return _NAMES.get(regime, regime)


def _fewer(regime: str, ratio: int | float | None) -> str:
    if ratio is None:
        return ""
    named = _named(regime)
    return f"{ratio_text(ratio)} fewer FLOPs in {named}" if ratio >= 1 else f"{ratio_text(1 / ratio)} MORE FLOPs in {named}"


def _where_the_rest_went(reading: Reading) -> Iterator[str]:
    regime = reading.regimes[0]
    total = reading.number("token", regime, "flops")
    part = attention_flops(reading, regime) / total if total else 0
    if part:
        bound = f", so even free attention would save at most {ratio_text(1 / (1 - part))}" if part < 1 else ""
        yield f"Attention is {_percent(part)} of the token arm's {regime} FLOPs{bound}: the rest are projections, MLPs and the head."
    by_size = sorted(shares(reading, regime).items(), key=lambda item: -item[1])
    named = [f"{stage} {_percent(part)}" for stage, part in by_size if part > 0]
    if named:
        yield f"The latent arm spends its {regime} FLOPs on {', '.join(named)}."
    if regime == "score" and "prefill" in reading.regimes and reading.windows.complete:
        yield "In prefill its decoder runs the open window alone and its head one row."


def attention_flops(reading: Reading, regime: str) -> int:
    """Return the token arm's attention FLOPs: 4·E a head and cell (QKᵀ and AV), 4·D a cell, by the record's convention."""
    convention = reading.record.convention
    cells = reading.number("token", regime, "cells_useful" if convention == "useful" else "cells_dense") or 0
    flops = 4 * reading.stack("token", "width") * int(cells)
    return flops // 2 if convention == "causal-half" else flops


def shares(reading: Reading, regime: str) -> dict[str, float]:
    """Return each stage's part of the latent arm's FLOPs, from 0 to 1."""
    total = reading.number("latent", regime, "flops")
    if not total:
        return {}
    return {stage: (reading.number("latent", regime, "flops", stage) or 0) / total for stage in STAGES}


def _percent(part: float) -> str:
    """Return a share with no digit that says nothing: 40%, 4.3%, 0.036%."""
    return f"{100 * part:.0f}%" if part >= 0.095 else f"{100 * part:.2g}%"


def _speed(ratio: int | float) -> str:
    return f"{ratio_text(ratio)} as fast" if ratio >= 1 else f"{ratio_text(1 / ratio)} SLOWER"


def _bounds(ratio: Measure) -> str:
    """Return the interval the way the figure before it is put: of a slower arm, of how much slower."""
    if ratio.low is None or ratio.high is None or not ratio.low or ratio.value is None:
        return ""
    low, high = (ratio.low, ratio.high) if ratio.value >= 1 else (1 / ratio.high, 1 / ratio.low)
    return f" ({interval(ratio.quantity, low, high)})"


def _doubt(ratio: Measure) -> str:
    """Say so where the interval holds 1, or where there is none: no difference was shown."""
    if ratio.low is None or ratio.high is None:
        return " (no interval, so nothing is shown)"
    return " (no difference is shown: the interval of the ratio holds 1)" if ratio.low <= 1 <= ratio.high else ""


def _precision(reading: Reading, regime: str) -> str:
    """Say so where the interval is wider than was asked for."""
    schedule = reading.record.environment.get("schedule")
    run = schedule.get(regime) if isinstance(schedule, dict) else None
    if not isinstance(run, dict) or run.get("conclusive") is not False or not isinstance(run["precision"], float):
        return ""
    return f" – inconclusive at ±{100 * run['precision']:.3g}%"


def _in_time(reading: Reading) -> Iterator[str]:
    parts = []
    for regime in reading.regimes:
        ratio = reading.measure("pair", regime, "ratio:seconds")
        if ratio is None or ratio.value is None:
            continue
        parts.append(f"{_speed(ratio.value)}{_bounds(ratio)} in {_named(regime)}{_doubt(ratio)}{_precision(reading, regime)}")
    if parts:
        yield f"On the clock of this machine the latent arm is {_listed(parts)}."


def _dearest_step(reading: Reading) -> Iterator[str]:
    """Say where speaking hesitates: the latent arm's dearest step against the dense arm's, in time and in FLOPs."""
    found = (reading.ratio(*place) for place in DEAREST)
    ratios = {"the time": next((ratio for ratio in found if ratio), None), "the FLOPs": reading.ratio("decode_worst", "flops")}
    dearer = [f"{ratio_text(1 / ratio)} {what}" for what, ratio in ratios.items() if ratio and ratio < 1]
    if dearer:
        span = reading.size("span")
        when = f"once every {span:,} tokens" if span > 1 else "every token"
        yield f"The latent arm's dearest step, {when}, costs MORE than the dense arm's: {_listed(dearer)}."
