"""The stages of real forwards, timed: what is asked for is answered, and what cannot be told says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from spanbench.judge.stats import Estimate
from spanbench.measure.energy import Meter, NullMeter
from spanbench.measure.pair.result import Plan
from spanbench.measure.stages.result import StagesMeasurement
from spanbench.model.pair import build_pair
from spanbench.point import REGIMES, SPOKEN, Point, Regime
from spanbench.request import Request, point_of
from spanbench.run.stages import stage_measures, time_stages
from spanbench.run.subjects import ids_tensor
from tests.measure.driven import DrivenMeter, World

PLAN = Plan(window_s=1e-4, max_seconds=0.01, blocks=4, warmups=1)
STAGES = {"token": ["embedding", "layers", "head"], "latent": ["embedding", "encoder", "mixer", "bridge", "decoder", "head"]}


def tiny(tokens: int = 27, **more: Any) -> Point:
    return point_of(replace(Request(preset="tiny", tokens=tokens, span=8), **more))[0]


def text_of(point: Point) -> Tensor:
    return ids_tensor([[token % 250 for token in range(point.tokens + 3)]] * point.batch, "cpu")


def timed(point: Point, regime: Regime, meter: Meter | None = None) -> StagesMeasurement:
    told: list[tuple[int, int]] = []
    found = time_stages(
        build_pair(point), point, regime, text_of(point), PLAN, meter or NullMeter(), lambda done, of: told.append((done, of))
    )
    assert told[-1] == (len(found.slots), len(found.slots))
    return found


@pytest.mark.parametrize("regime", REGIMES)
def test_every_stage_of_both_arms_has_its_seconds_and_each_arm_its_sum_over_the_whole(regime: Regime) -> None:
    rows = stage_measures(timed(tiny(), regime), regime)
    for arm, stages in STAGES.items():
        own = [row for row in rows if row.arm == arm]
        assert [row.stage for row in own if row.quantity == "seconds"] == stages
        assert all(row.value is not None and row.low is not None and 0 < row.low <= row.value for row in own)
        (over,) = [row for row in own if row.quantity == "stages_over_whole"]
        assert (over.stage, over.unit, over.source) == ("total", "ratio", "measured")
    assert {row.quantity for row in rows} == {"seconds", "stages_over_whole"}, "no meter, no joules"


def test_joules_stand_beside_the_seconds_where_a_meter_was_asked() -> None:
    rows = stage_measures(timed(tiny(), "score", DrivenMeter(World(), fault=lambda _: None)), "score")
    joules = [row for row in rows if row.quantity == "joules"]
    assert [row.stage for row in joules] == [stage for stages in STAGES.values() for stage in stages]
    assert all(row.value is None and row.reason and "0 J" in row.reason for row in joules), "this meter's clock stands still"


def test_without_a_complete_span_three_stages_do_not_run_and_say_so() -> None:
    rows = stage_measures(timed(tiny(tokens=5), "prefill"), "prefill")
    silent = {row.stage: row.reason for row in rows if row.arm == "latent" and row.value is None}
    assert silent == dict.fromkeys(("encoder", "mixer", "bridge"), "no span is complete, so this stage does not run")


def test_cross_attention_has_no_bridge() -> None:
    shape = {"cross_attention": True}
    rows = stage_measures(timed(tiny(shape=shape), "score"), "score")
    assert "bridge" not in {row.stage for row in rows if row.arm == "latent"}


@pytest.mark.parametrize("regime", SPOKEN)
def test_spoken_regimes_are_refused_with_the_reason(regime: Regime) -> None:
    point = tiny()
    with pytest.raises(ValueError, match=rf"{regime}: stages are timed in score and prefill alone: one step's stages are too short"):
        time_stages(build_pair(point), point, regime, text_of(point), PLAN, NullMeter(), lambda *_: None)


def test_known_estimates_become_rows_unchanged() -> None:
    found = timed(tiny(), "score")
    arm = replace(found.arms["token"], seconds_over_whole=Estimate(1.02, 0.99, 1.07))
    rows = stage_measures(replace(found, arms={"token": arm}), "score")
    assert (rows[-1].value, rows[-1].low, rows[-1].high) == (1.02, 0.99, 1.07)
    assert [row.value for row in rows[:-1]] == [stage.seconds.value for stage in arm.stages.values()]
