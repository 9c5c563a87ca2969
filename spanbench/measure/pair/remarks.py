"""What a reader must know of a measured pair, each condition under its code, once. Nothing here changes a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from spanbench.judge.checks import Trend, outliers, trend
from spanbench.judge.precision import PILOT_BLOCKS, blocks_for, half_width, reaches
from spanbench.judge.stats import CONFIDENCE, Estimate, median, ratio_estimate
from spanbench.measure.caution import Caution
from spanbench.measure.pair.ratios import block_logs, joules_each, seconds_each
from spanbench.measure.pair.result import Blocks, PairMeasurement
from spanbench.measure.pair.schedule import SLOTS_PER_BLOCK
from spanbench.measure.pair.summary import why_unknown

__all__ = ["remarks"]

_FEW_BLOCKS = 4  # below this Student's t makes an interval so wide that a reader should be told why
_LATE = 1.1  # of the time allowed
_IDLE_DRIFT = 0.1  # of the mean of the rests


def remarks(found: PairMeasurement, elapsed: float, note: str) -> tuple[Caution, ...]:
    """Return the cautions of a pair that took `elapsed` seconds; `note` is what must be known of the meter's every figure."""
    time = [*_windows(found), *_length(found, elapsed), *_inconclusive(found, elapsed), *_null(found), *_drift(found), *_outliers(found)]
    return (*time, *_energy(found, note), *_from_the_meter(found))


def _windows(found: PairMeasurement) -> list[Caution]:
    seconds = {name: [slot.seconds for slot in found.slots if slot.arm == name] for name in found.arms}
    short = {name: middle for name, own in seconds.items() if (middle := median(own)) < found.window_s}
    if not short:
        return []
    told = ", ".join(f"{name} {middle:.3g} s" for name, middle in short.items())
    return [Caution("short-window", f"slots were shorter than the {found.window_s:g} s asked for: {told}")]


def _length(found: PairMeasurement, elapsed: float) -> list[Caution]:
    blocks, allowed, noted = len(found.order), found.plan.max_seconds, []
    if blocks < _FEW_BLOCKS:
        noted.append(Caution("few-blocks", f"{blocks} blocks were run (at most {allowed:.3g} s), so the intervals are wide"))
    if elapsed > _LATE * allowed:
        noted.append(Caution("over-time", f"slots and rests took {elapsed:.3g} s where {allowed:.3g} s were asked for"))
    return noted


def _inconclusive(found: PairMeasurement, elapsed: float) -> list[Caution]:
    if found.conclusive:
        return []
    ratios: dict[str, tuple[Estimate, Sequence[float | None]]] = {
        "seconds": (found.seconds_ratio, seconds_each(found.pair, _repeats(found)))
    }
    if found.joules_source == "measured" and found.joules_ratio.value is not None:
        ratios["joules"] = (found.joules_ratio, joules_each(found.pair, _repeats(found)))
    wide = {name: pair for name, pair in ratios.items() if not reaches(pair[0], found.plan.precision)}
    told = "; ".join(_width(name, ratio) for name, (ratio, _) in wide.items())
    needed = max(_more(block_logs(found.pair.letters, values), found.plan.precision) for _, values in wide.values())
    hint = f"; about {_likely(needed, found, elapsed):,.0f} s would likely do" if needed else ""
    return [Caution("inconclusive", f"{told}, where ±{100 * found.plan.precision:.3g}% was asked for{hint}")]


def _width(name: str, ratio: Estimate) -> str:
    width = half_width(ratio)
    return f"the ratio of {name} has no interval ({ratio.reason})" if width is None else f"the ratio of {name} is known to ±{width:.1%}"


def _more(logs: Sequence[float], precision: float) -> int:
    """Return how many blocks such a spread needs, or 0 where it is not known."""
    if len(logs) < 2:
        return 0
    mean = math.fsum(logs) / len(logs)
    return blocks_for(math.sqrt(math.fsum((value - mean) ** 2 for value in logs) / (len(logs) - 1)), precision)


def _likely(needed: int, found: PairMeasurement, elapsed: float) -> float:
    """Return the seconds that so many blocks would take with a pilot, at this run's pace."""
    ran = (len(found.pair.slots) + len(found.null.slots) + len(found.pilot.slots)) / SLOTS_PER_BLOCK
    return elapsed / ran * (1.5 * max(needed, len(found.order) + 2) + PILOT_BLOCKS)


def _null(found: PairMeasurement) -> list[Caution]:
    """Note an arm that differs from itself. Over seconds and measured joules together, chance does that in 5% of runs."""
    values: dict[str, Sequence[float | None]] = {"seconds": seconds_each(found.null, _repeats(found))}
    if found.joules_source == "measured" and found.null_joules.low is not None:
        values["joules"] = joules_each(found.null, _repeats(found))
    confidence = 1 - (1 - CONFIDENCE) / len(values)
    ratios = {name: ratio_estimate(block_logs(found.null.letters, own), confidence) for name, own in values.items()}
    told = [_ends(name, ratio) for name, ratio in ratios.items() if not _holds_one(ratio)]
    if not told:
        return []
    return [Caution("null-biased", f"an arm against itself came out away from 1: {', '.join(told)}; one run in 20 does so by chance")]


def _holds_one(ratio: Estimate) -> bool:
    return ratio.low is None or ratio.high is None or ratio.low <= 1 <= ratio.high


def _ends(name: str, ratio: Estimate) -> str:
    return f"{name} {ratio.value:.4f} ({ratio.low:.4f}–{ratio.high:.4f})"


def _drift(found: PairMeasurement) -> list[Caution]:
    told = []
    ratio = trend(*_counted(block_logs(found.pair.letters, seconds_each(found.pair, _repeats(found)))))
    if ratio.significant:
        told.append(f"the ratio itself by {ratio.percent:+.2g}% a block")
    arms = {name: drift for name in found.arms if (drift := _arm_drift(found.pair, name, found.plan.precision)) is not None}
    told += [f"{name} by {drift.percent:+.2g}% a slot" for name, drift in arms.items()]
    return [Caution("trend", f"seconds drifted during the run: {', '.join(told)}")] if told else []


def _arm_drift(pair: Blocks, name: str, precision: float) -> Trend | None:
    """Return an arm's trend where it is one and took the arm further than the precision asked: its own cancels in the ratio."""
    own = [(place, slot.seconds) for place, slot in zip(pair.places, pair.slots, strict=True) if slot.arm == name and slot.seconds > 0]
    found = trend([place for place, _ in own], [math.log(seconds) for _, seconds in own])
    far = abs(found.slope) * (pair.places[-1] - pair.places[0]) > math.log1p(precision)
    return found if found.significant and far else None


def _counted(logs: Sequence[float]) -> tuple[range, Sequence[float]]:
    return range(len(logs)), logs


def _outliers(found: PairMeasurement) -> list[Caution]:
    logs = block_logs(found.pair.letters, seconds_each(found.pair, _repeats(found)))
    far = outliers(logs)
    return (
        [Caution("outliers", f"{len(far)} of {len(logs)} blocks lie more than 5 robust sigmas from the median; none was removed")]
        if far
        else []
    )


def _energy(found: PairMeasurement, note: str) -> list[Caution]:
    if found.meter == "none":
        return []
    lost, noted = [slot for slot in found.slots if slot.joules is None], []
    if lost:
        code = "energy-unknown" if len(lost) == len(found.slots) else "energy-incomplete"
        noted.append(Caution(code, f"{len(lost)} of {len(found.slots)} slots have no joules: {why_unknown(lost)}"))
    if len(lost) < len(found.slots) and found.joules_source != "measured":
        noted.append(Caution(f"energy-{found.joules_source}", note))
    if found.energy_bound is not None and found.energy_bound > found.plan.precision:
        noted.append(Caution("energy-bound", f"a slot's joules may be off by {found.energy_bound:.2%}, more than the precision asked for"))
    return [*noted, *_idle(found)]


def _idle(found: PairMeasurement) -> list[Caution]:
    mean, low, high = found.idle_watts.value, found.idle_watts.low, found.idle_watts.high
    if not mean or low is None or high is None or high - low <= _IDLE_DRIFT * mean:
        return []
    return [Caution("idle-drift", f"at rest the machine drew between {low:.3g} W and {high:.3g} W; joules above rest are that uncertain")]


def _from_the_meter(found: PairMeasurement) -> list[Caution]:
    """Return the meter's own cautions, each code once, with the number of slots that had it."""
    seen: dict[str, list[str]] = {}
    for slot in found.slots:
        for caution in {caution.code: caution for caution in slot.energy.cautions}.values():
            seen.setdefault(caution.code, []).append(caution.text)
    return [Caution(code, f"{texts[0]} ({len(texts)} of {len(found.slots)} slots)") for code, texts in seen.items()]


def _repeats(found: PairMeasurement) -> Mapping[str, int]:
    return {name: arm.repeats for name, arm in found.arms.items()}
