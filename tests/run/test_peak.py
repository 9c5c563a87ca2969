"""Peak memory in real processes: against what the counts know, and whatever ends them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psutil
import pytest

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.errors import SpanbenchError
from spanbench.point import Point, Regime
from spanbench.request import point_of
from spanbench.run.peak import peak_measures
from tests.run.running import TINY, Progress
from tests.waiting import gone

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

MIB = 1 << 20


def asked(**request: Any) -> tuple[Point, list[list[int]]]:
    """Return a tiny point with some of its request changed, and its ids with what follows them."""
    point, prompt, _ = point_of(replace(TINY, **request))
    return point, [[*row, *tail] for row, tail in zip(prompt.ids, prompt.following(point.said), strict=True)]


def peaks(point: Point, ids: Sequence[Sequence[int]], **limit: float) -> dict[tuple[str, str], int | float | None]:
    return {(row.arm, row.regime): row.value for row in peak_measures(point, ids, Progress(), **limit)}


def weights(point: Point, ids: Sequence[Sequence[int]]) -> dict[str, int]:
    prompts = [row[: point.tokens] for row in ids]
    forms = closed_form(point, "score", distinct_rows(prompts, point))
    return {arm: stages["total"].params * point.itemsize for arm, stages in forms.items()}


WIDE = {"layers": 1, "decoder.layers": 1, "vocab": 40_000}


def test_each_arm_holds_its_weights_and_what_it_says_of_memory_is_measured() -> None:
    point, ids = asked(shape=WIDE, regimes=("score", "prefill", "decode", "decode_worst"))
    rows = peak_measures(point, ids, Progress())
    assert {(row.arm, row.regime) for row in rows} == {(a, r) for a in ("token", "latent", "pair") for r in ("score", "prefill", "decode")}
    assert {row.source for row in rows} == {"measured"}
    for row in rows:
        assert row.value is not None, row.reason
        if row.arm in weights(point, ids):
            assert row.value >= 0.98 * weights(point, ids)[row.arm]  # the kernel sums pages of each core up late


def test_more_weights_raise_the_peak_by_as_much() -> None:
    (small, ids), (large, _) = asked(shape=WIDE, regimes=("prefill",)), asked(shape={**WIDE, "vocab": 300_000}, regimes=("prefill",))
    before, after = peaks(small, ids), peaks(large, ids)
    for arm, size in weights(large, ids).items():
        planted = size - weights(small, ids)[arm]
        assert planted > 40 * MIB
        logits = 2 * (300_000 - 40_000) * 4  # the last row of them, and room for one more
        grown = (after[arm, "prefill"] or 0) - (before[arm, "prefill"] or 0)
        assert planted * 0.99 <= grown <= planted * 1.05 + logits


def test_what_cannot_be_allocated_is_null_with_the_reason_that_torch_gave() -> None:
    point, ids = asked(regimes=("prefill",))
    huge = replace(point, shape=replace(point.shape, vocab=10**13))
    for row in peak_measures(huge, ids, Progress()):
        assert row.value is None
        assert row.reason is not None
        assert "RuntimeError" in row.reason


def test_a_limit_in_time_ends_the_child_and_leaves_the_reason() -> None:
    point, ids = asked(regimes=("prefill",))
    rows = peak_measures(point, ids, Progress(), limit_s=0.01)
    assert {row.reason for row in rows} == {"it took longer than 0.01 s"}
    assert not own_children()


def test_an_arm_that_the_kernel_kills_does_not_take_the_other_with_it() -> None:
    point, ids = asked(tokens=2048, generate=4096, regimes=("prefill", "request"))
    killed: list[int] = []

    def kill_the_worker(_what: str, done: int, _of: int) -> None:
        if done == 1 and not killed:
            for worker in own_children(depth=2):
                killed.append(worker.pid)
                worker.kill()

    rows = {(row.arm, row.regime): row for row in peak_measures(point, ids[:1], Killer(kill_the_worker))}
    assert killed
    assert "killed by signal 9" in (rows["token", "request"].reason or "")
    assert rows["latent", "prefill"].value is not None


class Killer:
    """Is told of each figure while the process that measures is at the next one."""

    def __init__(self, act: Any) -> None:
        self.act, self.started = act, False

    def __call__(self, what: str, done: int, of: int) -> None:
        if self.started:
            self.act(what, done, of)
        self.started = True


def test_an_error_or_ctrl_c_in_between_ends_the_child() -> None:
    class Stop(SpanbenchError):
        pass

    def stop(_what: str, _done: int, _of: int) -> None:
        raise Stop("enough")

    point, ids = asked(regimes=("prefill",))
    with pytest.raises(Stop):
        peak_measures(point, ids, Killer(stop))
    assert not own_children()


ALONE = """
import os, sys
from dataclasses import replace
from tests.run.running import TINY
from spanbench.request import point_of
from spanbench.run.peak import peak_measures
point, prompt, _ = point_of(replace(TINY, tokens=2048, generate=4096, regimes=("prefill", "request")))
ids = [[*a, *b] for a, b in zip(prompt.ids, prompt.following(point.said))]
peak_measures(point, ids, lambda *_: print("told", flush=True))
"""


def test_nothing_survives_a_run_that_is_killed_and_nothing_is_printed() -> None:
    run = subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stderr is not None
    assert [run.stdout.readline() for _ in range(2)] == ["told\n", "told\n"]  # the first figure has come: a worker is at the second
    family = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    assert len(family) >= 2
    assert run.communicate()[1] == ""
    assert all(gone(process) for process in family)


def own_children(depth: int = 1) -> list[psutil.Process]:
    """Return this process's children, or theirs."""
    found = psutil.Process(os.getpid()).children()
    return found if depth == 1 else [grandchild for child in found for grandchild in child.children()]


@pytest.mark.gpu
@pytest.mark.parametrize("regime", ["score", "prefill", "decode", "request"])
def test_on_a_gpu_the_allocator_tells(regime: Regime) -> None:
    point, ids = asked(device="cuda", regimes=(regime,), shape=WIDE)
    found = peaks(point, ids)
    for arm, size in weights(point, ids).items():
        peak = found[arm, regime]
        assert peak is not None
        assert peak >= size
