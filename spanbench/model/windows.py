"""How a prompt falls into decoder windows: which ids each window is fed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Feed", "Group", "prefill_feed", "score_feed"]


@dataclass(frozen=True, slots=True)
class Group:
    """Equal windows first .. first+count-1 of every prompt, and the ids of their token rows (B x count x t)."""

    first: int
    ids: Tensor

    @property
    def count(self) -> int:
        """Windows of one prompt."""
        return int(self.ids.shape[1])

    @property
    def tokens(self) -> int:
        """Token rows of one window, carried ones included."""
        return int(self.ids.shape[2])


@dataclass(frozen=True, slots=True)
class Feed:
    """Groups of windows in the order of their rows; `last` where only the last row is wanted (prefill)."""

    groups: tuple[Group, ...]
    last: bool

    @property
    def ids(self) -> Tensor:
        """The ids of all token rows, group by group, in one line."""
        lines = [group.ids.flatten() for group in self.groups]
        return lines[0] if len(lines) == 1 else torch.cat(lines)


def score_feed(ids_BxN: Tensor, span: int, carry: int, *, split_first: bool) -> Feed:
    """Return all windows of a prompt: the complete ones, then the open one.

    Window 0 is a group of its own where it differs from the others: it carries nothing, or it reads another memory.
    """
    complete = int(ids_BxN.shape[1]) // span
    groups = []
    if complete:
        spans_BxKxS = ids_BxN[:, : complete * span].unflatten(1, (complete, span))
        own = spans_BxKxS[:, :, : span - 1]
        if split_first:
            groups.append(Group(0, own[:, :1]))
            if complete > 1:
                groups.append(Group(1, torch.cat((spans_BxKxS[:, :-1, span - carry :], own[:, 1:]), -1)))
        else:
            groups.append(Group(0, own))
    return Feed((*groups, _open(ids_BxN, span, carry)), last=False)


def prefill_feed(ids_BxN: Tensor, span: int, carry: int) -> Feed:
    """Return the open window alone."""
    return Feed((_open(ids_BxN, span, carry),), last=True)


def _open(ids_BxN: Tensor, span: int, carry: int) -> Group:
    """Window K: the last w tokens of the span before it, and its own o tokens."""
    tokens = int(ids_BxN.shape[1])
    complete = tokens // span
    begin = complete * span - (carry if complete else 0)
    return Group(complete, ids_BxN[:, None, begin:])
