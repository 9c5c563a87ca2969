"""CUDA_VISIBLE_DEVICES as CUDA reads it, beside torch's own reading of it."""

from __future__ import annotations

import os
from unittest import mock

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from spanbench.measure.nvml.errors import NvmlError
from spanbench.measure.nvml.visible import Card, choose, visible

UUIDS = ("GPU-aa10", "GPU-aa20", "GPU-b100", "GPU-b1ff")
CARDS = tuple(Card(index, uuid, "Card") for index, uuid in enumerate(UUIDS))
SLICED = (Card(0, "GPU-aa10", "Card", ("MIG-1a", "MIG-1b")), Card(1, "GPU-bb20", "Card"))

NUMBERS = st.sampled_from(["0", "1", "2", "3", "4", "12", "-1", "-0", "+1", " 2", "2 ", "1gpu", "gpu1", "", " ", "x"])
PREFIXES = st.sampled_from([*UUIDS, "GPU-a", "GPU-aa1", "GPU-b1", "GPU-b1f", "GPU-", "GPU-zz", "0", "", "MIG-1"])
SETTINGS = st.lists(NUMBERS, max_size=5).map(",".join) | st.lists(PREFIXES, max_size=4).map(",".join)


def by_torch(setting: str) -> list[int]:
    """Return the boards that torch finds visible; its parser is private, and stands here as CUDA's own."""
    with mock.patch.dict(os.environ, {"CUDA_VISIBLE_DEVICES": setting}):
        parsed = torch.cuda._parse_visible_devices()
    if parsed and isinstance(parsed[0], str):
        return torch.cuda._transform_uuid_to_ordinals(parsed, list(UUIDS))
    kept: list[int] = []
    for index in parsed:
        if int(index) >= len(UUIDS):
            break
        kept.append(int(index))
    return kept


@given(SETTINGS)
@example("1,0")
@example("0,0")
@example("1,9,0")
@example("GPU-aa10,GPU-aa1")
def test_a_list_of_visible_devices_means_what_it_means_to_torch(setting: str) -> None:
    if setting.startswith("MIG-"):
        return  # torch leaves these to CUDA
    assert [choice.card.index for choice in visible(CARDS, setting)] == by_torch(setting)


def test_without_the_variable_every_board_is_visible() -> None:
    assert [choice.card.index for choice in choose(CARDS, None)] == [0, 1, 2, 3]


def test_a_device_name_counts_among_the_visible_boards() -> None:
    assert [choice.card.index for choice in choose(CARDS, "3,1", "cuda")] == [3]
    assert [choice.card.index for choice in choose(CARDS, "3,1", "cuda:1")] == [1]


def test_a_mig_slice_is_found_on_its_board() -> None:
    (choice,) = choose(SLICED, "MIG-1b")
    assert (choice.card.uuid, choice.instance) == ("GPU-aa10", "MIG-1b")


def test_a_board_cut_into_slices_gives_cuda_its_first_slice() -> None:
    assert [choice.instance for choice in choose(SLICED, None)] == ["MIG-1a", None]


def test_a_running_cuda_settles_the_order_whatever_the_variable_says() -> None:
    chosen = choose(CARDS, "0,1", "cuda:0", live=["b1ff", "aa10"])
    assert [choice.card.index for choice in chosen] == [3]


def test_a_running_cuda_may_name_a_slice() -> None:
    (choice,) = choose(SLICED, None, "cuda", live=["1b"])
    assert (choice.card.index, choice.instance) == (0, "MIG-1b")


@pytest.mark.parametrize(
    ("setting", "wanted", "named"),
    [
        ("", None, "CUDA_VISIBLE_DEVICES is empty"),
        ("  ", None, "CUDA_VISIBLE_DEVICES is empty"),
        ("-1", None, "CUDA_VISIBLE_DEVICES=-1 leaves none of the 4 GPUs"),
        ("7", "cuda", "CUDA_VISIBLE_DEVICES=7 leaves none"),
        ("GPU-ffff", None, "CUDA_VISIBLE_DEVICES=GPU-ffff leaves none"),
        ("GPU-b1", None, "leaves none"),
        ("1,1", None, "leaves none"),
        ("1", "cuda:1", "cuda:1 does not exist: CUDA sees 1 GPU, cuda:0 to cuda:0"),
        (None, "mps", "mps is no NVIDIA GPU"),
    ],
)
def test_a_choice_that_finds_no_board_says_what_hides_it(setting: str | None, wanted: str | None, named: str) -> None:
    with pytest.raises(NvmlError) as refused:
        choose(CARDS, setting, wanted)
    assert named in str(refused.value)
    assert refused.value.mend


def test_a_machine_without_boards_says_so() -> None:
    with pytest.raises(NvmlError, match="lists no GPU"):
        choose((), None)


def test_a_board_that_only_cuda_knows_is_refused() -> None:
    with pytest.raises(NvmlError, match="does not list"):
        choose(CARDS, None, live=["dead"])
