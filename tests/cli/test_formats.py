"""Every command in every format: JSON is one document, CSV and Markdown are whole, tables fit, streams are kept apart."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tests.cli.running import TINY, Cli

COMMANDS = {
    "count": ("count", *TINY),
    "compare": ("compare", *TINY, "--no-run"),
    "explain": ("explain", "--preset", "tiny", "--tokens", "42", "--span", "8"),
    "presets": ("presets", "--tokens", "64", "--span", "8"),
}
ANSI = "\x1b"

every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@every_command
def test_json_is_one_document(cli: Cli, command: tuple[str, ...]) -> None:
    printed = cli.data(*command, "--format", "json")
    assert isinstance(json.loads(printed), dict)
    assert printed.endswith("}\n")


@every_command
def test_csv_has_one_header_and_rows_of_its_length(cli: Cli, command: tuple[str, ...]) -> None:
    header, *rows = csv.reader(io.StringIO(cli.data(*command, "--format", "csv")))
    assert len(set(header)) == len(header)
    assert rows
    assert {len(row) for row in rows} == {len(header)}
    assert header not in rows


@every_command
def test_markdown_tables_have_rows_of_one_length(cli: Cli, command: tuple[str, ...]) -> None:
    printed = cli.data(*command, "--format", "markdown")
    assert printed.startswith("## spanbench ")
    for table in re.findall(r"(?:^\|.*\n)+", printed, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize(("name", "columns"), [("count", 80), ("explain", 80), *((name, 160) for name in COMMANDS)])
def test_a_table_fits_the_terminal(cli: Cli, name: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    printed = cli.data(*COMMANDS[name])
    unbreakable = r"[·*()+, 0-9A-Za-z']{80,}"  # explain's products of numbers have no place to break
    assert [line for line in printed.splitlines() if len(line) > columns and not re.search(unbreakable, line)] == []
    assert ANSI not in printed


def test_progress_goes_to_standard_error(cli: Cli) -> None:
    ran = cli("count", *TINY, "--format", "json")
    assert ran.err == "counting …\n"
    json.loads(ran.out)


def test_explain_gives_each_regime_with_its_terms(cli: Cli) -> None:
    explained = json.loads(cli.data(*COMMANDS["explain"], "--format", "json"))["explained"]
    assert [one["regime"] for one in explained][:2] == ["score", "prefill"]
    for one in explained:
        assert {"arm", "stage", "quantity", "name", "formula", "numbers", "value"} == set(one["terms"][0])
        own = [t["value"] for t in one["terms"] if (t["arm"], t["quantity"]) == ("token", "flops") and t["stage"] != "total"]
        assert [t["value"] for t in one["terms"] if (t["arm"], t["stage"], t["name"]) == ("token", "total", "flops")] == [sum(own)]


def test_explain_and_count_agree(cli: Cli) -> None:
    counted = json.loads(cli.data("count", *TINY, "--format", "json"))["measures"]
    wanted = {m["arm"]: m["value"] for m in counted if (m["quantity"], m["stage"]) == ("flops", "total") and m["arm"] != "pair"}
    terms = json.loads(cli.data("explain", *TINY, "--format", "json"))["explained"][0]["terms"]
    assert {t["arm"]: t["value"] for t in terms if (t["stage"], t["name"]) == ("total", "flops") and t["arm"] != "pair"} == wanted
    assert wanted.keys() == {"token", "latent"}


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["table", "json", "csv", "markdown"])
def test_tables_in_every_format(cli: Cli, fmt: str) -> None:
    printed = cli.data("tables", "--format", fmt)
    if fmt == "json":
        measures = [m for record in json.loads(printed)["records"] for m in record["measures"]]
        assert 29_124_173_234_176 in {m["value"] for m in measures}
    else:
        assert "29,124,173,234,176" in printed or "29124173234176" in printed


def test_out_appends_the_record_that_json_prints(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "records.jsonl"
    printed = [json.loads(cli.data("count", *TINY, "--out", kept, "--format", "json")) for _ in range(2)]
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(line["id"], line["measures"]) for line in lines] == [(one["id"], one["measures"]) for one in printed]
    assert f"appended record {printed[0]['id']} to {kept}" in cli("count", *TINY, "--out", kept).err
