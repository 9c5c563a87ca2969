"""The other counters: the page shows where they differ, and elsewhere all agree. And the canary."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from tests.count.module.cases import CASES
from tests.count.module.others import compared, table

PAGE = Path(__file__).parents[3] / "docs" / "count-module.md"


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, int | None, int | None, int | None]]:
    return list(compared())


def test_the_page_shows_every_difference_and_no_other() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    shown = [line for line in lines[lines.index("<!-- table: python -m tests.count.module.others -->") :] if line.startswith("|")]
    assert shown == table()


def test_the_example_on_the_page_holds(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    assert runpy.run_path(str(tmp_path / "example.py"))["counted"].params == 4 * 512 * 512 + 2 * 512 * 2048 + 2048 + 9 * 512


def test_they_agree_on_modules_whose_products_all_of_them_know(rows: list[tuple[str, int | None, int | None, int | None]]) -> None:
    equal = {name for name, exact, torchs, fvcores in rows if exact is not None and exact == torchs == fvcores}
    assert {"Conv2d, strided, grouped", "ConvTranspose2d, grouped", "unfolded convolution", "LSTMCell", "attention by einsum"} <= equal


def test_no_case_is_counted_short_of_what_torch_says(rows: list[tuple[str, int | None, int | None, int | None]]) -> None:
    """torch's registry holds matrix-class work only, so where we count, it can only miss some."""
    assert [row for row in rows if row[1] is not None and row[2] is not None and row[1] < row[2]] == []
    assert len(rows) == len(CASES)


def test_canary_torch_does_not_count_its_attention_on_the_cpu() -> None:
    """The day this fails, torch has registered it (pytorch#195460): take the note out of docs/count-module.md and the README."""
    q = torch.zeros(1, 2, 5, 8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        F.scaled_dot_product_attention(q, q, q)
    assert counter.get_total_flops() == 0
    assert torch.ops.aten._scaled_dot_product_flash_attention_for_cpu not in flop_registry
