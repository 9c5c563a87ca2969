"""The text of each view, by equality. After a wanted change: `SPANBENCH_WRITE_GOLDEN=1 pytest tests/show/test_golden.py`,
then read the difference before committing it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spanbench.count.explain import definitions, explain
from spanbench.presets import ALLOCATIONS
from spanbench.show.compare import Compared, render_compare
from spanbench.show.count import render_count
from spanbench.show.explain import Explained, render_explain
from spanbench.show.tables import render_tables
from tests.show.building import point, record

GOLDEN = Path(__file__).parent.parent / "golden"


def _compare(width: int, fmt: str = "table") -> str:
    compared = Compared(record(point(), timed=True), record(point("document")), record(point(tokens=4096)))
    return render_compare(compared, fmt, width)


def _no_span() -> str:
    return render_compare(Compared(record(point("tiny", tokens=20))))


def _tables() -> str:
    return render_tables([record(point("document", name, n, s)) for n, s in ((24, 8), (2048, 32)) for name in ALLOCATIONS])


def _explain() -> str:
    at = point("tiny", tokens=27, span=8)
    return render_explain(Explained(at.to_json(), "prefill", "useful", explain(at, "prefill", "useful"), definitions(at, "useful")))


VIEWS: dict[str, Callable[[], str]] = {
    "compare-80.txt": lambda: _compare(80),
    "compare-160.txt": lambda: _compare(160),
    "compare.md": lambda: _compare(80, "markdown"),
    "compare-no-span-80.txt": _no_span,
    "count-80.txt": lambda: render_count(record(point("document"))),
    "tables-80.txt": _tables,
    "explain-80.txt": _explain,
}


@pytest.mark.parametrize("name", VIEWS)
def test_view_is_as_it_was(name: str) -> None:
    text = VIEWS[name]()
    if os.environ.get("SPANBENCH_WRITE_GOLDEN"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")
