"""Which latents are nearest, and what the output loses."""

from __future__ import annotations

import math

import pytest
import torch

from spanbench.errors import UsageError
from spanbench.store.document import choose_top_k, output_change


def test_the_nearest_by_angle_are_chosen_whatever_their_length_in_the_order_of_the_text() -> None:
    u = torch.tensor([[0.0, 9.0], [100.0, 1.0], [-5.0, 0.0], [0.1, 0.1]])
    assert choose_top_k(torch.tensor([1.0, 0.0]), u, 2) == [1, 3]
    assert choose_top_k(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), u, 2) == [0, 1]
    assert choose_top_k(torch.tensor([1.0, 0.0]), u, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("k", [0, 5])
def test_as_many_as_there_are_not_cannot_be_chosen(k: int) -> None:
    with pytest.raises(UsageError, match=rf"cannot choose {k} of 4 spans; take 1 \.\. 4"):
        choose_top_k(torch.ones(2), torch.ones(4, 2), k)


def test_the_change_of_an_output_is_its_divergence() -> None:
    """Of (1/2, 1/2) against (3/4, 1/4): half of log(4/3)."""
    change = output_change(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, -math.log(3)]]))
    assert change.kl == pytest.approx(math.log(4 / 3) / 2)
    assert change.max_logit == pytest.approx(math.log(3))
    assert change.same_choice
    none = output_change(torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 3.0]]))
    assert none.kl == pytest.approx(0.0, abs=1e-12)
    assert not output_change(torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 1.0]])).same_choice
