from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.record import Record
from spanbench.show.heading import convention_note
from spanbench.show.report.plots.curves import CONVENTIONS
from spanbench.show.report.plots.every import KINDS, by_weight, pictures, weightiest
from spanbench.show.report.plots.picture import MOST_MARKS, Mark, Picture, thinned
from spanbench.show.report.sections.build import summarise
from spanbench.tally import CONVENTIONS as KNOWN_CONVENTIONS
from tests.show.report.records import LAPTOP, LIMITS, SERVER, counted, measured, series


def drawn(records: list[Record], kind: str) -> list[Picture]:
    return [picture for picture in pictures(summarise(records)) if picture.kind == kind]


@pytest.fixture(scope="module")
def spans() -> list[Record]:
    return [*series(span=8), *series(span=16), *series(span=32)]


def test_a_measured_sweep_over_two_spans_has_every_kind_of_plot(spans: list[Record]) -> None:
    assert {picture.kind for picture in pictures(summarise(spans))} == set(KINDS)


@pytest.mark.parametrize("lengths", [[64], [64, 64]])
def test_one_length_of_prompt_has_ratios_and_stages_and_no_growth(lengths: list[int]) -> None:
    assert {picture.kind for picture in pictures(summarise(series(lengths)))} == {"ratios", "stages", "roofline"}


def test_the_legend_says_the_exponents_that_the_figures_were_made_with() -> None:
    (time,) = drawn(series(), "seconds")
    assert [curve.label for curve in time.curves] == [
        "token arm, measured: N^2.00 [2.00, 2.00]",
        "latent arm, measured: N^1.00 [1.00, 1.00]",
    ]
    assert "95% Student t" in time.caption


def test_without_enough_lengths_the_caption_says_why_there_is_no_exponent() -> None:
    (time,) = drawn(series([64, 128]), "seconds")
    assert [curve.label for curve in time.curves] == ["token arm, measured", "latent arm, measured"]
    assert "No exponent: an exponent needs 3 lengths" in time.caption
    assert "Student" not in time.caption


def test_marks_are_the_records_figures_and_their_bars_the_records_ends() -> None:
    (time,) = drawn(series(), "seconds")
    token = time.curves[0]
    assert [(mark.x, mark.y) for mark in token.marks] == [(n, n * n * 1e-6) for n in (64, 128, 256, 512)]
    assert [(mark.low, mark.high) for mark in token.marks] == [(0.9 * mark.y, 1.1 * mark.y) for mark in token.marks]
    assert "Bars: the smallest and the largest slot." in time.caption


@pytest.mark.parametrize("source", ["measured", "estimated", "modelled"])
def test_a_curve_carries_the_source_of_its_figures_and_names_it(source: str) -> None:
    for picture in drawn(series(joules=source), "joules"):
        assert {(curve.source, mark.source) for curve in picture.curves for mark in curve.marks} == {(source, source)}
        assert all(source in curve.label for curve in picture.curves)
        assert f"Source: {source} (codecarbon)" in picture.caption


def test_two_sources_of_one_figure_are_two_curves_and_never_one_line() -> None:
    (energy,) = drawn([*series(joules="measured"), *series([96, 192, 384], joules="estimated")], "joules")
    assert [(curve.role, curve.source, len(curve.marks)) for curve in energy.curves] == [
        ("token", "measured", 4), ("token", "estimated", 3), ("latent", "measured", 4), ("latent", "estimated", 3),
    ]  # fmt: skip


def test_every_caption_says_source_and_convention(spans: list[Record]) -> None:
    for picture in pictures(summarise(spans)):
        assert "Source: " in picture.caption
        assert "Convention dense: all attention cells." in picture.caption


def test_every_picture_says_in_words_what_it_shows(spans: list[Record]) -> None:
    for picture in pictures(summarise(spans)):
        assert picture.title
        assert any(digit in picture.description for digit in "0123456789")


def test_what_a_caption_says_of_a_convention_is_what_every_view_says() -> None:
    assert set(CONVENTIONS) == set(KNOWN_CONVENTIONS)
    assert CONVENTIONS["dense"] in convention_note(counted())


def test_the_documents_ratio_is_the_span_squared_beside_the_whole_models() -> None:
    (ratios,) = drawn(series(), "ratios")
    by_role = {curve.role: curve for curve in ratios.curves}
    assert {mark.y for mark in by_role["documents"].marks} == {64.0}
    assert set(by_role) == {"documents", "cells", "flops", "seconds", "joules"}
    assert [mark.y for mark in by_role["seconds"].marks] == pytest.approx([64, 128, 256, 512])
    assert all(point[1] == 1 for point in ratios.guides[0].points)


def test_prompts_shorter_than_a_span_are_left_out_of_the_ratios_and_it_is_said() -> None:
    (ratios,) = drawn([counted(n, span=32) for n in (16, 64, 128)], "ratios")
    assert {mark.x for curve in ratios.curves for mark in curve.marks} == {64, 128}
    assert "Prompts shorter than a span of 32 are left out." in ratios.caption
    assert "left out" not in drawn([counted(n, span=32) for n in (64, 128)], "ratios")[0].caption


def test_only_prompts_shorter_than_a_span_have_no_ratios() -> None:
    assert drawn([counted(n, span=32) for n in (8, 16)], "ratios") == []


def test_ratios_against_the_span_stand_at_the_spans(spans: list[Record]) -> None:
    (across,) = drawn(spans, "across")
    assert {curve.role: [mark.x for mark in curve.marks] for curve in across.curves} == {
        role: [8, 16, 32] for role in ("cells", "flops", "seconds", "joules")
    }
    assert across.section == 3
    assert all("N = 512" in curve.label for curve in across.curves)


@given(tokens=st.integers(16, 4096), span=st.sampled_from([8, 16]))
def test_stages_fill_their_bar(tokens: int, span: int) -> None:
    (stages,) = drawn([counted(tokens, span, regimes=("score", "prefill"))], "stages")
    assert len(stages.bars) == 4
    for bar in stages.bars:
        assert sum(part.share for part in bar.parts) == pytest.approx(1)


def test_the_roofline_has_the_machines_limits() -> None:
    (roofline,) = drawn(series(), "roofline")
    (memory,) = roofline.guides
    rate, bandwidth = LIMITS["flops_per_second"], LIMITS["bandwidth"]["bytes_per_second"]  # type: ignore[index]  # plain JSON
    assert all(y == min(rate, bandwidth * x) for x, y in memory.points)
    assert "Limits: 100 GFLOP/s, 10.0 GB/s from memory." in roofline.caption


def test_a_roofline_mark_is_counted_work_over_measured_time() -> None:
    record = measured(256, (0.5, 0.25))
    (roofline,) = drawn([record], "roofline")
    figures: dict[tuple[str, str], int | float | None] = {
        (m.arm, m.quantity): m.value for m in record.measures if m.regime == "prefill" and m.stage == "total"
    }
    for curve, seconds in zip(roofline.curves, (0.5, 0.25), strict=True):
        flops, moved = figures[curve.role, "flops"], figures[curve.role, "bytes_compulsory"]
        assert flops
        assert moved
        (mark,) = curve.marks
        assert (mark.x, mark.y) == pytest.approx((flops / moved, flops / seconds))


def test_names_are_unique_and_fit_for_files_even_where_titles_are_equal() -> None:
    names = [picture.name for picture in pictures(summarise([*series(environment=LAPTOP), *series(environment=SERVER)]))]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() and name == name.lower() for name in names)


def test_names_tell_apart_titles_that_end_in_a_number() -> None:
    records = [*series(environment=LAPTOP), *series(environment=SERVER)]
    report = summarise(records)
    setups = [replace(section.setup, changed=changed) for section, changed in zip(report.sections, ("2", ""), strict=True)]
    sections = tuple(replace(section, setup=setup) for section, setup in zip(report.sections, setups, strict=True))
    names = [picture.name for picture in pictures(replace(report, sections=sections, across=()))]
    assert len(set(names)) == len(names)


def test_the_weightiest_are_a_kind_of_every_section_before_the_next_kind(spans: list[Record]) -> None:
    found = pictures(summarise(spans))
    kept = weightiest(found, 4)
    assert [picture.kind for picture in kept] == ["ratios", "flops", "ratios", "ratios"]
    assert sorted(by_weight(found)) == list(range(len(found)))
    assert weightiest(found, len(found)) == found


@given(
    places=st.lists(st.integers(1, 10**6), min_size=1, max_size=300, unique=True).map(sorted),
    most=st.integers(2, MOST_MARKS),
)
def test_thinned_marks_are_some_of_them_in_order_with_both_ends(places: list[int], most: int) -> None:
    marks = tuple(Mark(x, 1.0, "counted") for x in places)
    found = thinned(marks, most)
    assert len(found) <= most
    assert list(found) == [mark for mark in marks if mark in set(found)]
    assert (found[0], found[-1]) == (marks[0], marks[-1])
    assert len(marks) > most or found == marks


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_what_has_no_place_on_a_logarithmic_axis_is_not_drawn(value: float) -> None:
    kept = Mark(2, 1.0, "counted")
    assert thinned((Mark(1, value, "counted"), kept)) == (kept,)
