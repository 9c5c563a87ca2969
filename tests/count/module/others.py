"""What torch's FlopCounterMode and fvcore print for the awkward modules, as they come; `python -m tests.count.module.others`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from spanbench import count_module
from spanbench.errors import UncountedOperation
from tests.count.module.cases import CASES, ON_META_ONLY
from tests.count.module.zoo import Case

Counter = Callable[[nn.Module, tuple[Tensor, ...]], int]
RELEASE = tuple(int(part) for part in torch.__version__.split(".")[:2])
"""The minor release of torch that these tests run with: its own counter differs from one to another."""

HEAD = ("| module | `count_module` | FlopCounterMode | 2 × fvcore |", "|:---|---:|---:|---:|")


def by_torch(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops())


def by_fvcore(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Twice its total: fvcore calls one multiply-accumulate one flop."""
    from fvcore.nn import FlopCountAnalysis

    with torch.no_grad():
        return int(2 * FlopCountAnalysis(module, inputs).total())


def printed(counter: Counter, case: Case) -> int | None:
    """What a counter prints, on the CPU where that has the kernel; None where it raises."""
    with torch.device("meta" if case.name in ON_META_ONLY else "cpu"):
        module, inputs = case.build().train(case.train), case.inputs()
    try:
        return counter(module, inputs)
    except Exception:  # noqa: BLE001 - whatever it raises, it prints no number
        return None


def ours(case: Case) -> int | None:
    with torch.device("meta" if case.name in ON_META_ONLY else "cpu"):
        module, inputs = case.build().train(case.train), case.inputs()
    try:
        return count_module(module, *inputs).flops
    except UncountedOperation:
        return None


def compared() -> Iterator[tuple[str, int | None, int | None, int | None]]:
    """Yield each case's name, and what count_module, FlopCounterMode and fvcore say (None: refused, or no number)."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in CASES:
            yield case.name, ours(case), printed(by_torch, case), printed(by_fvcore, case)


def table() -> list[str]:
    """Return the Markdown table of the modules on which some counter does not say what count_module says."""
    return [*HEAD, *(_row(*row) for row in compared() if set(row[1:]) != {row[1]})]


def _row(name: str, exact: int | None, torchs: int | None, fvcores: int | None) -> str:
    return f"| {name} | {_cell(exact, 'refused')} | {_other(torchs, exact)} | {_other(fvcores, exact)} |"


def _cell(value: int | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:,}"


def _other(value: int | None, exact: int | None) -> str:
    return "=" if value == exact is not None else _cell(value, "raises")


if __name__ == "__main__":
    print("\n".join(table()))  # noqa: T201 - a script prints
