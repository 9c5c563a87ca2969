"""A forward taken apart: its stages, made one after another on what they were handed, are the whole, to the last bit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spanbench.count.distinct import distinct_rows
from spanbench.count.ledger import Counted, run_ledger
from spanbench.model.pair import Model, build_pair, forward
from spanbench.model.parts import Call, calls_of
from spanbench.model.state import Keep
from spanbench.point import POOLS, REGIMES, Point, Regime
from spanbench.presets import ALLOCATIONS
from spanbench.request import Request, point_of
from spanbench.run.subjects import ids_tensor, subject_of
from tests.shapes import kinds, seeded_ids, seeded_point

SEEDS = range(120)


def double(seed: int) -> Point:
    return replace(seeded_point(seed), dtype="float64")


def allocated(allocation: str, tokens: int, batch: int) -> Point:
    """Return a point of the smallest preset, in double precision."""
    return point_of(Request(preset="tiny", allocation=allocation, tokens=tokens, span=8, batch=batch, dtype="float64"))[0]


class Outputs:
    """What each stage's module returned, in the order of the calls."""

    def __init__(self, model: Model) -> None:
        self.tensors: list[Tensor] = []
        self._hooks = [module.register_forward_hook(self._note) for module in model.stages()]

    def _note(self, _module: nn.Module, _args: tuple[Any, ...], result: Tensor) -> None:
        self.tensors.append(result)

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()


def taken_apart(model: Model, regime: Regime, ids_BxN: Tensor) -> tuple[list[Call], list[Tensor]]:
    outputs = Outputs(model)
    try:
        return calls_of(model, regime, ids_BxN), outputs.tensors
    finally:
        outputs.close()


def chained(calls: list[Call], outputs: list[Tensor]) -> list[Tensor]:
    """Make the calls in turn, each on what the calls before it returned this time; only ids come from the first run."""
    made: list[Tensor] = []

    def from_before(argument: Any) -> Any:
        if not isinstance(argument, Tensor) or not argument.is_floating_point():
            return argument
        storages = [output.untyped_storage().data_ptr() for output in outputs[: len(made)]]
        source = made[storages.index(argument.untyped_storage().data_ptr())]  # ValueError: it came from no stage
        return source.as_strided(argument.shape, argument.stride(), argument.storage_offset())

    for call in calls:
        args, kwargs = tuple(map(from_before, call.args)), {name: from_before(value) for name, value in call.kwargs.items()}
        made.append(replace(call, args=args, kwargs=kwargs).again())
    return made


def hold(point: Point, regime: Regime) -> None:
    ids = ids_tensor(seeded_ids(point), "cpu")
    for arm, model in build_pair(point).arms().items():
        calls, outputs = taken_apart(model, regime, ids)
        with torch.inference_mode():
            logits, _ = forward(model, regime, ids)
            assert torch.equal(chained(calls, outputs)[-1], logits.view(-1, logits.shape[-1])), f"{arm} {regime} at {point}"
            for call, output in zip(calls, outputs, strict=True):
                assert torch.equal(call.again(), output), f"{arm} {regime} {call.stage} at {point}"
                assert torch.equal(call.again(), output), f"{arm} {regime} {call.stage} at {point}, the second time"


@pytest.mark.parametrize("regime", REGIMES)
def test_stages_in_turn_give_the_logits_of_the_whole_bit_for_bit(regime: Regime) -> None:
    for seed in SEEDS:
        hold(double(seed), regime)


def test_the_points_above_have_every_option() -> None:
    found = kinds(map(double, SEEDS))
    wanted = ["ragged", "no complete span", "carry", "carry of a whole span", "cross-attention", "batch", "gated", "grouped keys"]
    assert all(found[kind] >= 5 for kind in (*wanted, *(f"pool {pool}" for pool in POOLS), "no encoder layers", "no decoder layers")), found


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("allocation", sorted(ALLOCATIONS))
def test_stages_in_turn_give_the_logits_of_the_whole_in_every_allocation(allocation: str, regime: Regime) -> None:
    for tokens, batch in ((24, 1), (27, 2), (5, 3)):
        hold(allocated(allocation, tokens, batch), regime)


# ---- they do the work that was counted ------------------------------------------------------------------------------


def counted(point: Point, model: Model, regime: Regime, calls: list[Call] | None = None) -> Counted:
    """Return what the ledger books: of the forward, or of some calls of it."""
    ids = seeded_ids(point)
    subject = subject_of(model, regime, ids_tensor(ids, "cpu"), distinct_rows(ids, point))

    def call(_ids: Tensor) -> tuple[Tensor, None]:
        return [one.again() for one in calls or ()][-1], None

    return run_ledger(subject if calls is None else replace(subject, call=call))


@pytest.mark.parametrize("regime", REGIMES)
def test_each_stage_alone_does_what_the_ledger_books_to_it_and_nothing_else(regime: Regime) -> None:
    for seed in range(0, len(SEEDS), 4):
        point = double(seed)
        ids = ids_tensor(seeded_ids(point), "cpu")
        for arm, model in build_pair(point).arms().items():
            calls, whole, census = calls_of(model, regime, ids), counted(point, model, regime), Counter[Any]()
            for stage in {call.stage for call in calls}:
                alone = counted(point, model, regime, [call for call in calls if call.stage == stage])
                census += alone.census
                for name, tally in alone.stages.items():
                    wanted = whole.stages[stage] if name in {stage, "total"} else None
                    assert tally.matrix_flops == (wanted.matrix_flops if wanted else 0), f"{arm} {stage} {name} at {point}"
                    assert tally.attention_flops == (wanted.attention_flops if wanted else 0), f"{arm} {stage} {name} at {point}"
                    assert tally.mlp_rows == (wanted.mlp_rows if wanted else 0), f"{arm} {stage} {name} at {point}"
                    assert name == "total" or tally.bytes_fused == (wanted.bytes_fused if wanted else 0), f"{arm} {stage} {name} at {point}"
            assert census == whole.census, f"{arm} at {point}"


def test_calls_made_again_leave_what_was_kept_as_it_was() -> None:
    """A prefill's stages append keys and values to lists: a stage timed a thousand times must not fill the memory with them."""
    point = double(8)
    ids = ids_tensor(seeded_ids(point), "cpu")
    for model in build_pair(point).arms().values():
        calls = calls_of(model, "prefill", ids)
        before = [kept(call) for call in calls]
        with torch.inference_mode():
            for call in calls * 3:
                call.again()
        assert [kept(call) for call in calls] == before
        assert sum(before) > 0, "nothing was kept, so this shows nothing"


def kept(call: Call) -> int:
    """Return how many pairs of keys and values hang on a call's arguments."""
    lists = [argument.own for argument in (*call.args, *call.kwargs.values()) if isinstance(argument, Keep)]
    return sum(map(len, lists)) + sum(len(keep) for argument in call.args if (keep := getattr(argument, "keep", None)))


def test_nothing_stays_on_the_model() -> None:
    for model in build_pair(double(3)).arms().values():
        calls_of(model, "score", ids_tensor(seeded_ids(double(3)), "cpu"))
        assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
