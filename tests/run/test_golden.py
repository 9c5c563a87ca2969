"""Exact counts of real points, by equality: every quantity of every stage, with the built-in prompt's ids.

After a wanted change: `SPANBENCH_WRITE_GOLDEN=1 pytest tests/run/test_golden.py`, then read the difference before committing it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import pytest

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.point import REGIMES, Point
from spanbench.presets import ALLOCATIONS, resolve
from spanbench.prompt import load_prompt
from spanbench.tally import CONVENTIONS, Tally

GOLDEN = Path(__file__).parent.parent / "golden" / "counts"
LENGTHS = ((24, 8), (2048, 32), (2049, 32), (8, 32))  # the documents' two, an open token, no complete span
PRESETS = ("tiny", "small", "document")
FILES = [f"{preset}-{name}.json" for preset in PRESETS for name in ("token", *ALLOCATIONS)]

Counts = dict[str, dict[str, int]]
"""Quantities by point, regime and stage: `2048/32 score head`."""


def _counts(file: str) -> Counts:
    """Return what a file should hold: the dense arm, or the latent one of an allocation."""
    preset, _, name = file.removesuffix(".json").partition("-")
    return dict(sorted(_stages(preset, name)))


def _stages(preset: str, name: str) -> Iterator[tuple[str, dict[str, int]]]:
    arm, allocation = ("token", "lean") if name == "token" else ("latent", name)
    for tokens, span in LENGTHS:
        point = Point(resolve(preset, allocation, {}, span), tokens, span)
        distinct = distinct_rows(load_prompt(None, None, tokens, 1).ids, point)
        for regime in REGIMES:
            for stage, tally in closed_form(point, regime, distinct)[arm].items():
                yield f"{tokens}/{span} {regime} {stage}", _quantities(tally)


def _quantities(tally: Tally) -> dict[str, int]:
    return asdict(tally) | {f"flops {convention}": tally.flops(convention) for convention in CONVENTIONS}


def _written(counts: Counts) -> str:
    """One stage a line, so that a difference reads well."""
    lines = (f"{json.dumps(place)}: {json.dumps(quantities, sort_keys=True)}" for place, quantities in sorted(counts.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _read(file: str) -> Counts:
    counts: Counts = json.loads((GOLDEN / file).read_text(encoding="utf-8"), parse_float=_refuse_float)
    return counts


def _refuse_float(text: str) -> NoReturn:
    raise AssertionError(f"{text} in a file of exact counts")


def _first_difference(golden: Mapping[str, Mapping[str, int]], now: Mapping[str, Mapping[str, int]]) -> str | None:
    for place in sorted({*golden, *now}):
        was, is_now = golden.get(place, {}), now.get(place, {})
        for quantity in sorted({*was, *is_now}):
            if was.get(quantity) != is_now.get(quantity):
                return f"{place}, {quantity}: was {was.get(quantity)}, is {is_now.get(quantity)}"
    return None


@pytest.mark.parametrize("file", FILES)
def test_counts_are_as_they_were(file: str) -> None:
    now = _counts(file)
    if os.environ.get("SPANBENCH_WRITE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / file).write_text(_written(now), encoding="utf-8")
    assert _first_difference(_read(file), now) is None


def test_no_golden_file_is_without_a_test() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(FILES)


def test_the_first_difference_is_named() -> None:
    golden = _read("tiny-lean.json")
    place = "24/8 score head"
    changed = golden | {place: golden[place] | {"params": 7}}
    assert _first_difference(golden, changed) == f"{place}, params: was {golden[place]['params']}, is 7"
    missing = {other: quantities for other, quantities in golden.items() if other != place}
    assert _first_difference(golden, missing) == f"{place}, attention_flops: was 0, is None"


# What the design document says of the document's scale: token/latent FLOPs in score and prefill, cells where it gives them.
DESIGN = {
    ("2048/32", "mixer-only"): ("21.32", "34.56", "1024.0", "1024.0"),
    ("2048/32", "lean"): ("22.46", "30.16", "248.1", "512.0"),
    ("2048/32", "megabyte"): ("8.06", "33.15", "146.3", "1023.9"),
    ("2048/32", "block"): ("2.00", "67.01", "113.7", "2046.0"),
    ("24/8", "mixer-only"): ("7.01", "7.95"),
    ("24/8", "lean"): ("7.08", "7.68"),
    ("24/8", "megabyte"): ("4.36", "7.66"),
    ("24/8", "block"): ("1.48", "9.52"),
}


@pytest.mark.parametrize(("length", "allocation"), DESIGN)
def test_golden_ratios_are_those_of_the_design(length: str, allocation: str) -> None:
    token, latent = _read("document-token.json"), _read(f"document-{allocation}.json")

    def ratio(regime: str, quantity: str) -> float:
        place = f"{length} {regime} total"
        return token[place][quantity] / latent[place][quantity]

    flops = [f"{ratio(regime, 'flops dense'):.2f}" for regime in REGIMES]
    cells = [f"{ratio(regime, 'cells_dense'):.1f}" for regime in REGIMES]
    expected = list(DESIGN[length, allocation])
    assert [*flops, *cells][: len(expected)] == expected


def test_golden_totals_of_the_dense_document_are_those_of_the_issue() -> None:
    token = _read("document-token.json")
    assert token["2048/32 score total"]["flops dense"] == 29_124_173_234_176
    assert token["2048/32 prefill total"]["flops dense"] == 28_587_564_466_176
