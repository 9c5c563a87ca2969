"""Witnesses run once for each shape and version: what agreed is remembered, and `--verify` asks again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from spanbench.count.distinct import Distinct
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.run.executed import Executed
from spanbench.run.witnessed import witnesses_agree

ONE_ROW = Distinct(1, 1, {"score": 1, "prefill": 1})
CHECKS = [
    "flops = 2 × fvcore",
    "flops = torch FlopCounterMode",
    "cells_dense = intercepted attention",
    "scores_dense = intercepted attention",
    "scores_dense = softmax witness",
]
THIN = {"layers": 1, "decoder.layers": 1}
POINT = Point(resolve("tiny", "lean", THIN, 4), tokens=10, span=4)


@pytest.fixture(autouse=True)
def remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPANBENCH_CACHE", str(tmp_path))
    return tmp_path / "witnesses.json"


def ask(point: Point = POINT, arm: str = "latent", *, verify: bool = False) -> list[str]:
    return witnesses_agree(Executed(ONE_ROW), point, arm, "score", verify=verify)


def brand(remembered: Path) -> int:
    """Write over what is remembered, so that an answer from memory shows; return how many agreements there are."""
    known = json.loads(remembered.read_text(encoding="utf-8"))
    remembered.write_text(json.dumps({key: ["from memory"] for key in known}), encoding="utf-8")
    return len(known)


def test_an_agreement_is_asked_for_once(remembered: Path) -> None:
    assert ask() == CHECKS
    assert brand(remembered) == 1
    assert ask() == ["from memory"]
    assert ask(replace(POINT, seed=5, dtype="bfloat16")) == ["from memory"]  # the matrix work is the same
    assert ask(verify=True) == CHECKS


def test_another_shape_arm_or_length_is_another_question(remembered: Path) -> None:
    ask()
    brand(remembered)
    others = [replace(POINT, tokens=11), replace(POINT, batch=2), replace(POINT, shape=replace(POINT.shape, prefix=3))]
    assert all(ask(other) == CHECKS for other in others)
    assert ask(arm="token") == CHECKS


def test_the_dense_arm_is_the_same_whatever_it_is_compared_with(remembered: Path) -> None:
    ask(arm="token")
    brand(remembered)
    assert ask(Point(resolve("tiny", "block", THIN, 2), tokens=10, span=2), "token") == ["from memory"]


def test_a_deep_stack_is_witnessed_at_two_layers_and_whole_where_asked(remembered: Path) -> None:
    deep = Point(resolve("tiny", "lean", {**THIN, "mixer.layers": 9}, 4), tokens=10, span=4)
    assert ask(deep) == [f"{check} (deep stacks at 2 layers)" for check in CHECKS]
    assert ask(deep, verify=True) == CHECKS
    assert brand(remembered) == 2
