from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from spanbench.record import Record
from spanbench.show.report.html.page import LIMIT_BYTES, html_page
from spanbench.show.report.html.section import MOST_CAUTIONS
from spanbench.show.report.html.tables import MOST_ROWS
from spanbench.show.report.plots.every import pictures, weightiest
from spanbench.show.report.sections.build import summarise
from spanbench.show.report.summary import Caution, Report
from tests.show.report.records import LAPTOP, SERVER, counted, measured, series

VOID = {"meta", "link", "br"}
UNCLOSED = {"li", "tr", "td", "th", "tbody", "thead"}
"""Elements whose end tags HTML makes optional, and the page leaves out."""


class Outline(HTMLParser):
    """The elements of a page, with the text right inside each, and a check that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))
        if tag not in VOID | UNCLOSED:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.found.append(("", {}, []))  # what follows is no text of the element that ended

    def handle_data(self, data: str) -> None:
        if self.found:
            self.found[-1][2].append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.found if name == tag]

    def texts(self, tag: str) -> list[str]:
        return ["".join(text).strip() for name, _, text in self.found if name == tag]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [*series(span=8), *series(span=16, joules="estimated"), *series(environment=SERVER)]


@pytest.fixture(scope="module")
def report(records: list[Record]) -> Report:
    return summarise(records, ["file.jsonl: line 3 is half-written and was left out"])


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return html_page(report)


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def test_the_page_has_every_plot_of_the_report_as_a_picture_with_a_name_and_words(report: Report, outline: Outline) -> None:
    assert len(outline.all("svg")) == len(outline.all("figure")) == len(outline.all("figcaption")) == len(pictures(report))
    assert outline.texts("desc") == [picture.description for picture in pictures(report)]
    for attributes in outline.all("svg"):
        assert attributes["role"] == "img"


def test_a_plot_across_sections_says_what_was_run(outline: Outline) -> None:
    assert "Ratio against the span, prefill: tiny · lean" in outline.texts("h4")


def test_every_id_is_one_and_every_reference_finds_it(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes, _ in outline.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    named = [name for _, attributes, _ in outline.found for name in (attributes.get("aria-labelledby") or "").split()]
    linked = [(attributes["href"] or "").removeprefix("#") for attributes in outline.all("a")]
    assert set(named) | set(linked) <= set(ids)


def test_nothing_on_the_page_asks_for_anything(text: str, outline: Outline) -> None:
    assert not re.search(r"https?:|//|url\(|@import|<script|<iframe|<img|javascript:", text.replace("</", "<"))
    assert [attributes["href"] for attributes in outline.all("link")] == ["data:,"]
    policy = next(attributes["content"] for attributes in outline.all("meta") if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_headings_form_an_outline_without_gaps(outline: Outline) -> None:
    levels = [int(tag[1]) for tag, _, _ in outline.found if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_reader_who_listens_finds_language_title_landmarks_and_a_way_past_the_top(outline: Outline) -> None:
    assert outline.all("html") == [{"lang": "en"}]
    assert outline.texts("title")[0].startswith("spanbench report")
    assert [len(outline.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    assert outline.all("a")[0] == {"class": "skip", "href": "#main"}
    assert all("aria-labelledby" in attributes for attributes in outline.all("section"))


def test_every_table_has_a_caption_and_every_heading_a_scope_and_the_keyboard_can_scroll_it(outline: Outline) -> None:
    assert outline.all("table")
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all(attributes.get("scope") in {"col", "colgroup", "row"} for attributes in outline.all("th"))
    scrolled = [attributes for attributes in outline.all("div") if attributes.get("class") == "scroll"]
    assert len(scrolled) == len(outline.all("table"))
    assert all(attributes["tabindex"] == "0" and attributes["role"] == "region" for attributes in scrolled)


def test_rows_of_a_table_have_as_many_cells_as_its_head(text: str) -> None:
    for table in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        head, _, body = table.partition("<tbody>")
        columns = 1 + sum(map(int, re.findall(r"colspan=(\d+)", head)))
        assert 1 + head.count("<th scope=col>") == columns
        assert {row.count("<td") + row.count("<th") for row in body.split("<tr>")[1:]} == {columns}


def test_verdicts_warnings_notes_and_provenance_are_on_the_page(report: Report, outline: Outline) -> None:
    words = " ".join("".join(text) for _, _, text in outline.found)
    for section in report.sections:
        assert all(verdict.sentence in words for verdict in section.verdicts)
        assert all(caution.text in words for caution in section.cautions)
        assert all(line in words for line in section.provenance)
    assert all(note in words for note in report.notes)
    assert "Laptop CPU" in words
    assert "convention dense" in words


def test_codes_of_warnings_stand_out_and_many_are_cut_and_said(report: Report) -> None:
    cautions = tuple(Caution(f"code-{at}", f"text {at}", 2) for at in range(MOST_CAUTIONS + 3))
    section = replace(report.sections[0], cautions=cautions)
    outline = Outline(html_page(replace(report, sections=(section,), across=())))
    assert outline.texts("code") == [caution.code for caution in cautions[:MOST_CAUTIONS]]
    assert any("and 3 more" in item for item in outline.texts("li"))


def test_figures_of_the_tables_are_the_records(text: str) -> None:
    page = html_page(summarise([measured(n, (n * 1e-3, n * 0.25e-3)) for n in (64, 128)]))
    assert re.search(r"<th scope=row>128.*?<td class=first>128 ms<td>32\.0 ms<td>4×<small>3\.60–4\.40×</small>", page)
    assert "estimated" in text


def test_counts_alone_are_of_no_machine_even_beside_measured_sections() -> None:
    page = html_page(summarise([*series(span=8), counted(256, span=16)]))
    places = re.findall(r"<p class=where>(.*?)</p>", page)
    assert [place.startswith("counted, which depends on no machine") for place in places] == [False, True]


def test_hostile_names_stay_text() -> None:
    hostile = '<script>alert("1")</script><img src=x onerror=y>'
    environment = {**LAPTOP, "cpu": {"model": hostile}, "packages": {"torch": hostile}}
    bad = [one.model_copy(update={"environment": environment, "warnings": [f"{hostile} [code]"]}) for one in series()]
    outline = Outline(html_page(summarise(bad, [hostile])))
    assert outline.all("script") == []
    assert outline.all("img") == []


def test_light_and_dark_have_the_same_variables_and_nothing_is_coloured_without_one(text: str) -> None:
    root, _, rest = text.partition("prefers-color-scheme:dark")
    light = set(re.findall(r"(--\w+):#", root))
    dark = set(re.findall(r"(--\w+):#", rest))
    used = set(re.findall(r"var\((--\w+)\)", text))
    assert light == dark
    assert used <= light


def many(sections: int, lengths: int) -> Report:
    """Return a report of so many sections, made of one: they differ in nothing but their span."""
    one = summarise([counted(16 * (at + 1), regimes=("score", "prefill")) for at in range(lengths)])
    (section,) = one.sections
    return replace(one, sections=tuple(replace(section, setup=replace(section.setup, span=8 + at)) for at in range(sections)))


def left_out(outline: Outline) -> str:
    (note,) = [note for note in outline.texts("p") if note.startswith("Left out, to keep this page below 300 kB: ")]
    return note


def test_a_report_too_large_for_a_page_shows_the_plots_that_answer_most_and_says_how_many_are_missing() -> None:
    report = many(30, 5)
    text, found = html_page(report), pictures(report)
    outline = Outline(text)
    shown = len(outline.all("svg"))
    assert 250_000 < len(text.encode()) <= LIMIT_BYTES
    assert outline.texts("h4") == [picture.title for picture in weightiest(found, shown)]
    assert f" {len(found) - shown} of {len(found)} plots." in left_out(outline)


def test_sections_that_do_not_fit_are_left_out_from_the_end_and_not_linked() -> None:
    outline = Outline(html_page(many(60, MOST_ROWS)))
    kept = len([attributes for attributes in outline.all("section") if re.fullmatch(r"s\d+", attributes.get("id") or "")])
    assert 0 < kept < 60
    assert f" {60 - kept} sections and " in left_out(outline)
    assert len(outline.all("a")) == kept + 1


def test_tables_of_many_lengths_show_some_evenly_and_say_so() -> None:
    text = html_page(summarise([counted(n) for n in range(8, 8 + 3 * MOST_ROWS)]))
    rows = [int(row) for row in re.findall(r"<th scope=row>([\d,]+)", text)]
    assert len(rows) == MOST_ROWS
    assert (rows[0], rows[-1]) == (8, 7 + 3 * MOST_ROWS)
    assert f"{MOST_ROWS} of {3 * MOST_ROWS} lengths are shown." in text


def test_a_page_without_records_is_still_a_page() -> None:
    outline = Outline(html_page(summarise([])))
    assert outline.all("svg") == []
    assert len(outline.all("main")) == 1
