from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from spanbench.count.ledger import Counted, run_ledger
from spanbench.errors import UncountedOperation
from tests.count.blocks import Calls, single

SIZE = st.integers(1, 5)


def count(function: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: str = "meta") -> Counted:
    """Count what a function does with zeros of a shape."""
    return run_ledger(single(Calls(function), torch.zeros(shape, device=device)))


def flops(function: Callable[[Tensor], Tensor], *shape: int) -> int:
    return count(function, shape).stages["all"].matrix_flops


def other(function: Callable[[Tensor], Tensor], *shape: int) -> int:
    return count(function, shape).flops_other["all"]


@given(SIZE, SIZE, SIZE, SIZE)
def test_every_way_to_write_a_matrix_product_is_two_flops_a_multiply_accumulate(b: int, n: int, k: int, m: int) -> None:
    w_KxM, w_MxK, batch_BxKxM = (torch.empty(size, device="meta") for size in ((k, m), (m, k), (b, k, m)))
    add_NxM, add_BxNxM = torch.empty(n, m, device="meta"), torch.empty(b, n, m, device="meta")
    one, many = 2 * n * k * m, 2 * b * n * k * m
    assert flops(lambda x: F.linear(x, w_MxK), b, n, k) == many
    assert flops(lambda x: F.linear(x, w_MxK, add_NxM[0]), b, n, k) == many
    assert flops(lambda x: x @ w_KxM, b, n, k) == many
    assert flops(lambda x: x @ batch_BxKxM, n, k) == many  # the left side is broadcast
    assert flops(lambda x: x @ w_KxM, k) == 2 * k * m
    assert flops(lambda x: x.mm(w_KxM), n, k) == one
    assert flops(lambda x: torch.addmm(add_NxM, x, w_KxM), n, k) == one
    assert flops(lambda x: x.bmm(batch_BxKxM), b, n, k) == many
    assert flops(lambda x: torch.baddbmm(add_BxNxM, x, batch_BxKxM), b, n, k) == many
    assert flops(lambda x: torch.addbmm(add_NxM, x, batch_BxKxM), b, n, k) == many
    assert flops(lambda x: torch.mm(x, w_KxM, out=torch.empty(n, m, device="meta")), n, k) == one
    assert flops(lambda x: x.mv(w_MxK[0]), n, k) == 2 * n * k
    assert flops(lambda x: torch.addmv(add_NxM[:, 0], x, w_MxK[0]), n, k) == 2 * n * k
    assert flops(lambda x: x.dot(w_MxK[0]).view(1), k) == 2 * k
    assert flops(lambda x: torch.outer(x, add_NxM[:, 0]), k) == 2 * k * n
    assert flops(lambda x: torch.addr(w_KxM, x, add_NxM[0]), k) == 2 * k * m


@given(SIZE, SIZE, st.integers(2, 5), SIZE)
def test_what_is_not_in_the_table_is_taken_apart_into_what_is(b: int, n: int, k: int, m: int) -> None:
    """Over one element alone, k = 1, torch's einsum multiplies element by element, and so it is counted."""
    w_KxM, w_MxK = torch.empty(k, m, device="meta"), torch.empty(m, k, device="meta")
    many = 2 * b * n * k * m
    assert flops(lambda x: torch.einsum("bnk,km->bnm", x, w_KxM), b, n, k) == many
    assert flops(lambda x: torch.inner(x, w_MxK), b, n, k) == many
    assert flops(lambda x: torch.tensordot(x, w_KxM, dims=1), b, n, k) == many


def test_attention_written_out_is_matrix_work() -> None:
    counted = count(lambda x: (x @ x.mT).softmax(-1) @ x, (2, 3, 6, 4))
    assert counted.stages["all"].matrix_flops == 4 * 2 * 3 * 6 * 6 * 4
    assert counted.flops_other["all"] == 4 * 2 * 3 * 6 * 6


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x + x, 12),
        (lambda x: x.add_(x), 12),
        (lambda x: torch.add(x, x, out=torch.empty(3, 4, device="meta")), 12),
        (lambda x: x[:1] + x, 12),
        (F.gelu, 12),
        (F.silu, 12),
        (lambda x: torch.addcmul(x, x, x), 24),
        (lambda x: x.sum(-1), 12),
        (lambda x: x.mean(0), 12),
        (lambda x: x.softmax(-1), 48),
        (lambda x: F.rms_norm(x, (4,)), 48),
        (lambda x: F.layer_norm(x, (4,)), 48),
        (lambda x: torch.view_as_complex(x.view(6, 2)) * torch.view_as_complex(x.view(6, 2)), 36),
        (lambda x: torch.view_as_complex(x.view(6, 2)) * x.view(12)[:6], 12),
        (lambda x: F.linear(x, x, x[:, 0]), 9),
        (lambda x: F.dropout(x, 0.5, training=False), 0),
        (lambda x: torch.cat((x, x.clone())).reshape(2, 12)[:, 1:].contiguous().to(torch.bfloat16), 0),
        (lambda x: x.index_select(0, torch.arange(2, device="meta")).repeat(2, 1), 0),
    ],
    ids=range(18),
)
def test_element_wise_work(function: Callable[[Tensor], Tensor], expected: int) -> None:
    assert other(function, 3, 4) == expected


def test_a_norm_is_a_unit_of_bytes_and_element_wise_work_is_free() -> None:
    norm = nn.LayerNorm(4, device="meta")
    assert count(norm, (3, 4)).stages["all"].bytes_fused == 4 * (12 + 12 + 4 + 4)
    assert count(lambda x: F.gelu(x) + x, (3, 4)).stages["all"].bytes_fused == 0


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (lambda x: x.sort().values, "aten.sort"),
        (lambda x: torch.cdist(x, x), "aten._cdist_forward"),
        (lambda x: F.conv1d(x[None], x[None, :, :1].mT), "aten.convolution"),
        (lambda x: F.bilinear(x, x, x[:1, :, None].expand(1, 4, 4)), "aten._trilinear"),
    ],
    ids=["sort", "cdist", "conv1d", "bilinear"],
)
def test_an_operation_without_a_rule_refuses_the_total_by_name(function: Callable[[Tensor], Tensor], operation: str, device: str) -> None:
    with pytest.raises(UncountedOperation, match=f"{operation}.*in stage all.*refused"):
        count(function, (3, 4), device)


def test_the_cpu_s_own_transformer_kernels_are_refused_rather_than_counted_as_nothing() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    with pytest.raises(UncountedOperation, match=r"aten\._(native_multi_head_attention|transformer_encoder_layer_fwd)"):
        run_ledger(single(layer, torch.zeros(1, 3, 4)))


def test_another_library_s_operation_is_refused_even_if_it_bears_a_known_name() -> None:
    library = torch.library.Library("spanbench_test", "FRAGMENT")
    library.define("linear(Tensor x) -> Tensor")
    library.impl("linear", lambda x: x.clone(), "CompositeExplicitAutograd")
    with pytest.raises(UncountedOperation, match=r"spanbench_test\.linear"):
        count(torch.ops.spanbench_test.linear, (3, 4))


@pytest.mark.parametrize(
    "function",
    [lambda x: (x[:, None] * x).sum(-1), lambda x: (x[:, None] * x).mean(-1)],
    ids=["sum", "mean"],
)
def test_a_matrix_product_written_as_multiply_and_sum_is_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UncountedOperation, match="written by hand"):
        count(function, (3, 4))


def test_a_weighted_sum_is_element_wise() -> None:
    assert other(lambda x: (x * x[:1]).sum(0), 3, 4) == 24


def test_complex_matrix_products_are_refused() -> None:
    with pytest.raises(UncountedOperation, match="complex"):
        count(lambda x: torch.complex(x, x) @ torch.complex(x, x), (4, 4))
