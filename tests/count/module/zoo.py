"""Awkward modules: each with the FLOPs that a person works out for it, or the operation that must be named in its refusal."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 2 * 5  # of every B x T x D input below: 2 prompts, 5 positions, width 8


class Calls(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Case:
    """`flops` is an integer worked out by hand, or the name that a refusal must contain. Built on the device that is current."""

    name: str
    build: Callable[[], nn.Module]
    flops: int | str
    inputs: Callable[[], tuple[Tensor, ...]] = lambda: (torch.zeros(2, 5, 8),)
    train: bool = False
    meta: bool = True


def images(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.zeros(shape),)


def ids() -> tuple[Tensor, ...]:
    return (torch.zeros(2, 5, dtype=torch.int64),)


def pair() -> tuple[Tensor, ...]:
    return torch.zeros(2, 5, 8), torch.zeros(2, 5, 8)


def by_hand(q: Tensor) -> Tensor:
    """Attention with (q * k).sum: scores and mix by broadcast products."""
    scores = (q[:, :, None] * (q + 1)[:, None]).sum(-1) / math.sqrt(8)
    return (scores.softmax(-1)[..., None] * (q - 1)[:, None]).sum(2)


def one_query(q: Tensor) -> Tensor:
    """The same for a single query against all keys: no product is larger than its factors."""
    scores = (q[:, :1] * (q + 1)).sum(-1)
    return (scores.softmax(-1)[..., None] * (q - 1)).sum(1)


@torch.library.custom_op("spanbench_tests::relu", mutates_args=())
def hidden_product(x: Tensor) -> Tensor:
    return x @ x.mT


@hidden_product.register_fake
def _(x: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], x.shape[-2])


class ThroughNumpy(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy() @ x.numpy().swapaxes(-1, -2))


class InAThread(nn.Module):
    """A product that a worker computes; no mode of this thread sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as pool:
            y: Tensor = pool.submit(self.linear, x).result()
        return y


class SelfAttention(nn.Module):
    """One tensor is queries, keys and values: inference runs it as one operation."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.attention(x, x, x)[0]
        return out


class Residual(nn.Module):
    """A block of a ResNet, with the strided shortcut."""

    def __init__(self, wide: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(wide, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.Conv2d(wide, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def resnet() -> nn.Module:
    stem = (nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*stem, Residual(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def grouped_mm() -> tuple[Tensor, ...]:
    ends = torch.tensor([4, 8, 24, 32], dtype=torch.int32)
    return torch.zeros(32, 16, dtype=torch.bfloat16), torch.zeros(4, 16, 24, dtype=torch.bfloat16), ends


def bytes_pair() -> tuple[Tensor, ...]:
    return torch.zeros(32, 16, dtype=torch.int8), torch.zeros(16, 24, dtype=torch.int8)


def compiled() -> nn.Module:
    return cast(nn.Module, torch.compile(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), backend="eager"))


def gram(x: Tensor) -> Tensor:
    return x @ x.mT
