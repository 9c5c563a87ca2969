from __future__ import annotations

import pytest
import torch

from spanbench import count_module
from spanbench.errors import UncountedOperation
from tests.count.module.cases import CASES, ON_META_ONLY
from tests.count.module.zoo import Case

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # oneDNN has no kernel for it; torch has

DEVICES = [(case, device) for case in CASES for device in ("cpu", "meta") if not (device == "cpu" and case.name in ON_META_ONLY)]
EXACT = [(case, device) for case, device in DEVICES if isinstance(case.flops, int) and (case.meta or device == "cpu")]
REFUSED = [(case, device) for case, device in DEVICES if isinstance(case.flops, str) and (case.meta or device == "cpu")]


def name(value: Case | str) -> str:
    return value if isinstance(value, str) else value.name


@pytest.mark.parametrize(("case", "device"), EXACT, ids=name)
def test_every_awkward_module_has_the_flops_worked_out_by_hand(case: Case, device: str) -> None:
    with torch.device(device):
        module, inputs = case.build().train(case.train), case.inputs()
    counted = count_module(module, *inputs)
    assert counted.flops == case.flops
    assert counted.macs * 2 == counted.flops
    assert sum(counted.by_operation.values()) == counted.by_module[""] == counted.flops


@pytest.mark.parametrize(("case", "device"), REFUSED, ids=name)
def test_what_cannot_be_counted_is_refused_by_name(case: Case, device: str) -> None:
    with torch.device(device):
        module, inputs = case.build().train(case.train), case.inputs()
    with pytest.raises(UncountedOperation) as refusal:
        count_module(module, *inputs)
    assert str(case.flops) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_there_are_enough_of_them_and_no_two_are_one() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 25
