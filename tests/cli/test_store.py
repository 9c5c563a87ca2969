"""`spanbench store`: documents added, asked, edited and cared for through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Cli, Ran, python

MODEL = ("--preset", "tiny", "--span", "8")
TEXT = "The quick brown fox jumps over the lazy dog; then it sleeps. What a day that was for both of them!"
"""98 bytes: 12 spans of 8, and 2 open."""


def run(cli: Cli, *arguments: str | Path) -> Ran:
    return cli("store", *arguments)


def data(cli: Cli, *arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli.data("store", *arguments, "--format", "json"))
    return found


def refused(cli: Cli, *arguments: str | Path, code: int = 2) -> str:
    """Return the one line of an error; notes may stand before it."""
    ran = run(cli, *arguments)
    assert (ran.code, ran.out) == (code, ""), ran
    return ran.err.splitlines()[-1].removeprefix("spanbench: error: ")


@pytest.fixture
def store(cli: Cli, tmp_path: Path) -> Path:
    assert run(cli, "add", tmp_path / "s", "--name", "fox", *MODEL, "--text", TEXT).code == 0
    return tmp_path / "s"


def test_add_encodes_each_span_once_and_another_document_finds_those_it_shares(cli: Cli, tmp_path: Path) -> None:
    first = data(cli, "add", tmp_path / "s", "--name", "a", *MODEL, "--text", TEXT)
    assert {name: first[name] for name in ("tokens", "spans", "open", "encoded", "found")} == {
        "tokens": 98, "spans": 12, "open": 2, "encoded": 12, "found": 0,
    }  # fmt: skip
    second = data(cli, "add", tmp_path / "s", "--name", "b", *MODEL, "--text", TEXT[:40] + "entirely different")
    assert (second["spans"], second["found"], second["encoded"]) == (7, 5, 2)
    assert second["flops_encoder"] * 7 == second["flops_encoder_anew"] * 2 > 0
    (tmp_path / "note.txt").write_text(TEXT)
    data(cli, "add", tmp_path / "s", *MODEL, "--prompt", tmp_path / "note.txt")
    assert [one["document"] for one in data(cli, "list", tmp_path / "s")["documents"]] == ["a", "b", "note"]


def counted(cli: Cli, path: Path, tokens: int) -> dict[str, int]:
    """Return what the ledger counts of the latent arm's prefill, by stage."""
    arguments = ("--prompt", path, "--tokens", str(tokens), "--regime", "prefill", "--format", "json")
    measures = json.loads(cli.data("count", *MODEL, *arguments))["measures"]
    return {one["stage"]: one["value"] for one in measures if (one["arm"], one["quantity"]) == ("latent", "flops")}


@pytest.mark.parametrize("state", [False, True])
def test_an_answer_behind_a_stored_document_is_that_of_reading_it_all(cli: Cli, tmp_path: Path, state: bool) -> None:
    kept = ["--state"] if state else []
    data(cli, "add", tmp_path / "s", "--name", "fox", *MODEL, "--text", TEXT, *kept)
    asked = data(cli, "query", tmp_path / "s", "fox", *MODEL, "--text", "And the dog?", "--generate", "6")
    (tmp_path / "whole.txt").write_text(TEXT + "And the dog?")
    said = cli.data("generate", *MODEL, "--prompt", tmp_path / "whole.txt", "--arm", "latent", "--generate", "6", "--format", "json")
    assert asked["ids"] == json.loads(said)["latent"]["ids"][0]
    assert asked["use"] == ("state" if state else "u")
    assert (asked["spans_found"], asked["spans_encoded"]) == (12, 2)  # 98 + 12 + 5 of the answer that are read close 14
    assert (asked["rows_found"], asked["rows_mixed"]) == ((12, 2) if state else (0, 14))
    short = data(cli, "query", tmp_path / "s", "fox", *MODEL, "--text", "And the dog?", "--generate", "1")
    assert (short["spans_encoded"], short["rows_mixed"], short["flops_say"]) == (1, 1 if state else 13, 0)
    assert asked["flops_open"] + asked["flops_read"] < asked["flops_anew"]
    read, whole = (counted(cli, tmp_path / "whole.txt", tokens) for tokens in (98, 110))
    assert asked["flops_anew"] == whole["total"]
    assert asked["flops_open"] == read["total"] - read["encoder"] - (read["mixer"] if state else 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("--replace", "20", "--text", "xyz"), {"spans": 12, "encoded": 1, "kept": 11, "behind": 10, "tokens": 98}),
        (("--replace", "96", "--text", "xy"), {"spans": 12, "encoded": 0, "kept": 12, "behind": 0, "tokens": 98}),
        (("--append", "--text", "123456"), {"spans": 13, "encoded": 1, "kept": 12, "behind": 1, "tokens": 104}),
        (("--insert", "16", "--text", "8 bytes."), {"spans": 13, "encoded": 1, "found": 10, "behind": 11, "tokens": 106}),
        (("--insert", "16", "--text", "odd"), {"spans": 12, "encoded": 10, "kept": 2, "behind": 10, "tokens": 101}),
        (("--delete", "0", "--count", "8"), {"spans": 11, "encoded": 0, "found": 11, "tokens": 90}),
        (("--delete", "97"), {"spans": 12, "encoded": 0, "tokens": 97}),
        (("--restore",), {"spans": 12, "encoded": 0, "kept": 12, "tokens": 98}),
    ],
)
def test_an_edit_encodes_only_what_it_must(cli: Cli, store: Path, change: tuple[str, ...], expected: dict[str, int]) -> None:
    done = data(cli, "edit", store, "fox", *MODEL, *change)
    assert {name: done[name] for name in expected} == expected


def test_a_narrower_type_states_its_error_and_keeps_half_the_bytes(cli: Cli, store: Path, tmp_path: Path) -> None:
    done = data(cli, "add", tmp_path / "half", "--name", "fox", *MODEL, "--text", TEXT, "--store-dtype", "fp16")
    assert 0 < done["narrowed"]["relative"] < 2**-10
    assert 2 * data(cli, "list", tmp_path / "half")["raw_bytes"] == data(cli, "list", store)["raw_bytes"]
    shown = cli.data("store", "edit", tmp_path / "half", "fox", *MODEL, "--store-dtype", "fp16", "--append", "--text", "more text")
    assert "reconstruction error at most" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (("--seed", "1"), "asked for was u of"),
        (("--span", "4"), "span 8, float32; asked for"),
        (("--store-dtype", "bf16"), "float32; asked for"),
    ],
)
def test_another_encoder_span_or_type_is_refused_with_exit_code_3(cli: Cli, store: Path, other: tuple[str, ...], why: str) -> None:
    for command in (
        ("query", store, "fox", "--text", "a"),
        ("edit", store, "fox", "--append", "--text", "a"),
        ("add", store, "--text", "a"),
    ):
        assert why in refused(cli, *command, *MODEL, *other, code=3)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("add", "--name", "", "--text", "x"), "--name '': is empty; give a name of at least one character"),
        (("add", "--name", " ", "--text", "x"), "--name ' ': is empty"),
        (("add", "--name", "\udcff", "--text", "x"), "--name '\\udcff': is no text in this terminal's encoding"),
        (("add", "--name", "b", "--text", "\udcff\udcfe"), "--text '\\udcff\\udcfe': is no text in this terminal's encoding"),
        (("add", "--name", "fox", "--text", "x"), "document 'fox': is there already"),
        (("query", "\udcff", "--text", "x"), "DOC '\\udcff': is no text in this terminal's encoding"),
        (("query", "fox", "--text", "\udcff"), "--text '\\udcff': is no text"),
        (("edit", "fox", "--append", "--text", "\udcff"), "--text '\\udcff': is no text"),
        (("edit", "\udcff", "--append", "--text", "x"), "DOC '\\udcff': is no text"),
        (("edit", "fox", "--replace", "97", "--text", "long"), "positions within 0 .. 97"),
        (("edit", "fox", "--insert", "99", "--text", "x"), "cannot insert at 99 of 98 tokens"),
        (("edit", "fox", "--delete", "0", "--count", "98"), "leaves it empty"),
        (("edit", "fox", "--replace", "1"), "give --text TEXT, or --prompt FILE"),
        (("edit", "fox", "--text", "x"), "nothing was given; give one of --replace P"),
        (("edit", "fox", "--append", "--insert", "1", "--text", "x"), "--insert and --append was given"),
        (("edit", "fox", "--append", "--count", "2", "--text", "x"), "--count 2: belongs to --delete"),
        (("edit", "fox", "--delete", "1", "--text", "x"), "--delete: takes no text"),
        (("edit", "fax", "--append", "--text", "x"), "did you mean 'fox'"),
        (("query", "fox", "--text", ""), "--text '': is empty"),
        (("query", "fox", "--text", "x", "--prompt", "y.txt"), "--text: does not go with --prompt 'y.txt'"),
        (("query", "fox"), "give --text TEXT, or --prompt FILE"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(cli: Cli, store: Path, arguments: tuple[str, ...], why: str) -> None:
    before = data(cli, "list", store)
    assert why in refused(cli, arguments[0], store, *arguments[1:], *MODEL)
    assert data(cli, "list", store) == before


def test_a_folder_that_is_no_store_is_refused_by_every_command(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for command in (("list",), ("verify",), ("gc",), ("verify", "--repair")):
        assert "is a file" in refused(cli, command[0], tmp_path / "file", *command[1:])
        assert "there is no such folder" in refused(cli, command[0], tmp_path / "none", *command[1:])
    assert "is a file" in refused(cli, "add", tmp_path / "file", *MODEL, "--text", "x")
    assert "must be a number of bytes" in refused(cli, "gc", tmp_path / "file", "--limit", "much")
    assert not (tmp_path / "none").exists()


def test_verify_tells_of_damage_with_exit_code_1_and_repairs_it(cli: Cli, store: Path) -> None:
    assert data(cli, "verify", store)["findings"] == []
    [shard] = store.glob("*.safetensors")
    whole = bytearray(shard.read_bytes())
    whole[-1] ^= 1
    shard.write_bytes(whole)
    ran = run(cli, "verify", store, "--format", "json")
    assert (ran.code, json.loads(ran.out)["lost"]) == (1, 1)
    assert "1 of its records are not what was written" in ran.err
    assert "is not what was written" in refused(cli, "query", store, "fox", *MODEL, "--text", "x", code=3)
    assert run(cli, "verify", store, "--repair").code == 0
    assert data(cli, "verify", store)["records"] == 11
    assert data(cli, "list", store)["documents"][0]["missing"] == 1
    assert "1 of its 12 latents are not in the store" in refused(cli, "query", store, "fox", *MODEL, "--text", "x", code=3)
    assert data(cli, "edit", store, "fox", *MODEL, "--restore")["encoded"] == 1
    data(cli, "query", store, "fox", *MODEL, "--text", "x", "--generate", "1")


def test_gc_evicts_down_to_a_limit_and_says_which_documents_miss_spans(cli: Cli, store: Path) -> None:
    assert data(cli, "gc", store)["incomplete"] == {}
    before = data(cli, "list", store)["disk_bytes"]
    freed = data(cli, "gc", store, "--limit", str(before - 600))
    assert freed["bytes_after"] <= before - 600
    assert freed["evicted"] == freed["incomplete"]["fox"] == data(cli, "list", store)["documents"][0]["missing"] > 0


def test_add_says_which_documents_its_limit_has_cost_spans(cli: Cli, store: Path) -> None:
    limit = data(cli, "list", store)["disk_bytes"]
    ran = run(cli, "add", store, "--name", "more", *MODEL, "--text", "0123456789abcdef", "--limit", str(limit), "--format", "json")
    assert ran.code == 0
    missing = json.loads(ran.out)["incomplete"]
    assert set(missing) == {"fox"}
    assert f"fox: the limit has evicted {missing['fox']} of its spans; spanbench store edit {store} fox --restore" in ran.err
    assert data(cli, "list", store)["documents"][0]["missing"] == missing["fox"]


def test_another_mixer_changes_no_document_with_state(cli: Cli, tmp_path: Path) -> None:
    data(cli, "add", tmp_path / "s", "--name", "fox", *MODEL, "--text", TEXT, "--state")
    other = ("--set", "mixer.layers=1")
    for command in (("edit", "--append", "--text", "more"), ("query", "--text", "x"), ("edit", "--restore"), ("edit", "--refine", "1")):
        assert "mixer" in refused(cli, command[0], tmp_path / "s", "fox", *MODEL, *other, *command[1:], code=3)
    data(cli, "query", tmp_path / "s", "fox", *MODEL, *other, "--no-state", "--text", "x", "--generate", "1")
    assert data(cli, "query", tmp_path / "s", "fox", *MODEL, "--text", "x", "--generate", "1")["use"] == "state"


def test_a_hint_is_a_command_that_mends_it(cli: Cli, store: Path) -> None:
    line = refused(cli, "query", store, "fox", *MODEL, "--state", "--text", "x", code=3)
    assert "spanbench store edit STORE fox --restore --state makes them again" in line
    assert data(cli, "edit", store, "fox", *MODEL, "--restore", "--state")["mixed"] == 12
    assert data(cli, "query", store, "fox", *MODEL, "--state", "--text", "x", "--generate", "1")["use"] == "state"


def test_export_and_import_carry_documents_to_another_store(cli: Cli, store: Path, tmp_path: Path) -> None:
    assert data(cli, "export", store, tmp_path / "t")["records"] == 12
    assert data(cli, "import", tmp_path / "u", tmp_path / "t")["records"] == 12
    assert data(cli, "export", store, tmp_path / "t")["records"] == 0
    one, other = (data(cli, "query", folder, "fox", *MODEL, "--text", "x", "--generate", "4") for folder in (store, tmp_path / "u"))
    assert one["ids"] == other["ids"]


def test_a_removed_document_is_gone_and_its_latents_serve_others(cli: Cli, store: Path) -> None:
    assert run(cli, "remove", store, "fox").code == 0
    assert "it has none" in refused(cli, "remove", store, "fox")
    assert data(cli, "add", store, "--name", "again", *MODEL, "--text", TEXT)["encoded"] == 0


def test_every_view_comes_in_every_format(cli: Cli, store: Path) -> None:
    commands = [("list", store), ("verify", store), ("gc", store), ("query", store, "fox", *MODEL, "--text", "x", "--generate", "2")]
    for command in commands:
        json.loads(cli.data("store", *command, "--format", "json"))
        table = cli.data("store", *command)
        assert max(map(len, table.splitlines())) <= 80
        assert cli.data("store", *command, "--format", "markdown").startswith("## spanbench store")
        cli.data("store", *command, "--format", "csv")


def test_list_verify_and_gc_need_no_torch(store: Path) -> None:
    code = """
        import sys
        from spanbench.cli.main import main
        assert [main(["store", name, sys.argv[1]]) for name in ("list", "verify", "gc")] == [0, 0, 0]
        assert "torch" not in sys.modules
    """
    done = python("\n".join(line.strip() for line in code.splitlines()), str(store))
    assert (done.returncode, done.stderr) == (0, "")
