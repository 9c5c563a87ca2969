"""What is timed is what was counted: the same matrix operations, each time again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from spanbench.count.extents import tensors_in
from spanbench.count.ledger import Operation, run_ledger
from spanbench.count.rules import name_of
from spanbench.model.pair import Model, build_pair
from spanbench.point import REGIMES, Point, Regime
from spanbench.run.spoken import spoken
from spanbench.run.subjects import subject_of
from spanbench.run.work import Work, work_of
from tests.run.speaking import speaking_point, text_of


class Seen(TorchDispatchMode):
    """Every operation in its order, by name and shapes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self.operations: list[Operation] = []

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Note it and let it run."""
        self.operations.append((name_of(func), tuple(tuple(tensor.shape) for tensor in tensors_in(args))))
        return func(*args, **(kwargs or {}))


def seen_in(work: Work) -> list[Operation]:
    seen = Seen()
    with torch.inference_mode(), seen:
        work()
    return seen.operations


def matrix_operations(operations: Sequence[Operation], like: Counter[Operation]) -> Counter[Operation]:
    """Return those of the kinds that a census holds."""
    names = {name for name, _ in like}
    return Counter(operation for operation in operations if operation[0] in names)


def steps_in(point: Point, regime: Regime) -> int:
    return point.generate - 1 if regime == "request" else point.span


def slot_again(point: Point, model: Model, text_BxT: torch.Tensor) -> Counter[Operation]:
    """Return the one product that no count of a request holds: without decoder layers, window K's slot is made twice.

    Steps add it to each token, and it is not in the state that a prefill leaves: c_K is.
    """
    bridge = getattr(model, "bridge", None)
    if bridge is None or point.shape.decoder.layers or not point.windows.complete:
        return Counter()
    return Counter([("linear", ((len(text_BxT), 1, point.shape.mixer.width), tuple(bridge.weight.shape)))])


@pytest.mark.parametrize("seed", range(24))
def test_a_request_is_its_prefill_and_all_steps_but_one_that_were_counted(seed: int) -> None:
    point = replace(speaking_point(seed), dtype="float32")
    text, rows = text_of(point)
    for arm, model in build_pair(point).arms().items():
        work = work_of(model, "request", text, point.tokens, point.generate - 1)
        counted = spoken(point, arm, model, "request", rows, text_BxT=text, every=True).census
        assert matrix_operations(seen_in(work), counted) == counted + slot_again(point, model, text), f"{arm} at {point}"
        assert matrix_operations(seen_in(work), counted) == counted + slot_again(point, model, text), "the second time"


@pytest.mark.parametrize("seed", range(24))
def test_decode_takes_the_steps_that_were_counted_and_goes_back_each_time(seed: int) -> None:
    """The prompt is read outside; the cells of each step say how far the session had come, so the third call began where the first did."""
    point = replace(speaking_point(seed), dtype="float32")
    text, rows = text_of(point)
    for arm, model in build_pair(point).arms().items():
        work = work_of(model, "decode", text, point.tokens, point.span)
        first, second, third = (seen_in(work) for _ in range(3))
        assert first == second == third
        counted = spoken(point, arm, model, "decode", rows, text_BxT=text, every=True).census
        assert matrix_operations(first, counted) == counted, f"{arm} at {point}"


@pytest.mark.parametrize("regime", REGIMES)
def test_score_and_prefill_read_the_prompt_alone(regime: Regime) -> None:
    point = replace(speaking_point(3), dtype="float32")
    text, rows = text_of(point)
    for model in build_pair(point).arms().values():
        counted = run_ledger(subject_of(model, regime, text[:, : point.tokens], rows)).census
        assert matrix_operations(seen_in(work_of(model, regime, text, point.tokens, 0)), counted) == counted


@pytest.mark.parametrize("regime", ["decode", "request"])
def test_a_text_that_is_too_short_for_its_steps_is_refused(regime: Regime) -> None:
    point = replace(speaking_point(5), dtype="float32")
    text, _ = text_of(point)
    short = text[:, : point.tokens + 1]
    with pytest.raises(
        ValueError, match=rf"2 steps after {point.tokens} tokens need {point.tokens + 2} ids a prompt, got {point.tokens + 1}"
    ):
        work_of(build_pair(point).token, regime, short, point.tokens, 2)
