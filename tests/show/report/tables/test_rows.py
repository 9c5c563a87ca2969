from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanbench.show.reading import tidy_rows
from spanbench.show.report.tables.rows import (
    FIGURE_COLUMNS,
    TIDY_COLUMNS,
    csv_line,
    point_row,
    sorted_columns,
    tidy_row,
    tidy_text,
    wide_lines,
    wide_row,
)
from tests.show.report.records import counted, measured

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1)
VALUES = st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)


def parsed(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(st.lists(VALUES, min_size=2))
def test_a_line_of_csv_reads_back_as_python_prints_its_values(values: list[Any]) -> None:
    assert parsed(csv_line(values)) == [["" if value is None else str(value) for value in values]]


def test_the_quick_lines_of_a_record_are_the_plain_lines_of_its_rows() -> None:
    plain = measured().to_json()
    head = point_row(plain)
    rows = [(*head.values(), *tidy_row(m)) for m in plain["measures"]]
    assert parsed(tidy_text(head, plain["measures"])) == parsed("".join(csv_line(row) for row in rows))
    assert {len(row) for row in rows} == {len(TIDY_COLUMNS)}


def test_tidy_rows_hold_what_every_other_views_csv_holds() -> None:
    record = measured()
    plain = record.to_json()
    head = point_row(plain)
    for ours, theirs in zip(plain["measures"], tidy_rows([record]), strict=True):
        row = dict(zip(TIDY_COLUMNS, (*head.values(), *tidy_row(ours)), strict=True))
        assert {name: value for name, value in theirs.items() if value != ""} == {name: row[name] for name in theirs if theirs[name] != ""}


def test_value_int_repeats_integers_alone() -> None:
    rows = {row["quantity"]: dict(zip(FIGURE_COLUMNS, tidy_row(row), strict=True)) for row in measured().to_json()["measures"]}
    assert rows["flops"]["value_int"] == rows["flops"]["value"]
    assert rows["seconds"]["value_int"] is None
    assert rows["ratio:flops"]["value_int"] is None


def test_a_wide_row_has_every_figure_once_under_its_name() -> None:
    plain = measured().to_json()
    row = wide_row(point_row(plain), plain["measures"])
    flops = next(m for m in plain["measures"] if (m["arm"], m["stage"], m["quantity"]) == ("latent", "mixer", "flops"))
    assert row["flops.latent.prefill.mixer"] == flops["value"]
    assert (row["seconds.token.prefill"], row["seconds.token.prefill.source"]) == (0.2, "measured")
    assert row["seconds.token.prefill.low"] < 0.2 < row["seconds.token.prefill.high"]
    assert row["ratio:seconds.pair.prefill"] == 2.0
    figures = [name for name in row if "." in name and name.rpartition(".")[2] not in {"low", "high", "source"}]
    assert len(figures) == len(plain["measures"])


def test_wide_lines_leave_empty_what_a_record_does_not_have() -> None:
    rows = [wide_row(point_row(plain), plain["measures"]) for plain in (counted().to_json(), measured().to_json())]
    head, first, second = parsed("".join(wide_lines(rows)))
    place = head.index("seconds.token.prefill")
    assert (first[place], second[place]) == ("", "0.2")
    assert len(head) == len(set(head)) == len(first)


def test_wide_columns_are_the_same_in_whatever_order_they_were_met() -> None:
    plain = measured().to_json()
    names = list(wide_row(point_row(plain), plain["measures"]))
    assert sorted_columns(names) == sorted_columns(reversed(names))
    assert sorted_columns(["new.token.score", "flops.latent.score", "flops.token.score"])[-3:] == [
        "flops.token.score",
        "flops.latent.score",
        "new.token.score",
    ]
