from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import _get_current_dispatch_mode

from spanbench import count_module
from spanbench.errors import UncountedOperation
from tests.count.module.zoo import Calls


class Keeper(nn.Module):
    """Changes everything that a forward can change."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.table = nn.BatchNorm1d(8), nn.Embedding(4, 8, max_norm=0.1)
        self.register_buffer("seen", torch.zeros(3))
        self.cache: Tensor | None = None

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        self.cache = x
        self.seen.add_(1)
        self.register_buffer("new", x)
        self.norm.eval() if self.training else self.norm.train()
        y: Tensor = self.norm.train()(x.relu_()) + self.table(ids) + torch.rand(8)
        self.eval()
        return y


@pytest.mark.parametrize("training", [True, False])
def test_module_inputs_and_random_state_are_left_as_they_were(training: bool) -> None:
    module, x, ids = Keeper().train(training), torch.randn(6, 8), torch.tensor([0, 1, 2, 3, 0, 1])
    state, mine, drawn = {k: v.clone() for k, v in module.state_dict().items()}, x.clone(), torch.random.get_rng_state()
    objects = {name: id(tensor) for name, tensor in module.state_dict(keep_vars=True).items()}
    count_module(module, x, ids)
    assert module.state_dict().keys() == state.keys()
    assert all(torch.equal(module.state_dict()[name], before) for name, before in state.items())
    assert {name: id(tensor) for name, tensor in module.state_dict(keep_vars=True).items()} == objects
    assert module.cache is None
    assert [part.training for part in module.modules()] == [training] * 3
    assert torch.equal(x, mine)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("fails", [lambda x: torch.cdist(x, x), lambda x: x.missing], ids=["refused", "raising"])
def test_nothing_stays_behind_even_when_the_count_fails(fails: object) -> None:
    module = nn.Sequential(nn.BatchNorm1d(8), Calls(fails))  # type: ignore[arg-type]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    counts = len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks), len(hooks._global_forward_hooks_always_called)
    with pytest.raises((UncountedOperation, AttributeError)):
        count_module(module, torch.randn(6, 8))
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())
    assert counts == (
        len(hooks._global_forward_hooks),
        len(hooks._global_forward_pre_hooks),
        len(hooks._global_forward_hooks_always_called),
    )
    assert _get_current_dispatch_mode() is None
    assert not torch.is_inference_mode_enabled()
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_two_counts_of_one_module_are_equal_and_it_still_trains() -> None:
    module, x = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)), torch.randn(6, 8)
    assert count_module(module, x) == count_module(module, x)
    module(x).sum().backward()
    assert module[0].weight.grad is not None


def test_a_module_on_meta_stays_there() -> None:
    module = nn.Linear(8, 8, device="meta")
    count_module(module, torch.zeros(1, 8, device="meta"))
    assert module.weight.is_meta
