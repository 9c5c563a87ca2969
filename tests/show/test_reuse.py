"""`reuse` as a reader and as a program sees it: every figure is one that was counted, and dense + KV is told where it wins."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spanbench.count.reuse.counted import counted_reuse, judged
from spanbench.errors import UsageError
from spanbench.judge.reuse import Reuse
from spanbench.judge.reuse.result import Energy, Rate
from spanbench.judge.stats import Estimate
from spanbench.point import Point
from spanbench.presets import ALLOCATIONS, resolve
from spanbench.show.formats import FORMATS
from spanbench.show.reuse import Shown, plot_files, plot_format, render_reuse
from spanbench.show.reuse.verdict import sentences
from spanbench.units import interval, short

SECONDS = {
    "dense": 4.0,
    "dense-kv-ram": 0.25,
    "dense-kv-disk": 0.35,
    "dense-tokens": 4.0,
    "latent": 0.3,
    "latent-u": 0.2,
    "latent-state": 0.5,
}


def counted(preset: str = "document", allocation: str = "lean", tokens: int = 2048, span: int = 32, query: int = 64, **sizes: Any) -> Reuse:
    point = Point(resolve(preset, allocation, sizes, span), tokens, span, dtype="float16", preset=preset, allocation=allocation)
    ids = [[(7 * i + i // 5) % 257 for i in range(tokens)]]
    return counted_reuse(point, ids, [list(range(query))], (1, 10, 100), (1, 2, 4), rate=Rate(1e12, "--flops-per-second"))


def timed(found: Reuse) -> Reuse:
    """Return a result with times set by hand."""

    def at(value: float) -> Estimate:
        return Estimate(value, value * 0.9, value * 1.2)

    strategies = [
        replace(
            one,
            once=replace(one.once, seconds=at(1.0)),
            query=replace(one.query, seconds=at(SECONDS[one.name]), joules=at(2.0)),
            disk_bytes=5,
        )
        for one in found.strategies
    ]
    memory = [one if one.bytes is None else replace(one, disk_bytes=2 * one.bytes, reason=None) for one in found.memory]
    return judged(found, strategies=tuple(strategies), memory=tuple(memory))


def test_tables_show_the_figures_of_the_documents_scale() -> None:
    text = render_reuse(Shown(counted()))
    row = next(line for line in text.splitlines() if line.startswith("latent, u + mixer KV"))
    assert row.split() == ["latent,", "u", "+", "mixer", "KV", "948", "G", "29.9", "G", "32.5", "MiB", "32.0", "MiB", "12.5", "GiB"]
    assert "latents u 512 KiB 256.0 B 2048× –" in [" ".join(line.split()) for line in text.splitlines()]
    assert "at 1.00 TFLOP/s" in text


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("preset", ["tiny", "small", "document"])
def test_no_line_is_longer_than_80_columns_timed_or_not(preset: str, allocation: str) -> None:
    found = counted(preset, allocation)
    for one in (found, timed(found)):
        text = render_reuse(Shown(one, found, "The documents' scale is not shown: too large."))
        assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("sizes", [{"tokens": 10}, {"tokens": 32, "query": 1}, {"tokens": 33, "query": 100}])
def test_every_format_takes_documents_with_no_and_with_one_span(fmt: str, sizes: dict[str, Any]) -> None:
    found = counted("tiny", **sizes)
    text = render_reuse(Shown(found), fmt)
    query = found.strategy("latent-state").query.flops
    digits = {"table": short("flops", query), "markdown": f"{query:,}"}.get(fmt, str(query))
    assert digits in text
    if fmt == "json":
        (point,) = json.loads(text)["points"]
        assert [row["query"]["flops"] for row in point["strategies"]] == [one.query.flops for one in found.strategies]
    if fmt == "csv":
        rows = {(row["name"], row["quantity"]): row["value"] for row in csv.DictReader(io.StringIO(text)) if row["table"] == "strategy"}
        assert [rows[one.name, "query:flops"] for one in found.strategies] == [str(one.query.flops) for one in found.strategies]
    if fmt == "table":
        assert "0 latents" not in text
        assert "1 tokens" not in text


def test_json_is_one_document_with_every_digit() -> None:
    found = counted()
    data = json.loads(render_reuse(Shown(found, counted("small")), "json"))
    assert (data["schema"], len(data["points"])) == ("reuse/1", 2)
    rows = {row["name"]: row for row in data["points"][0]["strategies"]}
    assert rows["dense-kv-ram"]["query"]["flops"] == 895_762_825_216
    assert rows["latent-u"]["cumulative"][2] == {
        "queries": 100, "flops": found.strategy("latent-u").flops(100), "seconds": None, "seconds_low": None, "seconds_high": None,
        "sources": {"flops": "counted", "seconds": "modelled"},
    }  # fmt: skip
    assert rows["dense"]["query"]["seconds"] == {"value": None, "low": None, "high": None, "reason": "it was not run, only counted"}
    assert data["points"][0]["verdict"] == list(sentences(found))


def test_csv_has_one_row_a_figure_and_a_reason_for_every_empty_one() -> None:
    rows = list(csv.DictReader(io.StringIO(render_reuse(Shown(counted("small")), "csv"))))
    assert all(row["value"] or row["reason"] for row in rows)
    assert all(row["source"] in {"counted", "measured", "estimated", "modelled"} for row in rows)
    places = [(row["table"], row["name"], row["against"], row["quantity"]) for row in rows]
    assert len(set(places)) == len(places)
    (u,) = [row for row in rows if (row["name"], row["quantity"]) == ("latents u", "bytes")]
    assert (u["value"], u["tokens"], u["preset"]) == ("65536", "2048", "small")


def test_markdown_keeps_every_table() -> None:
    found = timed(counted("small"))
    text = render_reuse(Shown(found), "markdown")
    for title in (
        "Counted: what each",
        "Measured: the document",
        "Measured: each later query",
        "Break-even",
        "Crossover",
        "an edit",
        "several stored",
        "Sparse",
        "Bytes of the",
    ):
        assert f"### {title}" in text or title in text, title


def verdict(found: Reuse) -> str:
    return "\n".join(sentences(found))


def test_the_verdict_names_the_cheapest_for_each_number_of_queries() -> None:
    text = verdict(counted())
    assert "For 1 query: fewest FLOPs with “latent, no store” and “latent, u on disk” (978 G; dense with KV 29.5 T)" in text
    assert "For 100 queries: fewest FLOPs with “latent, u + mixer KV” (3.94 T; dense with KV 118 T)" in text
    assert "With u alone the mixer runs again in each query: 857 G FLOP, about as many as dense with KV (0.956×), in a 2048×" in text
    assert "1/32.7 of its cold FLOPs" in text


def test_the_verdict_says_where_dense_with_kv_wins() -> None:
    short = counted("tiny", query=3, span=8, tokens=100)
    assert "Dense with KV in RAM wins on each later query in FLOPs against “latent, no store” and “latent, u on disk”." in verdict(short)
    assert "Dense with KV wins on edits in FLOPs, against u + mixer KV: replace, last." in verdict(counted())
    slow = timed(counted("small"))
    assert "wins on each later query in time against “latent, u + mixer KV”." in verdict(slow)
    assert "A later query takes about the same time (ranges overlap) with dense, KV in RAM as with “latent, no store”" in verdict(slow)
    assert "in time" not in verdict(counted("small"))


def test_a_time_is_least_only_beside_those_whose_ranges_it_does_not_meet() -> None:
    found = timed(counted("small"))
    lines = [line for line in sentences(found) if line.startswith("For 1 query")]
    assert "least time with “dense, KV in RAM”" not in lines[0]
    assert "about the same (ranges overlap) with" in lines[0]
    text = render_reuse(Shown(found))
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert any(row.startswith("latent, no store dense, KV in RAM 1 ~") for row in rows)
    data = json.loads(render_reuse(Shown(found), "json"))["points"][0]["break_even"]
    (even,) = [row for row in data if (row["strategy"], row["baseline"], row["quantity"]) == ("latent", "dense-kv-ram", "seconds")]
    assert (even["queries"], even["sources"]["queries"]) == (None, "modelled")
    assert "overlap" in even["reason"]


def test_joules_show_their_range_and_their_source_in_every_format() -> None:
    found = replace(timed(counted("small")), energy=Energy("codecarbon 3.3.2: CPU of 8 W, memory left out", "estimated"))
    assert "ranges of slots; joules estimated\n" in render_reuse(Shown(found))
    assert "1.80–2.40 J" in render_reuse(Shown(found))
    measured = replace(found, energy=Energy("rapl", "measured"))
    rows = list(csv.DictReader(io.StringIO(render_reuse(Shown(measured), "csv"))))
    assert {row["source"] for row in rows if row["quantity"] == "query:joules"} == {"measured"}
    point = json.loads(render_reuse(Shown(measured), "json"))["points"][0]
    assert {row["query"]["sources"]["joules"] for row in point["strategies"]} == {"measured"}
    assert point["energy"] == {"by": "rapl", "source": "measured"}


def test_csv_has_how_long_a_loser_is_ahead_and_what_fewer_latents_change() -> None:
    found = counted()
    choices = tuple(replace(one, change=0.5, kl=0.25, same_choice=True, reason=None) for one in found.choices)
    rows = list(csv.DictReader(io.StringIO(render_reuse(Shown(replace(found, choices=choices)), "csv"))))
    values = {(row["name"], row["against"], row["quantity"]): row["value"] for row in rows}
    assert values["latent", "dense-kv-ram", "ahead_through:flops"] == "349"
    assert values["8 latents", "", "kl"] == "0.25"
    assert values["8 latents", "", "same_choice"] == "1"


def test_every_row_of_the_json_names_the_source_of_its_figures() -> None:
    point = json.loads(render_reuse(Shown(timed(counted("small"))), "json"))["points"][0]
    for table in ("strategies", "break_even", "crossovers", "edits", "compositions", "choices", "memory"):
        for row in point[table]:
            assert set(row["sources"]) <= set(row), table
            assert set(row["sources"].values()) <= {"counted", "measured", "estimated", "modelled"}
            figures = {name for name, value in row.items() if isinstance(value, int | float) and name not in NAMING[table]}
            assert figures <= set(row["sources"]), table


NAMING: dict[str, set[str]] = {
    "strategies": set(), "break_even": set(), "crossovers": set(),
    "edits": {"position"}, "compositions": {"documents"}, "choices": {"latents"}, "memory": {"kv_heads"},
}  # fmt: skip
"""Numbers of a row that say what it is about."""


def test_weights_are_called_most_of_what_is_moved_only_where_they_are() -> None:
    assert "are most of what a query moves: 92–99" in verdict(counted("document"))
    light = counted("small", tokens=16384, span=32)
    text = verdict(light)
    assert "most of what a query moves" not in text
    shares = [one.query.weight_bytes / one.query.bytes_moved for one in light.strategies]
    assert min(shares) < 0.5
    assert f"are {interval('memory_share', min(shares), max(shares))} of what a query moves" in text


def test_a_warm_query_that_costs_more_than_a_tenth_is_said_to() -> None:
    assert "more than a tenth" not in verdict(counted())
    short_text = verdict(counted("tiny", span=8, tokens=64, query=16))
    assert "which is more than a tenth: the document is shorter than ten queries." in short_text


def test_several_documents_are_set_beside_the_dense_arms_best_and_dense_is_told_where_it_wins() -> None:
    found = counted("tiny", span=8, tokens=64, query=8, width=256)
    text = verdict(found)
    assert "A query behind 4 documents in a new order: 109 M FLOP from stored u, 737 M FLOP for the dense arm" in text
    assert "Dense with KV wins against stored u in a new order of 1 document." in text
    assert (
        "Once that order is kept by the dense arm, it costs fewer FLOPs than mixing u anew: 1 document, 2 documents, 4 documents." in text
    )
    row = next(line.split() for line in render_reuse(Shown(found)).splitlines() if line.startswith("2 "))
    assert row[:3] == ["2", "16", "128"]
    assert "0.848×" in render_reuse(Shown(found))


def test_the_plot_of_seconds_names_what_it_draws() -> None:
    flops, seconds = (content.decode() for _, content in plot_files(timed(counted("small")), "cost.svg"))
    assert "dense, KV in RAM or on disk" in flops
    assert "on disk)" not in seconds
    assert "or on disk" not in seconds
    assert "dense, KV in RAM" in seconds


def test_the_verdict_sets_each_arm_against_itself_and_files_beside_the_prediction() -> None:
    text = verdict(timed(counted("small")))
    assert "each arm against itself: dense with KV 33.00×, latent from u 1.56×, with mixer KV 32.33×" in text
    assert "= 512×, by count 512×." in text


def test_break_even_tells_how_long_a_loser_is_ahead() -> None:
    text = render_reuse(Shown(counted()))
    assert "latent, no store dense, KV in RAM never (to 349)" in [" ".join(line.split()) for line in text.splitlines()]


def test_a_plot_is_the_same_bytes_each_time_and_seconds_are_a_file_of_their_own() -> None:
    found = counted("small")
    (drawn,) = plot_files(found, "cost.svg")
    assert drawn == plot_files(counted("small"), "cost.svg")[0]
    assert drawn[0] == Path("cost.svg")
    assert all(name.encode() in drawn[1] for name in ("dense, KV in RAM or on disk", "latent, u + mixer KV", "After 100: "))
    paths = [path for path, _ in plot_files(timed(found), "out/cost.png")]
    assert paths == [Path("out/cost.png"), Path("out/cost-seconds.png")]
    assert plot_files(found, "cost.PNG")[0][1].startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["cost", "cost.pdf", ".svg"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"--plot .* must end in \.svg or \.png"):
        plot_format(name)
