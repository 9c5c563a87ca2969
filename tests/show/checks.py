"""Checks of a baseline for the views, set by hand and drawn at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hypothesis import strategies as st

from spanbench.judge.baseline.result import Checked, Figure, PairRatio, RowChange

ACCEPT = 'spanbench baseline update models/base.jsonl --reason "…"'
WHOLE = 29_124_173_234_176
"""Dense score at the documents' scale."""
TINY, DOCUMENT = "tiny lean, 24 tokens in spans of 8", "document lean, 2048 tokens in spans of 32"

NOTHING = Checked("models/base.jsonl", "ledger", "dense", 0, 0, (), (), "")
RATIOS = (
    *(PairRatio(TINY, regime, "flops", (70, 10), (70, 10)) for regime in ("score", "prefill", "decode")),
    *(PairRatio(DOCUMENT, regime, "flops", (WHOLE, 10**12), (WHOLE, 10**12 - 2)) for regime in ("score", "prefill")),
    PairRatio(DOCUMENT, "score", "params", (3, 2), (3, 1)),
)
UNCHANGED = replace(NOTHING, rows=12, figures=1296, ratios=RATIOS[:3])


def encoder_change(old: int = WHOLE // 7, by: int = -1, total: int = WHOLE, row: str = f"{DOCUMENT}, latent", line: int = 5) -> RowChange:
    figures = (
        Figure("score", "encoder", "flops", old, old + by, layer=1),
        Figure("score", "encoder", "flops", 2 * old, 2 * old + by),
        Figure("score", "total", "flops", total, total + by),
    )
    return RowChange("changed", row, "latent", line, figures)


MISSING = RowChange("missing", f"{TINY}, token", "token", 2)
EXTRA = RowChange("extra", "tiny lean, 27 tokens in spans of 8, token", "token", 9)
CHANGED = replace(
    UNCHANGED,
    changes=(encoder_change(), MISSING, EXTRA),
    ratios=RATIOS,
    accept=ACCEPT,
    notes=("The baseline is not sorted; its rows were compared all the same.",),
)


def many_rows(count: int) -> Checked:
    return replace(CHANGED, rows=count, changes=[encoder_change(row=f"row {i}, latent", line=i + 2) for i in range(count)])


KINDS: tuple[Literal["changed", "missing", "extra"], ...] = ("changed", "missing", "extra")
# Without the one character that Python's csv module leaves unquoted where lines end with another.
NAMES = st.text(st.characters(exclude_characters="\r"))
NUMBERS = st.none() | st.integers(0, 2**63 + 1)
QUANTITIES = st.sampled_from(["flops", "cells_dense", "mlp_rows", "of a later version"])
STAGES = st.sampled_from(["encoder", "mixer", "total"])
FIGURES = st.builds(Figure, st.sampled_from(["score", "prefill"]), STAGES, QUANTITIES, NUMBERS, NUMBERS, st.none() | st.integers(0, 99))
CHANGES = st.builds(RowChange, st.sampled_from(KINDS), NAMES, st.sampled_from(["token", "latent"]), st.integers(1), st.lists(FIGURES))
SIDES = st.none() | st.tuples(st.integers(0, 2**63), st.integers(0, 2**63))
PAIRS = st.builds(PairRatio, st.text(), st.sampled_from(["score", "decode"]), st.sampled_from(["flops", "params"]), SIDES, SIDES)
CHECKS = st.builds(
    Checked,
    path=st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1),
    by=st.sampled_from(["ledger", "closed form"]),
    convention=st.just("dense"),
    rows=st.integers(0, 10**6),
    figures=st.integers(0, 10**9),
    changes=st.lists(CHANGES, max_size=14),
    ratios=st.lists(PAIRS, max_size=6),
    accept=st.text(),
    notes=st.lists(st.text(), max_size=3),
)
"""Whatever a check can hold: names of any text, integers beyond 64 bits, sides that are not known."""
