"""The view of gates: every figure exact in data, readable at 80 columns, and annotations on the file's lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from spanbench.judge.gates import Gate, Judged
from spanbench.request import Request
from spanbench.show.formats import FORMATS
from spanbench.show.ratio import Gated, render_ratio, workflow_commands
from tests.show.building import point

HUGE = 2**63


def judged(
    token: int | None = 2246, latent: int | None = 100, least: str | None = "22.46", most: str | None = None, **gate: object
) -> Judged:
    low, high = (None if text is None else Decimal(text) for text in (least, most))
    asked = Gate(Request(), "flops", "prefill", least=low, most=high, **gate)  # type: ignore[arg-type]  # names and places
    return Judged(asked, point(), token, latent, "ledger", "" if latent else "the latent arm's flops is 0")


def test_data_hold_every_digit_and_limits_as_they_were_written() -> None:
    one = judged(HUGE * 3 + 1, HUGE, "3", "3.10")
    (row,) = json.loads(render_ratio(Gated([one]), "json"))["gates"]
    assert (row["token"], row["latent"], row["min"], row["max"], row["holds"]) == (HUGE * 3 + 1, HUGE, "3", "3.10", True)
    (line,) = csv.DictReader(io.StringIO(render_ratio(Gated([one]), "csv")))
    assert (int(line["token"]), int(line["latent"]), line["min"]) == (HUGE * 3 + 1, HUGE, "3")


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_shows_gates_that_hold_fail_or_have_no_ratio(fmt: str) -> None:
    text = render_ratio(Gated([judged(), judged(2245), judged(1, 0), judged(None, None)], verified=["closed form = ledger"]), fmt)
    assert text.endswith("\n")
    assert "22.46" in text


def test_a_table_fits_80_columns_and_shows_ratios_to_the_digit_that_decides() -> None:
    near = judged(2246 * 10**3 - 1, 100 * 10**3, "22.46", "22.47", name="a name of many words that says why it is here", number=2)
    text = render_ratio(Gated([judged(), near]), "table", 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "22.4600×" in text
    assert "22.45999×" in text
    assert "FAILS −4e-05%" in text
    assert "1 holds, 1 fails" in text


def test_the_closed_form_says_what_it_does_not_see() -> None:
    assert "no model was executed" in render_ratio(Gated([judged()], closed_form=True))
    assert "Checked, tolerance 0: a, b." in render_ratio(Gated([judged()], verified=["a", "b"]))


def test_a_point_without_a_complete_span_says_that_its_ratio_is_not_about_latents() -> None:
    one = judged()
    assert "says nothing about latents" not in render_ratio(Gated([one]), "markdown")
    assert "says nothing about latents" in render_ratio(Gated([one, replace(one, point=point(tokens=24))]), "markdown")


def commands(rows: Sequence[Judged], folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.chdir(folder)
    patch.delenv("GITHUB_WORKSPACE", raising=False)
    return workflow_commands(rows)


def test_a_gate_of_a_file_that_fails_is_annotated_on_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [judged(path="g.toml", line=3), judged(2245, path="g.toml", line=9, name="a, b: 5%"), judged(1, path=None)]
    (command,) = commands(rows, tmp_path, monkeypatch)
    assert command.startswith(
        "::error file=g.toml,line=9,title=spanbench ratio%3A a%2C b%3A 5%25::token ÷ latent of flops in prefill is 22.4500"
    )
    assert "(0.04%25) too low" in command


def test_at_most_ten_annotations_are_given_and_the_last_counts_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [judged(1, path="g.toml", line=number) for number in range(1, 31)]
    assert len(commands(failing[:10], tmp_path, monkeypatch)) == 10
    found = commands(failing, tmp_path, monkeypatch)
    assert len(found) == 10
    assert found[-1].endswith("… and 21 more gates fail")
