"""`--stages`: seconds and joules of each stage of both arms, on activations that a real forward left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from spanbench.judge.stats import unknown
from spanbench.measure.clock import synchronizer
from spanbench.measure.energy import Meter
from spanbench.measure.energy.protocol import Cost
from spanbench.measure.pair.result import Plan
from spanbench.measure.stages.measured import StagedArm, measure_stages
from spanbench.measure.stages.result import ArmStages, StagesMeasurement
from spanbench.model.pair import Model, Pair, forward
from spanbench.model.parts import Call, calls_of
from spanbench.point import SPOKEN, Point, Regime
from spanbench.record import Measure
from spanbench.run.rows import measured
from spanbench.tally import Tally

__all__ = ["SPOKEN_HAS_NO_STAGES", "stage_measures", "time_stages"]

SPOKEN_HAS_NO_STAGES = (
    "stages are timed in score and prefill alone: one step's stages are too short to be timed by themselves, "
    "and each changes the keys and values that the next call would read"
)
"""What to tell whoever asks for the stages of a spoken regime."""

_NO_SPAN = "no span is complete, so this stage does not run"
_BY = "perf_counter, each stage alone"


def time_stages(
    pair: Pair,
    point: Point,
    regime: Regime,
    text_BxT: Tensor,
    plan: Plan,
    meter: Meter,
    progress: Callable[[int, int], None],
    tallies: Mapping[str, Mapping[str, Tally]] | None = None,
) -> StagesMeasurement:
    """Run each arm once, keep what each stage is handed, then time every stage alone and the whole beside them.

    Args:
        pair: both arms, not compiled.
        point: its tokens and device.
        regime: score or prefill.
        text_BxT: the prompt, and maybe more ids after it, which are not read.
        plan: its window, its time (for all rounds together) and its warm-ups.
        meter: for the joules of every slot.
        progress: told (done, total) between slots.
        tallies: by arm and stage what was counted in this regime, for a meter that models joules from it.

    Raises:
        ValueError: a spoken regime; see `SPOKEN_HAS_NO_STAGES`.
        RuntimeError: a counter or profiler is active.
    """
    if regime in SPOKEN:
        raise ValueError(f"{regime}: {SPOKEN_HAS_NO_STAGES}")
    ids_BxN = text_BxT[:, : point.tokens]
    arms = [_staged(name, model, regime, ids_BxN, (tallies or {}).get(name, {})) for name, model in pair.arms().items()]
    with torch.inference_mode():
        return measure_stages(arms, plan, meter, synchronize=synchronizer(point.device), progress=progress)


def stage_measures(found: StagesMeasurement, regime: Regime) -> list[Measure]:
    """Return the rows: seconds of each stage, joules where a meter was asked, and of each arm the sum over the whole.

    Seconds and joules are per forward. A stage that does not run is null with its reason.
    """
    return [row for arm, stages in found.arms.items() for row in _rows(arm, stages, regime, found)]


def _staged(name: str, model: Model, regime: Regime, ids_BxN: Tensor, tallies: Mapping[str, Tally]) -> StagedArm:
    calls = calls_of(model, regime, ids_BxN)
    by_stage = {stage: [call for call in calls if call.stage == stage] for stage in model.stages().values()}
    return StagedArm(
        name,
        stages={stage: _all(own) for stage, own in by_stage.items() if own},
        whole=partial(forward, model, regime, ids_BxN),
        costs={stage: Cost(tally.flops(), tally.bytes_compulsory) for stage, tally in tallies.items()},
        absent={stage: _NO_SPAN for stage, own in by_stage.items() if not own},
    )


def _all(calls: Sequence[Call]) -> Callable[[], object]:
    """Return one call that makes all calls of a stage: the latent arm looks up embeddings twice."""
    if len(calls) == 1:
        return calls[0].again

    def run() -> None:
        for call in calls:
            call.again()

    return run


def _rows(arm: str, stages: ArmStages, regime: Regime, found: StagesMeasurement) -> Iterator[Measure]:
    """Yield an arm's rows. The whole's own are those of the pair, which has measured it longer."""
    seconds = {name: stage.seconds for name, stage in stages.stages.items()}
    joules = {name: stage.joules for name, stage in stages.stages.items()} if found.meter != "none" else {}
    absent = {name: unknown(reason) for name, reason in stages.absent.items()}
    for name, estimate in (seconds | absent).items():
        yield _of_stage(name, measured(arm, regime, "seconds", estimate, by=_BY))
    for name, estimate in (joules | absent if joules else {}).items():
        yield _of_stage(name, measured(arm, regime, "joules", estimate, found.joules_source, found.joules_by))
    yield measured(arm, regime, "stages_over_whole", stages.seconds_over_whole, by=_BY)


def _of_stage(name: str, row: Measure) -> Measure:
    return row.model_copy(update={"stage": name})
