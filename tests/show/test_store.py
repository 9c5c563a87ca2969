"""`store` views: what a reader must be told, and that names cannot move a terminal's cursor."""

from __future__ import annotations

import json
from typing import Any

from spanbench.show.store import render_edit, render_freed, render_list, render_query, render_verify

EDIT: dict[str, Any] = {
    "store": "s", "document": "a\x1b[2J", "operation": "append", "tokens": 70, "spans": 8, "open": 6, "kept": 7, "found": 0, "encoded": 1,
    "mixed": 0, "behind": 1, "dropped": 0, "state": False, "flops_encoder": 10**12, "flops_mixer": 0, "flops_encoder_anew": 8 * 10**12,
    "dtype": "float16", "narrowed": {"values": 5, "max_abs": 0.001, "rms": 0.0005, "relative": 0.0002, "squares": 1.0, "energy": 1.0},
    "point": {"span": 8, "dtype": "float32"},
}  # fmt: skip
QUERY: dict[str, Any] = {
    "store": "s", "document": "a", "use": "u", "tokens": 64, "query_tokens": 4, "spans_found": 8, "spans_encoded": 0, "rows_found": 0,
    "rows_mixed": 8, "flops_open": 30, "flops_read": 20, "flops_say": 5, "flops_anew": 100, "ids": [27, 65], "text": "\x1bA",
    "dtype": "float32", "point": {}, "passes": 0,
}  # fmt: skip


def test_an_edit_says_what_was_encoded_and_what_narrowing_cost() -> None:
    text = " ".join(render_edit(EDIT).split())
    assert "encoded now 1" in text
    assert "at most 1.00e-03, relative root mean square 2.00e-04" in text
    assert "mixes all of its rows" in text
    assert "reconstruction" not in render_edit(EDIT | {"dtype": "float32", "narrowed": EDIT["narrowed"] | {"max_abs": 0.0}})
    assert "mixes all" not in render_edit(EDIT | {"state": True})


def test_a_question_says_how_much_cheaper_it_was_and_that_u_alone_mixes_again() -> None:
    text = render_query(QUERY)
    assert "2×" in text
    assert "all of its mixer rows were computed again" in " ".join(text.split())
    assert "computed again" not in " ".join(render_query(QUERY | {"use": "state"}).split())


def test_no_name_or_answer_moves_the_cursor() -> None:
    for text in (render_edit(EDIT), render_query(QUERY), render_edit(EDIT, "markdown")):
        assert "\x1b" not in text


def test_figures_are_exact_in_json_and_one_row_as_csv() -> None:
    assert json.loads(render_edit(EDIT, "json"))["flops_encoder_anew"] == 8 * 10**12
    head, row = render_edit(EDIT, "csv").splitlines()
    assert len(head.split(",")) == len(row.split(","))
    assert "narrowed.relative" in head
    assert "1,000,000,000,000" in render_edit(EDIT, "markdown")


def test_an_empty_store_and_missing_spans_are_told() -> None:
    empty = {"store": "s", "documents": [], "spaces": [], "records": 0, "raw_bytes": 0, "disk_bytes": 100, "index_bytes": 100}
    assert "No document; spanbench store add adds one." in render_list(empty)
    listed = {
        "document": "a",
        "tokens": 9,
        "spans": 2,
        "open": 1,
        "missing": 1,
        "dtype": "float16",
        "encoder": "ab",
        "span": 4,
        "state": True,
    }
    assert "--restore" in render_list(empty | {"documents": [listed]})
    assert "--restore" not in render_list(empty | {"documents": [listed | {"missing": 0}]})


def test_findings_say_whether_they_harm_are_left_over_or_repaired_and_many_are_cut_short() -> None:
    def found(**changes: Any) -> dict[str, Any]:
        return {"where": "x", "what": "is wrong", "harm": True, "lost": 0, "repaired": False} | changes

    audit = {"store": "s", "shards": 1, "records": 2, "raw_bytes": 3, "lost": 0, "harmed": False, "findings": []}
    assert "agree both ways" in render_verify(audit)
    told = render_verify(audit | {"findings": [found(lost=3), found(harm=False), found(repaired=True)]})
    assert [line.split(":")[0] for line in told.splitlines() if "is wrong" in line] == ["wrong", "left over", "repaired"]
    assert "(3 records lost)" in told
    assert "and 10 more" in render_verify(audit | {"findings": [found()] * 50})


def test_gc_names_the_documents_that_miss_spans() -> None:
    freed = {
        "store": "s", "limit": 5, "evicted": 3, "leftovers": 0, "bytes_before": 2048, "bytes_after": 1024, "shards_before": 2,
        "shards_after": 1, "damaged": 1, "incomplete": {"a": 3},
    }  # fmt: skip
    text = " ".join(render_freed(freed).split())
    assert "a has no latent of 3 spans any more" in text
    assert "2.00 KiB 1.00 KiB" in text
    assert "1 shards are not whole" in text
