from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from spanbench.count.explain import definitions, explain
from spanbench.presets import ALLOCATIONS
from spanbench.record import Record
from spanbench.show.closing import attention_flops, closing, shares
from spanbench.show.compare import Compared, render_compare
from spanbench.show.count import render_count
from spanbench.show.documents import mixed
from spanbench.show.explain import Explained, render_explain
from spanbench.show.formats import FORMATS
from spanbench.show.presets import PresetList, PresetRow, render_presets
from spanbench.show.reading import Reading
from spanbench.show.tables import render_tables
from tests.show.building import figure, point, record

FULL = Compared(record(point(), timed=True), record(point("document")), record(point(tokens=4096)))


def row(text: str, label: str) -> list[str]:
    """The cells of the first table row with a label: two spaces stand between cells."""
    (line, *_) = [line for line in text.splitlines() if line.strip().startswith(label)]
    return [part.strip() for part in line.strip()[len(label) :].split("  ") if part.strip()]


# ---- compare: the documents' table ----------------------------------------------------------------------------------


def test_documents_table_at_2048_tokens() -> None:
    text = render_compare(FULL)
    assert row(text, "objects mixed") == ["2,048 tokens", "64 latents", "32×", "counted"]
    assert row(text, "attention size, each layer") == ["2048 × 2048", "64 × 64", "1024×", "counted"]
    assert row(text, "MLP calls, each layer") == ["2,048", "64", "32×", "counted"]
    assert row(text, "meaning reuse") == ["no", "yes", "documents"]
    assert row(text, "scaling") == ["quadratic", "near-constant", "documents"]


def test_documents_table_at_24_tokens_and_any_batch() -> None:
    at = point("tiny", tokens=24, span=8)
    text = render_compare(Compared(record(at)))
    assert row(text, "objects mixed")[:3] == ["24 tokens", "3 latents", "8×"]
    assert row(text, "attention size, each layer")[:3] == ["24 × 24", "3 × 3", "64×"]
    assert row(text, "MLP calls, each layer")[:3] == ["24", "3", "8×"]


def test_mixed_is_a_figure_of_one_prompt_whatever_the_batch() -> None:
    from dataclasses import replace

    at = replace(point("tiny", tokens=27, span=8), batch=3)
    assert mixed(Reading(record(at))).cells == (27 * 27, 3 * 3)
    assert mixed(Reading(record(at))).mlp_calls == (27, 3)


def test_all_parts_rows_count_encoder_and_decoder_too() -> None:
    # 2 encoder layers x 2048 rows, 8 mixer layers x 64, 4 decoder layers x (64 windows x 33 rows + 2).
    latent = 2 * 2048 + 8 * 64 + 4 * (64 * 33 + 2)
    assert row(render_compare(FULL), "all parts and layers, score")[:2] == ["16,384", f"{latent:,}"]


def test_scaling_is_the_quotient_of_two_counts() -> None:
    small, double = (sum_flops(tokens) for tokens in (2048, 4096))
    assert row(render_compare(FULL), "score FLOP at twice the tokens")[0] == f"× {double / small:.2f}"


def sum_flops(tokens: int) -> int:
    """The dense arm of `small` by hand: 8 layers of width 512, head 257."""
    d, f = 512, 2048
    return 8 * (2 * tokens * d * 4 * d + 4 * tokens * d * f + 4 * tokens * tokens * d) + 2 * tokens * d * 257


# ---- compare: the whole model ---------------------------------------------------------------------------------------


def test_the_whole_model_stands_under_its_sources() -> None:
    lines = render_compare(FULL).splitlines()
    order = [next(i for i, line in enumerate(lines) if line.startswith(text)) for text in ("counted · ", "measured · ", "estimated · ")]
    assert order == sorted(order)
    assert lines[order[1] + 1].startswith("time")
    assert lines[order[2] + 1].startswith("energy")


def test_exact_figures_where_there_is_room() -> None:
    assert row(render_compare(FULL, width=160), "FLOP")[0] == f"{sum_flops(2048):,}"
    assert row(render_compare(FULL, width=80), "FLOP")[0] == "172 G"


def test_an_arm_has_a_range_of_slots_and_a_ratio_its_interval() -> None:
    assert row(render_compare(FULL, width=160), "range of slots")[:2] == ["2.30–2.33 s", "440–447 ms"]
    assert row(render_compare(FULL, width=80), "range of slots")[:2] == ["±0.8%", "±1.3%"]
    for width in (80, 160):
        assert row(render_compare(FULL, width=width), "95% interval")[:2] == ["5.12× –", "5.31×"]


def test_the_documents_scale_is_counted_to_the_last_digit() -> None:
    text = render_compare(FULL)
    assert row(text, "FLOP, score") == ["29,124,173,234,176", "1,296,812,802,048", "22.46×", "counted"]
    assert row(text, "FLOP, prefill")[0] == "28,587,564,466,176"
    assert row(text, "attention cells, score")[2] == "248.1×"


def test_notes_say_estimate_convention_checks_and_warnings() -> None:
    text = render_compare(FULL, width=160)
    assert "Joules are estimated (codecarbon): they mostly restate the time." in text
    assert "Convention dense: 2 FLOP a multiply-accumulate" in text
    assert "Checked, tolerance 0: closed form = ledger, softmax witness." in text
    assert "The prompt was repeated 17 times." in text
    assert "score keeps no state" in text


def test_counted_only_says_that_nothing_was_timed() -> None:
    text = render_compare(Compared(record(point())))
    assert "Counted only: nothing was timed" in text
    assert "energy" not in text
    assert "Joules" not in text


def test_a_missing_time_is_a_marked_dash_with_its_reason() -> None:
    counted = record(point("document"))
    reason = "needs 50 GiB, 8 GiB are free"
    missing = [figure(arm, "score", "seconds", None, "measured", reason=reason) for arm in ("token", "latent")]
    text = render_compare(Compared(counted.model_copy(update={"measures": [*counted.measures, *missing]})))
    mark = row(text, "time")[0]
    assert mark.startswith("–")
    assert f"{mark[1:]} {reason}" in text


def test_a_ratio_without_an_interval_says_why() -> None:
    timed = record(point(), regimes=("score",), timed=True)
    measures = [
        m.model_copy(update={"low": None, "high": None, "reason": "one block only"}) if m.quantity == "ratio:seconds" else m
        for m in timed.measures
    ]
    text = render_compare(Compared(timed.model_copy(update={"measures": measures})))
    assert "one block only" in text
    assert row(text, "95% interval")[0].startswith("–")


def test_no_complete_span_says_what_that_means() -> None:
    text = render_compare(Compared(record(point("tiny", tokens=20))))
    assert "No span is complete (20 tokens, span 32)" in text
    assert row(text, "objects mixed") == ["20 tokens", "0 latents", "–", "counted"]
    assert row(text, "attention size, each layer")[1:3] == ["0 × 0", "–"]
    assert "The latent arm mixes nothing here" in text


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize(("tokens", "span"), [(24, 8), (1, 8), (2049, 32), (16384, 32)])
def test_nothing_is_wider_than_a_terminal(allocation: str, tokens: int, span: int) -> None:
    compared = Compared(record(point("gpt2", allocation, tokens, span), timed=True), record(point("document", allocation, tokens, span)))
    for text in (render_compare(compared), render_count(compared.record), render_tables([compared.record])):
        assert max(map(len, text.splitlines())) <= 80


# ---- compare: the closing sentence ----------------------------------------------------------------------------------


def test_closing_sets_the_famous_ratio_beside_the_whole_model() -> None:
    text = closing(Reading(FULL.record))
    assert "shrinks 1024× (2048 × 2048 to 64 × 64)" in text
    assert "19.46× fewer FLOPs in score" in text
    assert "5.24× as fast (5.12–5.31×) in score" in text


def test_attention_is_the_count_without_what_is_linear_in_tokens() -> None:
    expected = 8 * 4 * 2048 * 2048 * 512
    assert attention_flops(Reading(record(point())), "score") == expected
    assert attention_flops(Reading(record(point(), convention="causal-half")), "score") == expected // 2
    useful = 8 * 4 * (2048 * 2049 // 2) * 512
    assert attention_flops(Reading(record(point(), convention="useful")), "score") == useful


def test_shares_are_of_the_whole_latent_arm() -> None:
    assert sum(shares(Reading(record(point())), "score").values()) == pytest.approx(1, abs=1e-12)


def test_a_latent_arm_that_costs_more_is_not_called_a_saving() -> None:
    at = point("tiny", "block", 8, 8, **{"encoder.layers": 0, "decoder.layers": 6})
    assert "MORE FLOPs in score" in closing(Reading(record(at)))


# ---- formats of records ---------------------------------------------------------------------------------------------


def test_json_is_the_record_and_two_more_keys() -> None:
    plain: dict[str, Any] = json.loads(render_compare(FULL, "json"))
    others = {name: plain.pop(name) for name in ("document_scale", "doubled")}
    assert Record.model_validate(plain) == FULL.record
    assert FULL.reference is not None
    assert others["document_scale"]["measures"] == [m.model_dump() for m in FULL.reference.measures]
    assert others["doubled"]["point"]["tokens"] == 4096
    assert json.loads(render_count(FULL.record, "json")) == FULL.record.to_json()


def test_csv_has_one_row_a_measure_with_every_digit() -> None:
    rows = list(csv.DictReader(io.StringIO(render_tables([record(point("document"))], "csv"))))
    assert len(rows) == len(record(point("document")).measures)
    wanted = {"arm": "token", "regime": "score", "stage": "total", "quantity": "flops"}
    (value,) = [r["value"] for r in rows if wanted.items() <= r.items()]
    assert value == "29124173234176"
    assert {r["value"] for r in rows if r["quantity"] == "state_bytes" and r["regime"] == "score"} == {""}


@pytest.mark.parametrize("fmt", FORMATS)
def test_one_regime_is_enough(fmt: str) -> None:
    only = record(point("tiny", tokens=24, span=8), regimes=("prefill",))
    assert render_compare(Compared(only), fmt)
    assert "score" not in render_compare(Compared(only)).replace("attention scores", "")
    assert render_count(only, fmt)


# ---- count, tables, presets, explain --------------------------------------------------------------------------------


def test_count_prints_the_documents_scale_exactly_in_80_columns() -> None:
    text = render_count(record(point("document")))
    assert "29,124,173,234,176" in text
    assert "28,587,564,466,176" in text


def test_tables_reproduce_both_comparisons_and_every_allocation() -> None:
    records = [record(point("document", name, n, s)) for n, s in ((24, 8), (2048, 32)) for name in ALLOCATIONS]
    text = render_tables(records)
    assert "24 × 24 against 3 × 3" in text
    assert "2048 × 2048 against 64 × 64" in text
    assert [row(part, "lean")[1:3] for part in text.split("2048 × 2048 against")] == [["7.08×", "7.68×"], ["22.46×", "30.16×"]]
    assert row(text, "mixer-only")[0] == "0 / 32@4096 / 0"
    assert len(json.loads(render_tables(records, "json"))["records"]) == 8


def test_presets_say_which_fit() -> None:
    rows = [
        PresetRow("tiny", "lean", 2, 64, 256, 257, 10, 20, 300, 100, memory_bytes=2**20),
        PresetRow("tiny", "block", 2, 64, 256, 257, 10, 20, 300, 100, memory_bytes=2**40),
        PresetRow("tiny", "mixer-only", 2, 64, 256, 257, refused="needs a span that divides 64"),
    ]
    listed = PresetList(24, 7, "float32", rows, available_bytes=2**30)
    text = render_presets(listed)
    assert row(text, "lean") == ["10", "20", "300", "100", "3×", "1.00 MiB", "yes"]
    assert row(text, "block")[-1] == "count only"
    assert row(text, "mixer-only")[-1] == "no"
    assert "mixer-only: needs a span that divides 64" in text
    assert [row["fits"] for row in json.loads(render_presets(listed, "json"))["presets"]] == [True, False, None]


def test_explain_shows_letters_numbers_and_values() -> None:
    at = point()
    view = Explained(at.to_json(), "score", "dense", explain(at, "score", "dense"), definitions(at, "dense"))
    text = render_explain(view)
    assert "L·attn(N, N, D)" in text
    assert f"= {8 * 4 * 2048 * 2048 * 512:,} FLOP" in text
    assert "= 19.46×" in text
    assert max(map(len, text.splitlines())) <= 80
    terms = json.loads(render_explain(view, "json"))["terms"]
    assert [term["value"] for term in terms] == [term.value for term in view.terms]
    assert len(list(csv.DictReader(io.StringIO(render_explain(view, "csv"))))) == len(view.terms)


def test_views_need_neither_torch_nor_pandas() -> None:
    names = ", ".join(f"spanbench.show.{name}" for name in ("compare", "count", "tables", "presets", "explain"))
    code = f"import sys, {names}; print([m for m in ('torch', 'pandas', 'numpy', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- compare: energy -------------------------------------------------------------------------------------------------


def test_energy_is_told_of_a_prompt_and_a_token_where_there_are_several_prompts() -> None:
    several = render_compare(Compared(record(replace(point(), batch=4), timed=True)))
    assert row(several, "energy")[:2] == ["61.2 J", "11.9 J"]
    assert row(several, "per prompt")[:2] == ["15.3 J", "2.98 J"]
    assert row(several, "per token")[:2] == ["7.47 mJ", "1.45 mJ"]  # 4 prompts of 2,048 tokens
    assert "per prompt" not in render_compare(FULL)
