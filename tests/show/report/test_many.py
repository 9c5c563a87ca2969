"""Many records of one length: nothing is averaged, no cell grows without end, and no picture shows the smallest alone."""

from __future__ import annotations

import pytest

from spanbench.record import Record
from spanbench.show.report.html.page import LIMIT_BYTES, html_page
from spanbench.show.report.many import MOST_FIGURES, spread
from spanbench.show.report.page import render_report
from spanbench.show.report.plots.every import pictures
from spanbench.show.report.plots.picture import MOST_MARKS, Mark, thinned
from spanbench.show.report.sections.build import summarise
from spanbench.show.report.sections.section import MOST_NAMED
from spanbench.show.report.summary import Dot
from tests.show.report.records import LAPTOP, counted, measured


def dots(*values: float) -> list[Dot]:
    return [Dot(256, 32, value, None, None, "measured", "perf_counter", "") for value in values]


def repeated(count: int, lengths: tuple[int, ...] = (64, 128, 256), span: int = 8) -> list[Record]:
    """Return records whose token arm takes 1, 1.001, 1.002 … times as long, the last nine times."""
    return [
        measured(n, (n * 1e-3 * (1 + run / 1000 if run < count - 1 else 9), n * 1e-4), span=span) for n in lengths for run in range(count)
    ]


def test_a_few_figures_stand_side_by_side_and_many_have_a_middle_and_ends() -> None:
    assert spread(dots(*range(1, MOST_FIGURES + 1))) is None
    many = spread(dots(5, 1, 9, 2, 100))
    assert many is not None
    assert (many.middle, many.low, many.high, many.count) == (5, 1, 100, 5)


def test_the_middle_of_an_even_number_is_one_of_them() -> None:
    many = spread(dots(1, 2, 30, 40))
    assert many is not None
    assert many.middle == 2


@pytest.mark.parametrize("fmt", ["markdown", "table"])
def test_a_cell_of_many_figures_says_the_middle_the_ends_and_how_many(fmt: str) -> None:
    text = render_report(summarise(repeated(5)), fmt, width=200)
    assert "257 ms (0.26–2.30 s), median of 5" in text
    assert "10.02× (10.00–90.00×), median of 5" in text
    assert "2.30 s;" not in text


@pytest.mark.parametrize(("runs", "cell"), [(1, "90.00×"), (2, "256 ms; 2.30 s"), (3, "256 ms, median of 3"), (4, "256 ms, median of 4")])
def test_a_narrow_table_stays_narrow_whatever_the_number_of_runs(runs: int, cell: str) -> None:
    text = render_report(summarise(repeated(runs)), "table", width=80)
    assert cell in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_csv_keeps_every_figure() -> None:
    lines = render_report(summarise(repeated(5)), "csv").splitlines()
    assert sum(",token,prefill,seconds," in line for line in lines) == 15


def test_a_page_of_many_runs_says_the_same_and_stays_small() -> None:
    records = [*repeated(150, span=8), *repeated(150, span=16)]
    page = html_page(summarise(records))
    assert "257 ms<small>" not in page
    assert "median of 150" in page
    assert "Of more than 3 runs of one length: the median" in page
    assert len(page.encode()) < LIMIT_BYTES
    assert "Of more than" not in html_page(summarise(repeated(MOST_FIGURES)))


def test_a_plot_of_many_runs_shows_the_middle_of_each_length_and_says_so() -> None:
    count = MOST_MARKS
    picture = next(p for p in pictures(summarise(repeated(count))) if p.kind == "seconds")
    marks = picture.curves[0].marks
    assert [mark.x for mark in marks] == [64, 128, 256]
    assert [mark.y for mark in marks] == pytest.approx([n * 1e-3 * (1 + (count - 1) // 2 / 1000) for n in (64, 128, 256)])
    assert "of several at one place the middle one" in picture.caption


def test_marks_at_one_place_alone_are_one() -> None:
    marks = tuple(Mark(8.0, float(y), "measured") for y in range(1, 100))
    assert [mark.y for mark in thinned(marks)] == [50.0]


def test_a_plot_across_spans_says_the_middle_of_each() -> None:
    found = pictures(summarise([*repeated(5, span=8), *repeated(5, span=16)]))
    description = next(p for p in found if p.kind == "across").description
    assert "10.02× (median of 5, 10.00–90.00×) at span 8" in description


def test_commits_without_end_are_counted() -> None:
    records = [counted(8 * n, environment=LAPTOP | {"commit": f"{n:012x}"}) for n in range(1, 40)]
    line = next(line for line in summarise(records).sections[0].provenance if line.startswith("commit"))
    assert line.endswith(f"{MOST_NAMED:012x} and {39 - MOST_NAMED} more")
