"""The other counters: the page shows where they differ, and elsewhere all agree. And the canary."""

from __future__ import annotations

import re
import runpy
from itertools import takewhile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from tests.count.module.cases import CASES
from tests.count.module.others import RELEASE, compared, table

PAGE = Path(__file__).parents[3] / "docs" / "count-module.md"
MAIN = "<!-- table: python -m tests.count.module.others -->"


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, int | None, int | None, int | None]]:
    return list(compared())


def rows_after(mark: str) -> list[str]:
    """The lines of the page's table that follows this mark."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return list(takewhile(lambda line: line.startswith("|"), lines[lines.index(mark) + 2 :]))


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def shown_for(release: tuple[int, ...]) -> list[str]:
    """The page's differences, FlopCounterMode's column as the page says that this release of torch has it."""
    head, _, *others = map(cells, rows_after("<!-- table: FlopCounterMode by release -->"))
    column = max(at for at, name in enumerate(head[1:], 1) if tuple(map(int, name.removeprefix("torch ").split("."))) <= release)
    says = {row[0]: row[column] for row in others}
    head_and_rule, rows = rows_after(MAIN)[:2], [cells(row) for row in rows_after(MAIN)[2:]]
    assert set(says) <= {row[0] for row in rows}
    return head_and_rule + [f"| {name} | {exact} | {says.get(name, torchs)} | {fvcores} |" for name, exact, torchs, fvcores in rows]


def test_the_page_shows_every_difference_of_this_release_of_torch_and_no_other() -> None:
    assert shown_for(RELEASE) == table()


def test_the_main_table_is_that_of_the_pinned_release_and_the_other_names_each_that_differs() -> None:
    pinned = (PAGE.parents[1] / "constraints.txt").read_text(encoding="utf-8")
    release = tuple(map(int, re.findall(r"^torch==(\d+)\.(\d+)", pinned, re.MULTILINE)[0]))
    assert shown_for(release) == rows_after(MAIN)
    assert cells(rows_after("<!-- table: FlopCounterMode by release -->")[0]) == ["module", "torch 2.11", "torch 2.14", "torch 2.15"]


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


def test_canary_torch_counts_its_attention_on_the_cpu_from_2_15_on() -> None:
    """torch 2.15 registered its kernel (pytorch#195460); when 2.14 leaves the range, take the notes out of docs and witness."""
    q = torch.zeros(1, 2, 5, 8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        F.scaled_dot_product_attention(q, q, q)
    registered = RELEASE >= (2, 15)
    assert counter.get_total_flops() == (2 * 2 * 5 * 5 * (8 + 8) if registered else 0)
    assert (torch.ops.aten._scaled_dot_product_flash_attention_for_cpu in flop_registry) == registered
