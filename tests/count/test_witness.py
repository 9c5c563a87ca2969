from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from spanbench.count.ledger import run_ledger
from spanbench.count.subject import Subject
from spanbench.count.verify import witness
from spanbench.count.witness import Cells, attention_cells, flopcounter_flops, fvcore_macs
from spanbench.errors import CountMismatch, UncountedOperation
from tests.count.blocks import Biased, Calls, grouped, single
from tests.count.module.others import RELEASE

DEVICES = pytest.mark.parametrize("device", ["meta", "cpu"])
BLOCK_FLOPS = 201_326_592 + 16_777_216


def block(device: str) -> Subject:
    return single(Biased().to(device), torch.zeros(1, 128, 256, device=device))


@DEVICES
def test_all_witnesses_see_the_whole_block_of_the_notes(device: str) -> None:
    assert 2 * fvcore_macs(block(device)) == BLOCK_FLOPS
    assert flopcounter_flops(block(device)) == BLOCK_FLOPS
    assert attention_cells(block(device)) == Cells(dense=128 * 128, scores=4 * 128 * 128, softmax=4 * 128 * 128)


def test_torch_s_counter_alone_misses_attention_on_a_cpu_until_torch_2_15() -> None:
    """The trap that the MATH backend avoids: torch 2.15 has learnt to count its CPU kernel, older ones call it 0."""
    subject = block("cpu")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        subject.call(subject.ids)
    assert counter.get_total_flops() == BLOCK_FLOPS - (0 if RELEASE >= (2, 15) else 16_777_216)


@DEVICES
def test_witnesses_and_ledger_agree_on_grouped_causal_attention(device: str) -> None:
    subject = grouped(device)
    assert len(witness(subject, run_ledger(subject), "arm")) == 5


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_cells_by_shapes_are_cells_of_the_softmax(batch: int, groups: int, share: int, rows: int, keys: int, width: int) -> None:
    q = torch.empty(batch, groups * share, rows, width, device="meta")
    k = torch.empty(batch, groups, keys, width, device="meta")
    subject = single(Calls(lambda q: F.scaled_dot_product_attention(q, k, k, enable_gqa=True)), q)
    scores = batch * groups * share * rows * keys
    assert attention_cells(subject) == Cells(batch * rows * keys, scores, scores)
    assert 2 * fvcore_macs(subject) == flopcounter_flops(subject) == 4 * scores * width


def test_a_softmax_outside_attention_is_not_attention() -> None:
    subject = single(Calls(lambda x: x.softmax(-1)), torch.empty(3, 4, device="meta"))
    assert attention_cells(subject) == Cells(0, 0, 0)


W = torch.empty(4, 4, device="meta")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x @ W,
        lambda x: x @ W[0],
        lambda x: x.mv(W[0]),
        lambda x: x[0].dot(W[0]).view(1),
        lambda x: torch.outer(x[0], W[0]),
        lambda x: torch.addr(W, x[0], W[0]),
        lambda x: torch.addmm(x, x, W),
        lambda x: torch.addmv(x[:, 0], x, W[0]),
        lambda x: torch.addbmm(W, x[:, :, None], x[:, None]),
        lambda x: torch.baddbmm(x[:, None], x[:, None], W.expand(3, 4, 4)),
        lambda x: torch.einsum("ab,cb->ac", x, W),
        lambda x: x[:, None, None] @ W.expand(2, 1, 1, 4, 4),
        lambda x: F.layer_norm(x, (4,)) + F.rms_norm(x, (4,)),
    ],
    ids=range(13),
)
def test_witnesses_know_every_product_that_the_ledger_knows(function: Callable[[Tensor], Tensor]) -> None:
    subject = single(Calls(function), torch.empty(3, 4, device="meta"))
    assert len(witness(subject, run_ledger(subject), "product")) == 5


def test_fvcore_s_einsum_is_exact_where_its_own_handler_rounds() -> None:
    side = 10_007
    left = torch.empty(side, 9_973, device="meta")
    subject = single(Calls(lambda x: torch.einsum("ab,bc->ac", x, left)), torch.empty(10_009, side, device="meta"))
    assert fvcore_macs(subject) == 10_009 * side * 9_973


@pytest.mark.parametrize(
    "function",
    [lambda x: x.sort().values, lambda x: torch.einsum("ab,bc->abc", x, W), lambda x: torch.einsum("ab->a", x)],
    ids=["sort", "einsum-outer", "einsum-sum"],
)
def test_what_fvcore_cannot_count_exactly_is_refused_rather_than_dropped(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UncountedOperation):
        fvcore_macs(single(Calls(function), torch.empty(3, 4, device="meta")))


def test_sizes_stay_numbers_while_fvcore_traces() -> None:
    def call(x: Tensor) -> Tensor:
        square = x.shape[1] == x.size(1) == len(x[0])
        return F.scaled_dot_product_attention(x, x, x, is_causal=square)

    assert fvcore_macs(single(Calls(call), torch.empty(2, 3, 4, device="meta"))) == 2 * 3 * 3 * 8


def test_a_disagreement_names_arm_quantity_and_both_values() -> None:
    subject, twice = grouped("meta"), grouped("meta")
    call = twice.call
    counted = run_ledger(subject)
    double = Subject(twice.module, lambda i: (call(i)[0] + call(i)[0], None), twice.ids, twice.stages, twice.mlps, twice.distinct)
    with pytest.raises(CountMismatch, match=r"token score, total flops: ledger says 15,744, 2 × fvcore says 31,488"):
        witness(double, counted, "token score")
