"""Products that are summed after a detour: exact, or refused, and never short."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from spanbench import count_module
from spanbench.errors import UncountedOperation
from tests.count.module.zoo import Calls

Two = Callable[[Tensor, Tensor], Tensor]

ROWS, WIDTH = 3, 5
ONCE = 2 * ROWS * WIDTH


def into(a: Tensor, b: Tensor, parts: int = 0) -> Tensor:
    """The product in a buffer: at once, or some rows at a time."""
    buffer = torch.empty_like(a)
    if not parts:
        torch.mul(a, b, out=buffer)
    for row in range(parts):
        torch.mul(a[row], b[row], out=buffer[row])
    return buffer.sum(-1)


def copied(a: Tensor, b: Tensor) -> Tensor:
    buffer = torch.zeros_like(a)
    for row in range(ROWS):
        buffer[row] = a[row] * b[row]
    return buffer.sum(-1)


def reused(a: Tensor, b: Tensor) -> Tensor:
    """One buffer that holds one product after another."""
    buffer, sums = torch.empty_like(a), []
    for row in range(ROWS):
        torch.mul(a, b[row], out=buffer)
        sums.append(buffer.sum(-1))
    return torch.stack(sums)


def overwritten(a: Tensor, b: Tensor) -> Tensor:
    buffer = torch.empty_like(a)
    torch.mul(a[0], b[0], out=buffer[0])
    torch.mul(a[1], b[1], out=buffer[0])
    return buffer.sum()


def scaled(a: Tensor, b: Tensor) -> Tensor:
    product = a * b
    product[0] *= 2
    return product.sum(-1)


def first(rows: int) -> Tensor:
    return torch.zeros(rows, dtype=torch.int64)


def added(rows: Tensor, size: int, onto: Tensor | None = None) -> Tensor:
    """Rows added to one of so many others."""
    onto = rows.new_zeros(size, rows.shape[1]) if onto is None else onto
    return onto.index_add(0, first(len(rows)), rows)


def slices_by_hand(a: Tensor, b: Tensor) -> Tensor:
    """One query row at a time against all keys: nothing is wider than its factors."""
    q, k = a[None], b[None]
    weights = torch.stack([(q * k[:, j : j + 1]).sum(-1) for j in range(ROWS)], -1).softmax(-1)
    out = torch.zeros_like(q)
    for j in range(ROWS):
        out = out + weights[..., j : j + 1] * k[:, j : j + 1]
    return out


EXACT: dict[str, tuple[Two, int]] = {
    "out": (into, ONCE),
    "out, by rows": (lambda a, b: into(a, b, ROWS), ONCE),
    "copied by rows": (copied, ONCE),
    "out, reused": (reused, ONCE * ROWS),
    "stack": (lambda a, b: torch.stack([a * b, a * b]).sum(-1), 2 * ONCE),
    "stack of one twice": (lambda a, b: torch.stack([p := a * b, p]).sum(-1), 2 * ONCE),
    "cat": (lambda a, b: torch.cat([a * b, a * b, a]).sum(-1), 2 * ONCE),
    "cat of slices": (lambda a, b: torch.cat([(p := a * b)[:1], p[2:]]).sum(-1), 2 * 2 * WIDTH),
    "addcmul": (lambda a, b: torch.addcmul(torch.zeros_like(a), a, b).sum(-1), ONCE),
    "addcmul onto a product": (lambda a, b: torch.addcmul(a * b, a, b).sum(-1), 2 * ONCE),
    "addcmul of a square": (lambda a, _: torch.addcmul(torch.zeros_like(a), a, a).sum(-1), 0),
    "index": (lambda a, b: (a * b)[:, torch.arange(WIDTH)].sum(-1), ONCE),
    "index of some": (lambda a, b: (a * b)[:, torch.arange(2)].sum(-1), 2 * ROWS * 2),
    "index, sum over no shared dimension": (lambda a, b: (a * b[0])[:, torch.arange(2)].sum(0), 0),
    "slice": (lambda a, b: (a * b)[:, :2].sum(-1), 2 * ROWS * 2),
    "flip": (lambda a, b: (a * b).flip(-1).sum(-1), ONCE),
    "gated channels, pooled over positions": (lambda a, b: F.adaptive_avg_pool1d(a[None] * b[None, :, :1], 2), 0),
    "gated channels, added by rows": (lambda a, b: torch.zeros_like(a).index_add(0, torch.arange(ROWS), a * b[0]), 0),
    "gated channels, added by rows, then summed": (lambda a, b: added(a * b[0], 2).sum(-1), ONCE),
    "gated channels, added by rows, then over rows": (lambda a, b: added(a * b[0], 2).sum(0), 0),
    "added by rows": (lambda a, b: added(a * b, 2), ONCE),
    "added by rows, all to one": (lambda a, b: a.new_zeros(1, WIDTH).index_add_(0, first(ROWS), a * b), ONCE),
    "added by rows, then summed": (lambda a, b: added(a * b, 2).sum(), ONCE),
    "added by rows to a product": (lambda a, b: added(a * b, 2, onto=(a * b)[:2].clone()).sum(-1), ONCE + 2 * 2 * WIDTH),
    "scaled rows, added": (lambda a, b: added(a * b[:, :1], 2), ONCE),
    "scaled rows, added after a detour": (lambda a, b: added((a * b[:, :1]).to(torch.float64).clone(), 2), ONCE),
    "a scaled row, added": (lambda a, b: added(a[:1] * b[:1, :1], 2), 2 * WIDTH),
    "a row scaled in place, added": (lambda a, b: added(a[:1].clone().mul_(b[:1, :1]), 2), 2 * WIDTH),
    "a scaled row, added after a detour": (lambda a, b: added((a[:1] * b[:1, :1]).to(torch.float64) + 1, 2), 2 * WIDTH),
    "a scaled row, put through what is not linear": (lambda a, b: added((a[:1] * b[:1, :1]).relu(), 2), 0),
    "a scaled row, summed": (lambda a, b: (a[:1] * b[:1, :1]).sum(0), 0),
    "no rows, added": (lambda a, b: added(a[:0] * b[:0, :1], 2), 0),
    "a row times a number, added": (lambda a, b: added(a[:1] * b[0, 0], 2), 0),
    "scattered": (lambda a, b: torch.zeros_like(a).scatter_add_(1, torch.zeros_like(a, dtype=torch.int64), a * b), ONCE),
    "scattered in part": (lambda a, b: torch.zeros_like(a).scatter_add_(0, first(2)[:, None].expand(-1, WIDTH), a * b), 2 * 2 * WIDTH),
    "a square, added by rows": (lambda a, _: added(a * a, 2), 0),
    "row reshaped": (lambda a, b: (p := a * b)[0].reshape(1, WIDTH).sum() + p.sum(), 2 * WIDTH + ONCE),
    "row scaled in place": (scaled, ONCE),
    "largest": (lambda a, b: (a * b).amax(-1), 0),
}

REFUSED: dict[str, tuple[Two, str]] = {
    "avg_pool1d": (lambda a, b: F.avg_pool1d((a * b)[None], WIDTH), "avg_pool"),
    "norm of order 1": (lambda a, b: (a * b).norm(p=1, dim=-1), "norm"),
    "a scaled row, reshaped and added": (
        lambda a, b: a.new_zeros(2, WIDTH).index_add(0, first(1), (a[None, :1] * b[None, :1, :1])[0].reshape(1, WIDTH)),
        "aten.index_add",
    ),
    "gated channels, reshaped, then added": (lambda a, b: added((a[None] * b[0])[0], 2), "aten.index_add"),
    "products joined, then added": (lambda a, b: added(torch.cat([a * b[:, :1], a[:1] * b[:1, :1]]), 2), "aten.index_add"),
    "added part of products among others": (lambda a, b: added(torch.cat([a * b, a])[2:5], 2), "aten.index_add"),
    "scatter_reduce": (
        lambda a, b: torch.zeros_like(a).scatter_reduce_(1, torch.zeros_like(a, dtype=torch.int64), a * b, "sum"),
        "aten.scatter_reduce",
    ),
    "added by rows, then summed in part": (lambda a, b: added(a * b[0], 2)[0].sum(), "aten.sum"),
    "accumulated": (
        lambda a, b: torch.zeros_like(a).index_put_((torch.zeros(ROWS, dtype=torch.int64),), a * b, accumulate=True),
        "index_put",
    ),
    "one part written twice": (overwritten, "aten.sum"),
    "part of products among others": (lambda a, b: torch.cat([a * b, a])[2:5].sum(-1), "aten.sum"),
}


def inputs() -> tuple[Tensor, Tensor]:
    return torch.ones(ROWS, WIDTH), torch.ones(ROWS, WIDTH)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("case", EXACT)
def test_a_product_is_counted_where_it_is_summed(case: str, device: str) -> None:
    function, flops = EXACT[case]
    with torch.device(device):
        counted = count_module(Calls(function), *inputs())
    assert counted.flops == flops
    assert (counted.cells_dense is None) == ("cells_dense" in counted.reasons) == (flops > 0)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_sums_a_product_without_a_rule_is_refused_by_name(case: str, device: str) -> None:
    function, name = REFUSED[case]
    with torch.device(device), pytest.raises(UncountedOperation, match=name):
        count_module(Calls(function), *inputs())


def test_attention_by_slices_has_no_known_cells() -> None:
    counted = count_module(Calls(slices_by_hand), *inputs())
    assert counted.flops == 2 * ROWS * ROWS * WIDTH  # the mix is a loop of multiplications and additions: docs, "Not seen"
    assert (counted.cells_dense, counted.cells_useful) == (None, None)
    assert "two activations" in counted.reasons["cells_dense"]
