"""The page in a real browser. Slow, and only where Chromium is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbench.show.report.html.page import html_page
from spanbench.show.report.sections.build import summarise
from tests.show.report.chromium import FOUND, Browser, browser
from tests.show.report.records import SERVER, series

pytestmark = [pytest.mark.slow, pytest.mark.skipif(FOUND is None, reason="needs Chromium on the PATH: apt-get install chromium")]

WINDOWS = [(width, scheme) for width in (400, 1400) for scheme in ("light", "dark")]

UNSEEN = """[...document.querySelectorAll('svg')].filter(svg => {
  const box = svg.getBoundingClientRect();
  const drawn = [...svg.querySelectorAll('path,text')].some(part => part.getBoundingClientRect().width > 0);
  return box.width < 300 || box.height < 100 || box.right > innerWidth + 1 || box.left < 0 || !drawn;
}).length"""
SPILLED = """[...document.querySelectorAll('svg text')].filter(text => {
  const box = text.getBoundingClientRect(), around = text.ownerSVGElement.getBoundingClientRect();
  return box.left < around.left - 1 || box.right > around.right + 1 || box.top < around.top - 1 || box.bottom > around.bottom + 1;
}).map(text => text.textContent)"""
SMALL = "[...document.querySelectorAll('svg text')].filter(text => text.getBoundingClientRect().height < 9).length"
PAPER = "getComputedStyle(document.body).backgroundColor"
FOCUSED = "document.activeElement.className || document.activeElement.tagName"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [*series(span=8), *series(span=16, joules="estimated"), *series(environment=SERVER, joules="modelled")]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html_page(summarise(records)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_the_page_opens_without_a_complaint_or_a_request_and_every_picture_is_seen(
    tab: Browser, page: Path, width: int, scheme: str
) -> None:
    tab.open(page, width, scheme)
    assert tab.value("document.querySelectorAll('svg').length") > 10
    assert tab.value(UNSEEN) == 0
    assert tab.value(SPILLED) == []
    assert tab.value(SMALL) == 0
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.complaints() == []
    assert tab.requests() == [page.resolve().as_uri()]
    assert tab.picture()[:4] == b"\x89PNG"


def test_the_browser_would_tell_of_a_complaint_and_a_request(tab: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="missing.png"><script>console.error("a complaint")</script>', encoding="utf-8")
    tab.open(bad, 400, "light")
    assert any("a complaint" in text for text in tab.complaints())
    assert any(url.endswith("missing.png") for url in tab.requests())


def test_dark_paper_is_dark_and_light_paper_light(tab: Browser, page: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        tab.open(page, 1400, scheme)
        seen[scheme] = tab.value(PAPER)
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 29)"}


def test_the_keyboard_meets_the_way_past_the_top_first_then_links_then_tables(tab: Browser, page: Path) -> None:
    tab.open(page, 1400, "light")
    met = []
    for _ in range(8):
        tab.press_tab()
        met.append(tab.value(FOCUSED))
    assert met[0] == "skip"
    assert met[1:4] == ["A"] * 3
    assert "scroll" in met


def test_a_table_wider_than_a_telephone_scrolls_by_itself(tab: Browser, page: Path) -> None:
    tab.open(page, 400, "light")
    wide = "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).length"
    assert tab.value(wide) > 0
    assert tab.value("document.documentElement.scrollWidth") == 400
