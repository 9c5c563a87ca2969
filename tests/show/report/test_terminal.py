from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.record import Record
from spanbench.show.report.sections.build import summarise
from spanbench.show.report.terminal import COLUMNS, LINES, terminal_plot
from tests.show.report.records import counted, measured, series


def plotted(records: list[Record], **others: bool) -> list[str]:
    return terminal_plot(summarise(records), **others).splitlines()


@settings(max_examples=40)
@given(st.lists(st.integers(8, 10**6), min_size=2, max_size=12, unique=True), st.sampled_from([8, 32]), st.booleans())
def test_the_plot_fits_a_terminal_whatever_the_prompts(lengths: list[int], span: int, ascii_only: bool) -> None:
    lines = plotted([counted(n, span) for n in lengths], ascii_only=ascii_only)
    assert len(lines) <= LINES
    assert all(len(line) <= COLUMNS for line in lines)
    assert not ascii_only or "".join(lines).isascii()


def letters(lines: list[str], letter: str) -> list[tuple[int, int]]:
    """Return where a letter stands within the axes: line, column."""
    body = [line.partition("│")[2] for line in lines[1:] if "│" in line]
    return [(row, column) for row, line in enumerate(body) for column, found in enumerate(line) if found == letter]


def test_a_ratio_that_doubles_with_the_prompt_climbs_in_equal_steps() -> None:
    # Seconds of N² µs against N µs: the ratio is N.
    found = sorted(letters(plotted([measured(n, (n * n * 1e-6, n * 1e-6), span=4) for n in (64, 1024, 16384)]), "T"), key=lambda at: at[1])
    (top, _), (middle, between), (bottom, _) = found[2], found[1], found[0]
    assert abs((bottom - middle) - (middle - top)) <= 1
    assert abs((found[2][1] - between) - (between - found[0][1])) <= 1


def test_the_documents_ratio_is_a_level_line() -> None:
    rows = {row for row, _ in letters(plotted([counted(n) for n in (64, 512, 4096)]), "D")}
    assert len(rows) == 1


def test_the_plot_names_what_it_shows_and_where_each_figure_comes_from() -> None:
    text = "\n".join(plotted(series(joules="estimated")))
    for said in ("tiny · lean · span 8", "T time (measured)", "F FLOPs (counted)", "C attention cells (counted)", "64", "512", "1×"):
        assert said in text


def test_one_length_and_several_spans_are_plotted_against_the_span() -> None:
    lines = plotted([counted(512, span) for span in (8, 16, 32)])
    assert "Ratio against the span" in lines[0]
    assert any(line.split() == ["S", "8", "16", "32"] for line in lines)


@pytest.mark.parametrize("records", [[], [counted(64)], [counted(n, 32) for n in (8, 16)]])
def test_nothing_to_compare_is_no_plot(records: list[Record]) -> None:
    assert terminal_plot(summarise(records)) == ""
