"""Results worked out once on meta: every counter and witness sees what it sees without, and what shares memory still does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from spanbench.count.blank import KnownResults
from spanbench.count.distinct import distinct_rows
from spanbench.count.extents import storage_key
from spanbench.count.ledger import run_ledger
from spanbench.count.verify import witness
from spanbench.model.pair import build_pair
from spanbench.point import REGIMES
from spanbench.run.subjects import meta_ids, subject_of
from tests.shapes import kinds, seeded_ids, seeded_point

SEEDS = range(24)
WITNESSED = range(0, 24, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_counts_the_same_of_every_field_and_operation(seed: int) -> None:
    point = seeded_point(seed)
    rows = distinct_rows(seeded_ids(point), point)
    for arm, model in build_pair(point, "meta").arms().items():
        for regime in REGIMES:
            subject = subject_of(model, regime, meta_ids(point), rows)
            plain = run_ledger(subject)
            with KnownResults():
                assert run_ledger(subject) == plain, f"{arm} {regime} at {point}"
                assert run_ledger(subject) == plain  # now all of it is known
                if seed in WITNESSED:
                    assert len(witness(subject, plain, arm)) == 5


def test_the_points_are_various() -> None:
    assert {"gated", "cross-attention", "carry", "batch", "ragged", "grouped keys", "pool attention"} <= set(
        kinds(map(seeded_point, SEEDS))
    )


class _Heard(TorchDispatchMode):
    """Notes which operations reach what was entered before it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def laid_out(tensor: Tensor) -> tuple[object, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def test_an_operation_on_the_same_sizes_is_run_once_and_gives_a_tensor_of_its_own() -> None:
    with _Heard() as below, torch.inference_mode(), KnownResults():
        a, b = torch.empty(3, 4, device="meta"), torch.empty(4, 5, device="meta")
        first, second, other = torch.mm(a, b), torch.mm(a, b), torch.mm(b.T, a.T)
    assert below.names.count("aten::mm") == 2
    assert laid_out(first) == laid_out(second) != laid_out(other)
    assert len({storage_key(tensor) for tensor in (a, b, first, second, other)}) == 5


def test_what_shares_memory_with_an_argument_goes_on_sharing_it() -> None:
    with torch.inference_mode(), KnownResults():
        for _ in range(2):
            whole = torch.empty(4, 6, device="meta")
            parts = [whole[1], whole.t(), whole.view(24), torch.ops.aten._unsafe_view(whole, [24]), whole.add_(1), whole.detach()]
            assert {storage_key(part) for part in parts} == {storage_key(whole)}
            assert storage_key(whole.clone()) != storage_key(whole)


def test_numbers_of_another_kind_or_value_are_another_question() -> None:
    with torch.inference_mode(), KnownResults():
        whole = torch.empty(4, dtype=torch.int64, device="meta")
        assert [(whole * 2).dtype, (whole * 2.0).dtype, (whole * 2).dtype] == [torch.int64, torch.float32, torch.int64]
        assert [torch.sum(whole.float().view(2, 2), axis).shape for axis in ([0], [0, 1], [0])] == [(2,), (), (2,)]


def test_on_a_real_device_everything_runs() -> None:
    with torch.inference_mode(), KnownResults():
        twice = [torch.ones(3) + value for value in (1, 1)]
    assert [tensor.tolist() for tensor in twice] == [[2.0] * 3] * 2
