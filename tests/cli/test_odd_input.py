"""What looks odd and works: a span longer than the prompt, a ragged length, one token, no layers."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.cli.running import TINY, Cli


def test_a_span_longer_than_the_prompt_says_what_it_means(cli: Cli) -> None:
    shown = " ".join(cli.data("count", "--preset", "tiny", "--tokens", "10", "--span", "20", "--regime", "prefill").split())
    assert "No span is complete (10 tokens, span 20): there is no latent" in shown


@pytest.mark.parametrize(
    ("tokens", "span", "spans"), [(20, 8, "2 complete spans, 4 open tokens"), (1, 1, "1 complete span, 0 open tokens")]
)
def test_tokens_need_not_be_a_multiple_of_the_span(cli: Cli, tokens: int, span: int, spans: str) -> None:
    assert spans in cli.data("count", "--preset", "tiny", "--tokens", str(tokens), "--span", str(span), "--regime", "prefill")


def test_a_dense_arm_without_layers_is_its_head_alone(cli: Cli) -> None:
    printed = cli.data("explain", "--preset", "tiny", "--tokens", "16", "--span", "8", "--set", "layers=0", "--format", "json")
    score = json.loads(printed)["explained"][0]["terms"]
    assert [t["value"] for t in score if (t["arm"], t["stage"], t["name"]) == ("token", "total", "flops")] == [16 * 2 * 64 * 257]


def test_presets_list_what_a_span_does_not_allow(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli.data("presets", "--span", "7", "--tokens", "14", "--format", "csv"))))
    refused = {(row["preset"], row["allocation"]) for row in rows if row["refused"]}
    assert refused == {(preset, allocation) for preset in {row["preset"] for row in rows} for allocation in ("mixer-only", "block")}
    assert all(bool(row["refused"]) != bool(row["flops_latent"]) for row in rows)


def test_a_gpu_need_not_be_there_to_count_for_it(cli: Cli) -> None:
    printed = cli.data("count", *TINY, "--device", "cuda:3", "--format", "json")
    assert json.loads(printed)["point"]["device"] == "cuda:3"
