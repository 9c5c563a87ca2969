"""Every code of a condition is documented, and every documented code can occur."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from spanbench.measure.conditions.watch import CODES
from spanbench.sweep.ray import DAEMONS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / name for name in ("measuring.md", "energy.md")]

DYNAMIC = {
    "measure/pair/remarks.py": {"energy-unknown", "energy-incomplete", "energy-estimated", "energy-modelled"},
    "measure/stages/result.py": {"energy-unknown", "energy-incomplete", "energy-estimated", "energy-modelled"},
    "measure/conditions/watch.py": set(CODES),
}
"""Where a code is no literal: which it may be. A meter's own, which the first hands on, are literals in the meters."""


def calls() -> Iterator[tuple[str, ast.expr]]:
    """Yield the file and the code of each `Caution(…)` of what measures."""
    package = ROOT / "spanbench"
    for path in sorted([*(package / "measure").rglob("*.py"), *(package / "run").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Caution":
                yield path.relative_to(package).as_posix(), node.args[0]


def in_the_source() -> set[str]:
    """Return every code that a caution may have."""
    literal = {code.value for _, code in calls() if isinstance(code, ast.Constant)}
    return {str(code) for code in literal}.union(*DYNAMIC.values(), {DAEMONS})  # a sweep's mark is a warning of its own


def documented() -> list[str]:
    """Return the codes in the first column of each table that is headed `code`."""
    table = re.compile(r"^\| code \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)
    tables = [rows for page in PAGES for rows in table.findall(page.read_text(encoding="utf-8"))]
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()]
    return [code for cell in cells for code in re.findall(r"`([a-z0-9-]+)`", cell)]


def test_every_code_in_the_source_is_documented() -> None:
    assert sorted(in_the_source() - set(documented())) == []


def test_every_documented_code_is_in_the_source_and_documented_once() -> None:
    assert sorted(set(documented()) - in_the_source()) == []
    assert sorted(documented()) == sorted(set(documented()))


def test_codes_that_are_no_literal_are_only_where_this_test_knows_them() -> None:
    assert {file for file, code in calls() if not isinstance(code, ast.Constant)} == set(DYNAMIC)
