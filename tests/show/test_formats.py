from __future__ import annotations

import csv
import io
import json
import re

import pytest

from spanbench.errors import UsageError
from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.formats import FORMATS, render

ROWS = (Row(("counted",), group=True), Row(("FLOP", Cell("29.1 T", "29,124,173,234,176"))), Row(("  a|b", "7")))
PAGE = Page(
    (Text("Title", "title"), Text("one two three four " * 8), Table(("", "token\nvalue"), ROWS, "Figures")),
    {"value": 29_124_173_234_176},
    [{"value": 29_124_173_234_176, "note": None}, {"value": 0.1, "note": "a,b"}],
)


def test_a_table_shows_every_digit_where_there_is_room_and_none_is_ever_cut() -> None:
    wide = Page((Table(("x" * 60, "value"), ROWS[1:2]),), {})
    assert "29,124,173,234,176" in render(wide, "table", 80)
    assert "29.1 T" in render(wide, "table", 79)
    assert "29.1 T" in render(wide, "table", 10)


def test_text_wraps_at_the_width_and_stays_readable_on_wide_terminals() -> None:
    assert max(map(len, render(PAGE, "table", 80).splitlines())) <= 80
    assert max(map(len, render(PAGE, "table", 500).splitlines())) <= 116


def test_without_colour_there_is_no_escape_and_with_it_the_same_text() -> None:
    plain, coloured = render(PAGE, "table", 80), render(PAGE, "table", 80, colour=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_the_environment_does_not_change_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render(PAGE, "table", 100)
    for name, value in {"COLUMNS": "30", "FORCE_COLOR": "1", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert render(PAGE, "table", 100) == before


def test_no_line_ends_in_spaces() -> None:
    assert all(line == line.rstrip() for line in render(PAGE, "table", 80).splitlines())


def test_json_is_the_data_with_exact_integers() -> None:
    assert json.loads(render(PAGE, "json")) == {"value": 29_124_173_234_176}


def test_csv_is_tidy_and_null_is_empty() -> None:
    assert list(csv.reader(io.StringIO(render(PAGE, "csv")))) == [["value", "note"], ["29124173234176", ""], ["0.1", "a,b"]]


def test_markdown_tables_are_rectangular_escaped_and_exact() -> None:
    text = render(PAGE, "markdown")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == "|  | token value |"
    assert lines[1] == "| :--- | ---: |"
    assert lines[2] == "| **counted** |  |"
    assert lines[3] == "| FLOP | 29,124,173,234,176 |"
    assert lines[4] == "| &nbsp;&nbsp;a\\|b | 7 |"
    assert text.startswith("## Title\n")


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_ends_in_one_newline(fmt: str) -> None:
    text = render(PAGE, fmt)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_an_unknown_format_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="--format: unknown value 'markdwon' — did you mean 'markdown'"):
        render(PAGE, "markdwon")
