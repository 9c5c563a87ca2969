from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spanbench.count.extents import extent_bytes, tensors_in, unique_bytes, unique_elements

BUFFER = 40


@st.composite
def views(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Any size, stride and offset that stays inside the buffer; strides of 0 and overlaps among them."""
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    strides = [draw(st.integers(0, 6)) for _ in sizes]
    return tuple(sizes), tuple(strides), draw(st.integers(0, 3))


def places(view: Tensor) -> set[int]:
    """The elements of the buffer that a view reads, each by its index: the buffer holds its own indices."""
    return {int(value) for value in view.flatten().tolist()}


@given(st.lists(views(), min_size=1, max_size=4))
def test_the_union_of_views_is_the_set_of_elements_they_read(specs: list[tuple[tuple[int, ...], tuple[int, ...], int]]) -> None:
    buffer = torch.arange(BUFFER, dtype=torch.float32)
    tensors = [buffer.as_strided(*spec) for spec in specs]
    read = set().union(*(places(tensor) for tensor in tensors))
    assert extent_bytes(tensors) == 4 * len(read)
    on_meta = torch.empty(BUFFER, device="meta")
    assert extent_bytes([on_meta.as_strided(*spec) for spec in specs]) == 4 * len(read)


def test_different_storages_add_up_and_views_of_another_type_do_not() -> None:
    one, other = torch.zeros(6, dtype=torch.complex64), torch.zeros(6)
    assert extent_bytes([one, other]) == 48 + 24
    assert extent_bytes([one, torch.view_as_real(one)]) == 48


def test_an_expanded_dimension_counts_once() -> None:
    tensor = torch.empty(1, 5, device="meta").expand(7, 5)
    assert unique_elements(tensor) == 5
    assert unique_elements(tensor[:0]) == 0
    assert unique_bytes([tensor, tensor, tensor[:, :2]]) == 4 * (5 + 2)


@dataclass
class Holder:
    count: int
    tensors: tuple[Tensor, ...]


def test_tensors_are_found_in_nested_containers_only() -> None:
    a, b, c, d = (torch.zeros(1) for _ in range(4))
    assert list(tensors_in([a, {"k": (b, 3, None)}, Holder(2, (c,)), "text", Holder, d])) == [a, b, c, d]
