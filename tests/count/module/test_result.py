from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import spanbench
from spanbench import count_module
from spanbench.errors import UncountedOperation, UsageError
from tests.count.module.zoo import Calls, by_hand


class Block(nn.Module):
    """Two linear maps of one submodule called twice, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 8, bias=False), nn.GELU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(self.inner(x))
        return self.head(F.scaled_dot_product_attention(x, x, x, is_causal=True))  # type: ignore[no-any-return]


def test_every_field_of_a_small_block_is_the_one_worked_out_by_hand() -> None:
    counted = count_module(Block(), torch.zeros(2, 5, 8))
    inner, head, attention = 2 * 2 * 10 * 64, 2 * 10 * 24, 2 * 2 * 25 * 16
    assert (counted.flops, counted.macs) == (inner + head + attention, (inner + head + attention) // 2)
    assert (counted.cells_dense, counted.cells_useful) == (50, 2 * 15)
    assert counted.params == 64 + 27
    assert counted.bytes_compulsory == 4 * (64 + 27 + 80 + 30)  # weights, input, output
    assert counted.by_operation == {"linear": inner + head, "scaled_dot_product_attention": attention}
    assert counted.by_module == {"": counted.flops, "inner": inner, "inner.0": inner, "inner.1": 0, "head": head}
    assert counted.calls["gelu"] == 2
    assert (counted.module, counted.inputs, counted.mode, counted.reasons) == ("Block", ("2x5x8:float32",), "train", {})


# ---- whatever goes in and comes out ---------------------------------------------------------------------------------


@dataclass
class Answer:
    logits: Tensor
    hidden: tuple[Tensor, ...]


@pytest.mark.parametrize(
    "shaped",
    [
        lambda y, z: (y, [z]),
        lambda y, z: {"y": y, "z": {"z": z}},
        lambda y, z: Answer(y, (z,)),
        lambda y, z: SimpleNamespace(cache=SimpleNamespace(layers=[y]), other=z),
    ],
    ids=["tuple", "mapping", "dataclass", "object"],
)
def test_outputs_are_found_in_whatever_a_module_returns(shaped: Any) -> None:
    linear = nn.Linear(8, 3, bias=False)
    counted = count_module(Calls(lambda x: shaped(linear(x), x + 1)), torch.zeros(5, 8))
    assert counted.flops == 2 * 5 * 8 * 3
    assert counted.bytes_compulsory == 4 * (40 + 15 + 40)  # the closed-over weight is not the module's


def test_keyword_inputs_are_passed_on_and_named() -> None:
    counted = count_module(Calls(lambda x, *, y: x @ y["right"]), torch.zeros(2, 3), y={"right": torch.zeros(3, 4)})
    assert (counted.flops, counted.inputs) == (2 * 2 * 3 * 4, ("2x3:float32", "y=3x4:float32"))


def test_tied_parameters_count_once() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    counted = count_module(module, torch.zeros(1, 4))
    assert (counted.params, counted.bytes_compulsory) == (24, 4 * (24 + 8))


def test_embedding_tables_count_by_the_rows_that_are_read() -> None:
    table = nn.Embedding(100, 8)
    assert count_module(table, torch.tensor([[3, 4, 3]])).bytes_compulsory == 4 * 2 * 8 + 3 * 8 + 4 * 3 * 8
    unknown = count_module(table.to("meta"), torch.zeros(1, 3, dtype=torch.int64, device="meta"))
    assert unknown.bytes_compulsory is None
    assert "100 x 8" in unknown.reasons["bytes_compulsory"]
    assert count_module(table, torch.zeros(1, 1, dtype=torch.int64, device="meta")).bytes_compulsory == 4 * 8 + 8 + 4 * 8


def test_a_table_that_is_the_head_too_is_read_whole_even_on_meta() -> None:
    class Tied(nn.Embedding):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that nn.Embedding gives it
            return F.linear(super().forward(input), self.weight)

    counted = count_module(Tied(100, 8, device="meta"), torch.zeros(1, 3, dtype=torch.int64, device="meta"))
    assert counted.bytes_compulsory == 4 * 800 + 24 + 4 * 300


# ---- attention cells ------------------------------------------------------------------------------------------------


def cells(call: Any, device: str = "cpu") -> tuple[int | None, int | None, str]:
    counted = count_module(Calls(call), torch.zeros(2, 4, 5, 8, device=device))
    assert counted.flops == 2 * 2 * 4 * 25 * 16
    return counted.cells_dense, counted.cells_useful, counted.reasons.get("cells_useful", "")


def test_cells_let_through_are_read_from_the_mask_or_unknown_with_a_reason() -> None:
    assert cells(lambda q: F.scaled_dot_product_attention(q, q, q)) == (50, 50, "")
    assert cells(lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)) == (50, 50, "")
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    assert cells(lambda q: F.scaled_dot_product_attention(q, q, q, mask)) == (50, 30, "")
    dense, useful, reason = cells(lambda q: F.scaled_dot_product_attention(q, q, q, mask.to("meta")), "meta")
    assert (dense, useful) == (50, None)
    assert "meta" in reason
    dense, useful, reason = cells(lambda q: F.scaled_dot_product_attention(q, q, q, mask.expand(2, 4, 5, 5).clone()))
    assert (dense, useful) == (50, None)
    assert "4 heads" in reason


def test_causal_with_fewer_queries_than_keys_sees_the_first_keys_as_torch_has_it() -> None:
    counted = count_module(Calls(lambda q: F.scaled_dot_product_attention(q[:, :3], q, q, is_causal=True)), torch.zeros(2, 5, 8))
    assert (counted.cells_dense, counted.cells_useful) == (2 * 15, 2 * (1 + 2 + 3))


def test_queries_that_are_broadcast_over_a_larger_batch_are_refused() -> None:
    with pytest.raises(UncountedOperation, match="broadcast"):
        count_module(Calls(lambda q: F.scaled_dot_product_attention(q[:1], q, q)), torch.zeros(2, 5, 8))


@pytest.mark.parametrize(
    "by", [by_hand, lambda q: (q @ q.mT).softmax(-1) @ q, lambda q: F.linear(q[0], q[1])], ids=["broadcast", "matmul", "linear"]
)
def test_attention_by_hand_has_no_known_cells_and_says_where_it_stands(by: Any) -> None:
    counted = count_module(nn.Sequential(nn.Identity(), Calls(by)), torch.zeros(2, 5, 8))
    assert (counted.cells_dense, counted.cells_useful) == (None, None)
    assert "module '1'" in counted.reasons["cells_dense"]


def test_products_with_weights_buffers_and_positions_are_not_taken_for_attention() -> None:
    class Rotary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("frequencies", torch.ones(4, 1))
            self.weight = nn.Parameter(torch.ones(3, 8, 8))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            angles = self.frequencies @ torch.arange(5, device=x.device)[None].float()  # type: ignore[operator]
            return torch.einsum("btd,bde->bte", x, self.weight.mT[:2] * 2), angles

    counted = count_module(Rotary(), torch.zeros(2, 5, 8))
    assert counted.flops == 2 * 10 * 64 + 2 * 20
    assert (counted.cells_dense, counted.cells_useful, counted.reasons) == (0, 0, {})


def test_keys_kept_in_a_buffer_are_activations_all_the_same() -> None:
    class Cached(nn.Module):
        keys: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("keys", torch.zeros(2, 5, 8))

        def forward(self, x: Tensor) -> Tensor:
            self.keys.copy_(x)
            return x @ self.keys.mT

    assert count_module(Cached(), torch.zeros(2, 5, 8)).cells_dense is None


# ---- fake tensors ---------------------------------------------------------------------------------------------------


def test_fake_tensors_are_counted_inside_their_mode_and_outside() -> None:
    expected = count_module(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.zeros(2, 5, 8)).flops
    with FakeTensorMode():
        module, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.zeros(2, 5, 8)
        inside = count_module(module, x)
    assert inside.flops == count_module(module, x).flops == expected == 11840
    assert (inside.cells_dense, inside.cells_useful) == (50, 50)


# ---- what is not a module, and versions -----------------------------------------------------------------------------


def test_what_is_no_module_or_has_no_shape_yet_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="got int"):
        count_module(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"'0\.weight' is lazy"):
        count_module(nn.Sequential(nn.LazyLinear(3)), torch.zeros(1, 2))


def test_a_submodule_that_fails_and_is_caught_is_left_all_the_same() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(7, 3), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            with contextlib.suppress(RuntimeError):
                self.wrong(x)
            out: Tensor = self.right(x)
            return out

    assert count_module(Tries(), torch.zeros(2, 8)).by_module == {"": 96, "wrong": 0, "right": 96}


def test_an_error_of_the_module_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        count_module(Calls(lambda _: 1 // 0), torch.zeros(1))


def test_the_package_offers_it_and_nothing_that_it_does_not_have() -> None:
    assert "count_module" in dir(spanbench)
    with pytest.raises(AttributeError, match="no attribute 'count_modul'"):
        spanbench.count_modul  # noqa: B018  # type: ignore[attr-defined]
