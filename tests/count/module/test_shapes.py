"""Random convolutions and recurrences against sums written from their definitions."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spanbench import count_module

small = st.integers(1, 3)


@settings(max_examples=60)
@given(st.integers(1, 3), small, small, small, small, st.integers(0, 2), st.integers(1, 2), st.integers(1, 2))
def test_a_convolution_multiplies_each_tap_of_each_output(
    dims: int, groups: int, wide: int, out: int, kernel: int, padding: int, stride: int, dilation: int
) -> None:
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    module = convolution(groups * wide, groups * out, kernel, stride, padding, dilation, groups, device="meta")
    side = len(range(0, 7 + 2 * padding - dilation * (kernel - 1), stride))  # places where the kernel fits
    counted = count_module(module, torch.zeros(2, groups * wide, *[7] * dims, device="meta"))
    assert counted.macs == sum(wide * kernel**dims for _ in range(2 * groups * out * side**dims))


@settings(max_examples=40)
@given(st.integers(1, 3), small, small, small, small, st.integers(0, 2), st.integers(1, 2))
def test_a_transposed_convolution_multiplies_each_tap_of_each_input(
    dims: int, groups: int, wide: int, out: int, kernel: int, padding: int, stride: int
) -> None:
    convolution = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
    module = convolution(groups * wide, groups * out, kernel, stride, padding, groups=groups, device="meta")
    counted = count_module(module, torch.zeros(2, groups * wide, *[7] * dims, device="meta"))
    assert counted.macs == sum(out * kernel**dims for _ in range(2 * groups * wide * 7**dims))


@settings(max_examples=60)
@given(
    st.sampled_from([("LSTM", 4), ("GRU", 3), ("RNN", 1)]),
    small,
    st.integers(2, 5),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_recurrence_multiplies_each_gate_of_each_step(
    kind: tuple[str, int], layers: int, hidden: int, wide: int, both: bool, first: bool, projected: bool
) -> None:
    name, gates = kind
    kept = hidden - 1 if projected and name == "LSTM" else 0
    options = {"proj_size": kept} if kept else {}
    module = getattr(nn, name)(wide, hidden, layers, bidirectional=both, batch_first=first, device="meta", **options)
    macs, entering, state = 0, wide, kept or hidden
    for _ in range(layers):
        for _ in range(1 + both):
            macs += 2 * 6 * (gates * hidden * (entering + state) + hidden * kept)
        entering = state * (1 + both)
    assert count_module(module, torch.zeros(2, 6, wide, device="meta")).macs == macs


def test_a_packed_batch_has_no_padding_to_multiply() -> None:
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(3, 7, 8), [7, 4, 2], batch_first=True)
    assert count_module(nn.LSTM(8, 5), packed).macs == (7 + 4 + 2) * 20 * (8 + 5)


def test_offsets_of_grouped_rows_say_how_many_there_are() -> None:
    class Experts(nn.Module):
        def forward(self, x: torch.Tensor, weights: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
            return torch._grouped_mm(x, weights, offs=ends)

    x, weights = torch.zeros(32, 16, dtype=torch.bfloat16), torch.zeros(3, 16, 8, dtype=torch.bfloat16)
    assert count_module(Experts(), x, weights, torch.tensor([8, 8, 24], dtype=torch.int32)).macs == 24 * 16 * 8
