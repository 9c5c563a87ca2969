from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from spanbench.count.ledger import Counted, run_ledger
from spanbench.count.subject import Subject
from spanbench.errors import CountMismatch, UncountedOperation
from spanbench.tally import Kept, Tally
from tests.count.blocks import IDS, Biased, Calls, grouped, single

DEVICES = pytest.mark.parametrize("device", ["meta", "cpu"])

# By hand, for 12 rows of width 8; float32.
EMBEDDING = Tally(params=80, bytes_compulsory=160 + 96 + 384, bytes_fused=96 + 2 * 384)
LAYERS = Tally(
    matrix_flops=2 * 12 * (8 * 16 + 8 * 8 + 8 * 24 + 12 * 8),
    attention_flops=4 * 2 * 36 * 4 * 2,
    attention_flops_useful=4 * 2 * 21 * 4 * 2,
    attention_flops_causal_half=2 * 2 * 36 * 4 * 2,
    cells_dense=2 * 36,
    cells_useful=2 * 21,
    scores_dense=2 * 36 * 4,
    mlp_rows=12,
    params=496,
    bytes_compulsory=1984 + 384 + 384,
    bytes_fused=2 * 800 + 1664 + 1152 + 1024 + 2304 + 1344,
)
HEAD = Tally(matrix_flops=2 * 12 * 8 * 10, params=80, bytes_compulsory=320 + 384 + 480, bytes_fused=1184)
WEIGHTS_IDS_LOGITS = 160 + 1984 + 320 + 96 + 480


@DEVICES
def test_every_field_of_a_grouped_gated_block_is_the_one_worked_out_by_hand(device: str) -> None:
    counted = run_ledger(grouped(device))
    assert counted.stages["embedding"] == EMBEDDING
    assert counted.stages["layers"] == LAYERS
    assert counted.stages["head"] == HEAD
    total = counted.stages["total"]
    assert total.bytes_compulsory == WEIGHTS_IDS_LOGITS
    assert (total.params, total.flops(), total.flops("useful"), total.flops("causal-half")) == (656, 15744, 14784, 14592)
    assert total.bytes_fused == EMBEDDING.bytes_fused + LAYERS.bytes_fused + HEAD.bytes_fused
    # two norms at 4, two residual sums, SiLU and gate over 12 columns, softmax at 5 a score
    layers = 2 * 4 * 96 + 2 * 96 + 2 * 144 + 5 * 288
    assert counted.flops_other == {"embedding": 0, "layers": layers, "head": 0, "total": layers}


@DEVICES
def test_what_is_kept_is_state_and_its_keys_and_values_are_compulsory(device: str) -> None:
    counted = run_ledger(grouped(device, Kept({"layers": 384}, {"layers": 16, "head": 8})))
    assert counted.stages["layers"].state_bytes == 400
    assert counted.stages["layers"].bytes_compulsory == LAYERS.bytes_compulsory + 384
    assert counted.stages["head"].state_bytes == 8
    assert counted.stages["total"].state_bytes == 408
    assert counted.stages["total"].bytes_compulsory == WEIGHTS_IDS_LOGITS + 384


def test_keeping_something_for_an_unknown_stage_is_a_mismatch() -> None:
    with pytest.raises(CountMismatch, match="'mixer'"):
        run_ledger(grouped("meta", Kept({"mixer": 1}, {})))


@DEVICES
def test_the_block_of_the_notes_has_218_103_808_flop(device: str) -> None:
    total = run_ledger(single(Biased().to(device), torch.empty(1, 128, 256, device=device))).stages["total"]
    assert (total.matrix_flops, total.attention_flops) == (201_326_592, 16_777_216)
    assert total.flops("causal-half") == total.flops("useful") == 218_103_808  # no mask, nothing to leave out


def test_meta_and_cpu_execute_the_same_operations() -> None:
    meta, cpu = (run_ledger(grouped(device)) for device in ("meta", "cpu"))
    assert meta == cpu
    assert meta.census[("linear", ((2, 6, 8), (16, 8)))] == 1
    assert meta.census[("scaled_dot_product_attention", ((2, 4, 6, 2), (2, 2, 6, 2), (2, 2, 6, 2)))] == 1
    assert meta.census.total() == 6


# ---- attention ------------------------------------------------------------------------------------------------------


def attend(mask: Tensor | None = None, *, queries: int = 3, keys: int = 5, heads: int = 2, batch: int = 2, **options: bool) -> Tally:
    """Count one attention of width 4, on the mask's device."""
    device = "meta" if mask is None else mask.device
    q, k = torch.zeros(batch, heads, queries, 4, device=device), torch.zeros(batch, heads, keys, 4, device=device)
    module = Calls(lambda _: F.scaled_dot_product_attention(q, k, k, attn_mask=mask, **options))
    return run_ledger(single(module, q)).stages["total"]


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6))
def test_a_causal_square_lets_its_triangle_through(batch: int, heads: int, rows: int) -> None:
    tally = attend(queries=rows, keys=rows, heads=heads, batch=batch, is_causal=True)
    open_cells = batch * sum(key <= query for query in range(rows) for key in range(rows))
    assert (tally.cells_dense, tally.cells_useful, tally.scores_dense) == (batch * rows**2, open_cells, batch * heads * rows**2)
    assert tally.attention_flops_useful == open_cells * heads * 16
    assert 2 * tally.attention_flops_causal_half == tally.attention_flops == batch * heads * rows**2 * 16


def test_causal_with_fewer_queries_than_keys_is_refused_because_it_means_something_else() -> None:
    with pytest.raises(UncountedOperation, match="3 queries and 5 keys"):
        attend(is_causal=True)


@given(st.lists(st.booleans(), min_size=15, max_size=15))
def test_a_mask_on_a_real_device_is_read(allowed: list[bool]) -> None:
    mask = torch.tensor(allowed).view(3, 5)
    additive = torch.where(mask, 0.5, float("-inf"))
    for tally in (attend(mask), attend(additive), attend(mask.expand(2, 1, 3, 5)), attend(mask.expand(2, 2, 3, 5))):
        assert (tally.cells_dense, tally.cells_useful) == (30, 2 * sum(allowed))
        assert tally.attention_flops_causal_half == tally.attention_flops  # a mask is not halved


def test_a_mask_with_a_batch_dimension_is_not_repeated_over_the_batch() -> None:
    mask = torch.zeros(2, 1, 3, 5, dtype=torch.bool)
    mask[0, 0, 0, :4] = True
    assert attend(mask).cells_useful == 4
    assert attend(mask[:1]).cells_useful == 8
    assert attend(mask[:1, :, :1]).cells_useful == 24  # the row as well as the prompt repeats


@pytest.mark.parametrize("shape", [(3, 5), (1, 1, 3, 5)])
def test_a_mask_on_meta_says_itself_how_many_cells_it_lets_through(shape: tuple[int, ...]) -> None:
    mask = torch.ones(shape, dtype=torch.bool, device="meta")
    mask.useful_cells = 7  # type: ignore[attr-defined]
    assert attend(mask).cells_useful == 14


def test_a_mask_that_does_not_say_is_refused_on_meta() -> None:
    with pytest.raises(UncountedOperation, match="useful_cells"):
        attend(torch.ones(3, 5, dtype=torch.bool, device="meta"))


def test_a_mask_that_differs_between_heads_is_refused() -> None:
    with pytest.raises(UncountedOperation, match="2 heads"):
        attend(torch.ones(2, 2, 3, 5, dtype=torch.bool))


def test_keys_and_values_that_serve_the_whole_batch_count_their_bytes_once() -> None:
    def call(x: Tensor) -> Tensor:
        k = x[:1].expand(4, -1, -1, -1)
        return F.scaled_dot_product_attention(x, k, k.clone())

    q = torch.empty(4, 2, 3, 8, device="meta")
    assert run_ledger(single(Calls(call), q)).stages["all"].bytes_fused == 4 * (2 * 192 + 48 + 192)


# ---- stages and boundaries ------------------------------------------------------------------------------------------


class Parts(nn.Module):
    """Two linear maps 4 -> 4 as stages 'a' and 'b', and anything between and around them."""

    def __init__(self, flow: Callable[[Parts, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.flow = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False), flow

    def forward(self, x: Tensor) -> Tensor:
        return self.flow(self, x)


def parts(flow: Callable[[Parts, Tensor], Tensor], device: str = "meta") -> Subject:
    model = Parts(flow).to(device)
    return Subject(model, lambda x: (model(x), None), torch.zeros(3, 4, device=device), {model.a: "a", model.b: "b"}, (), {})


def run(flow: Callable[[Parts, Tensor], Tensor]) -> Counted:
    return run_ledger(parts(flow))


def test_a_stage_hands_on_only_what_others_take() -> None:
    counted = run(lambda m, x: m.b(m.a(x)[-1:]))
    assert counted.stages["a"].bytes_compulsory == 64 + 48 + 16
    assert counted.stages["b"].bytes_compulsory == 64 + 16 + 16


def test_overlapping_views_of_a_result_count_once_and_two_calls_twice() -> None:
    def flow(model: Parts, x: Tensor) -> Tensor:
        rows = model.a(x)
        return model.b(rows[:2]) + model.b(rows[1:])  # type: ignore[no-any-return]

    counted = run(flow)
    assert counted.stages["a"].bytes_compulsory == 64 + 48 + 48
    assert counted.stages["b"].bytes_compulsory == 64 + 48 + 2 * 32  # one weight, the rows once, two results


def test_an_expanded_tensor_is_handed_over_once() -> None:
    counted = run(lambda m, x: m.b(m.a(x)[:1].expand(100, -1)))
    assert counted.stages["b"].bytes_compulsory == 64 + 16 + 1600


def test_what_runs_between_stages_takes_too() -> None:
    counted = run(lambda m, x: m.b(m.a(x)[1:] * 2))
    assert counted.stages["a"].bytes_compulsory == 64 + 48 + 32


def test_the_innermost_stage_is_charged() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Sequential(nn.Linear(4, 2, bias=False)))
    subject = Subject(model, lambda x: (model(x), None), torch.zeros(3, 4, device="cpu"), {model: "outer", model[1]: "inner"}, (), {})
    stages = run_ledger(subject).stages
    assert (stages["outer"].matrix_flops, stages["inner"].matrix_flops, stages["total"].matrix_flops) == (96, 48, 144)
    assert (stages["outer"].params, stages["inner"].params, stages["total"].params) == (24, 8, 24)


def test_modules_that_share_a_stage_add_up() -> None:
    model = Parts(lambda m, x: m.b(m.a(x)))
    both = Subject(model, lambda x: (model(x), None), torch.zeros(3, 4), {model.a: "both", model.b: "both"}, (), {})
    apart = run_ledger(parts(model.flow)).stages
    assert run_ledger(both).stages["both"] == apart["a"] + apart["b"]


def test_matrix_work_outside_every_stage_is_an_error() -> None:
    with pytest.raises(UncountedOperation, match=r"aten\.matmul .*outside every stage"):
        run(lambda m, x: m.b(m.a(x)) @ x.T)


def test_a_weight_that_is_not_used_is_a_parameter_but_not_a_compulsory_byte() -> None:
    counted = run(lambda m, x: m.a(x))
    assert counted.stages["b"] == Tally(params=16)
    assert (counted.stages["total"].params, counted.stages["total"].bytes_compulsory) == (32, 64 + 48 + 48)


def test_nothing_is_left_behind_when_the_model_fails() -> None:
    def fail(model: Parts, x: Tensor) -> Tensor:
        raise ValueError(f"mine, {model.a(x).shape}")

    subject = parts(fail)
    with pytest.raises(ValueError, match="mine"):
        run_ledger(subject)
    assert _get_current_dispatch_mode() is None
    assert not torch.is_inference_mode_enabled()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.module.modules())


# ---- look-ups -------------------------------------------------------------------------------------------------------


def tied(device: str, distinct: int | None) -> Subject:
    """An embedding of 10 rows that is the head's weight too; `distinct` None: nobody says how many rows are read."""
    embedding, head = nn.Embedding(10, 4, device=device), nn.Linear(4, 10, bias=False, device=device)
    head.weight = embedding.weight
    declared: dict[nn.Module, int] = {} if distinct is None else {embedding: distinct}
    model = nn.Sequential(embedding, head)
    return Subject(model, lambda i: (model(i), None), torch.tensor(IDS).to(device), {embedding: "embedding", head: "head"}, (), declared)


def test_a_tied_table_is_read_by_rows_in_the_look_up_and_whole_in_the_head() -> None:
    stages = run_ledger(tied("meta", 5)).stages
    rows = 12 * 4 * 4
    assert stages["embedding"].bytes_compulsory == 5 * 16 + 96 + rows
    assert stages["head"].bytes_compulsory == 160 + rows + 480
    assert stages["total"].bytes_compulsory == 160 + 96 + 480
    assert (stages["embedding"].params, stages["total"].params) == (40, 40)


def test_distinct_rows_are_read_from_ids_on_a_real_device() -> None:
    assert run_ledger(tied("cpu", None)) == run_ledger(tied("cpu", 5))


def test_wrong_distinct_rows_are_caught_on_a_real_device() -> None:
    with pytest.raises(CountMismatch, match="6 declared, 5 in the ids"):
        run_ledger(tied("cpu", 6))


def test_distinct_rows_must_be_told_on_meta() -> None:
    with pytest.raises(UncountedOperation, match="distinct"):
        run_ledger(tied("meta", None))


def test_a_carried_id_counts_again_in_each_window() -> None:
    table = nn.Embedding(10, 4, device="meta")
    subject = Subject(table, lambda i: (table(i.unfold(1, 4, 2)), None), torch.tensor(IDS).to("meta"), {table: "all"}, (), {table: 5})
    counted = run_ledger(subject).stages
    assert counted["all"].bytes_compulsory == 5 * 16 + 2 * 2 * 4 * 8 + 2 * 2 * 4 * 16
    assert counted["total"].bytes_compulsory == 5 * 16 + 2 * 6 * 8 + 2 * 2 * 4 * 16
