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
    "row reshaped": (lambda a, b: (p := a * b)[0].reshape(1, WIDTH).sum() + p.sum(), 2 * WIDTH + ONCE),
    "row scaled in place": (scaled, ONCE),
    "largest": (lambda a, b: (a * b).amax(-1), 0),
}

REFUSED: dict[str, tuple[Two, str]] = {
    "avg_pool1d": (lambda a, b: F.avg_pool1d((a * b)[None], WIDTH), "avg_pool"),
    "norm of order 1": (lambda a, b: (a * b).norm(p=1, dim=-1), "norm"),
    "index_add": (lambda a, b: a.new_zeros(2, WIDTH).index_add_(0, torch.zeros(ROWS, dtype=torch.int64), a * b), "aten.index_add"),
    "scatter_add": (lambda a, b: torch.zeros_like(a).scatter_add_(1, torch.zeros_like(a, dtype=torch.int64), a * b), "aten.scatter_add"),
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
