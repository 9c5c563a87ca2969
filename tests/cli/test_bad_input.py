"""Every mistake that a user can make is one line that says what, which and what would be right; nothing is lost by it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.running import TINY, Cli

COUNT = ("count", "--preset", "tiny", "--span", "8")

TYPED: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--span", "0"), ("--span 0", "at least 1")),
    (("--span", "-2"), ("--span -2", "at least 1")),
    (("--span", "three"), ("--span 'three'", "whole number")),
    (("--tokens", "0"), ("--tokens 0", "at least 1")),
    (("--tokens", "1e12"), ("--tokens '1e12'", "whole number")),
    (("--tokens", "2.5"), ("--tokens '2.5'", "whole number")),
    (("--tokens", "9" * 40), ("--tokens", "at most 18 digits")),
    (("--tokens",), ("--tokens", "requires an argument")),
    (("--batch", "0"), ("--batch 0", "at least 1")),
    (("--seed", "-1"), ("--seed -1", "between 0 and")),
    (("--preset", "smal"), ("--preset", "'smal'", "did you mean 'small'")),
    (("--allocation", "leen"), ("--allocation", "'leen'", "did you mean 'lean'")),
    (("--regime", "scores"), ("--regime", "'scores'", "did you mean 'score'")),
    (("--regime", "score,prefil"), ("--regime", "'prefil'", "did you mean 'prefill'")),
    (("--regime", ","), ("--regime", "no regime given", "score")),
    (("--dtype", "bfloat61"), ("--dtype", "'bfloat61'", "did you mean 'bfloat16'")),
    (("--device", "gpu"), ("--device", "'gpu'", "cpu, cuda")),
    (("--device", "cuda:x"), ("--device", "'cuda:x'", "cuda:N")),
    (("--convention", "densee"), ("--convention", "'densee'", "did you mean 'dense'")),
    (("--format", "jsn"), ("--format", "'jsn'", "did you mean 'json'")),
    (("--set", "layers"), ("--set 'layers'", "KEY=VALUE", "layers=12")),
    (("--set", "=3"), ("--set '=3'", "KEY=VALUE")),
    (("--set", "layrs=3"), ("--set", "'layrs'", "did you mean 'layers'")),
    (("--set", "decoder.layrs=3"), ("--set", "did you mean 'decoder.layers'")),
    (("--set", "layers=many"), ("--set layers=many", "whole number")),
    (("--set", "layers=-1"), ("--set layers=-1", "between 0 and")),
    (("--set", "layers=1000000"), ("--set layers=1000000", "between 0 and 10000")),
    (("--set", "gated=perhaps"), ("--set gated=perhaps", "true or false")),
    (("--set", "pool=men"), ("--set pool", "'men'", "did you mean 'mean'")),
    (("--set", "carry=9"), ("--set carry=9", "between 0 and the span (8)")),
    (("--set", "heads=3"), ("--set heads=3", "3 heads do not divide the width 64")),
    (("--set", "width=100"), ("--set width=100", "does not divide the width", "set head_width")),
    (("--set", "kv_heads=3"), ("--set kv_heads=3", "do not divide its 4 heads", "1, 2, 4")),
    (("--set", "mixer.kv_heads=3"), ("--set mixer.kv_heads=3", "do not divide its 4 heads")),
    (("--set", "decoder.kv_heads=0"), ("--set decoder.kv_heads=0", "between 1 and")),
    (("--set", "vocab=100"), ("--set vocab=100", "too small", "at least 256")),
    (("--allocation", "block", "--span", "7"), ("--span 7", "lookup", "divides the mixer width 64", "8, 16")),
    (("--allocation", "block", "--set", "encoder.kv_heads=1"), ("encoder.kv_heads", "leave it out")),
    (("--tokns", "5"), ("--tokns", "--tokens")),
    (("more",), ("unexpected", "more", "count --help")),
    (("--tokens", "1000000000000"), ("--tokens 1000000000000", "TiB", "are free", "fewer tokens")),
    (("--batch", "1000000000000"), ("--batch 1000000000000", "PiB", "smaller batch")),
    (("--set", "width=1048576", "--span", "100000000"), ("--span 100000000", "too large to count", "take smaller")),
]


@pytest.mark.parametrize(("arguments", "said"), TYPED, ids=lambda value: " ".join(value)[:50])
def test_a_wrong_value_is_named_and_an_existing_record_file_untouched(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    kept = tmp_path / "records.jsonl"
    kept.write_text('{"kept": 1}\n')
    line = cli.fails(*COUNT, "--out", kept, *arguments)
    assert [part for part in said if part not in line] == [], line
    assert kept.read_text() == '{"kept": 1}\n'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cuont",), ("'cuont'", "did you mean 'count'")),
        (("--preset", "tiny", "count"), ("--preset", "options follow the command")),
        (("compare", *TINY, "--max-time", "-1"), ("--max-time '-1'", "positive number of seconds")),
        (("compare", *TINY, "--max-time", "nan"), ("--max-time 'nan'", "positive number of seconds")),
        (("compare", *TINY, "--meter", "codecarb"), ("--meter", "'codecarb'", "did you mean 'codecarbon'")),
        (("presets", "--tokens", "0"), ("--tokens 0", "at least 1")),
        (("presets", "--dtype", "fp31"), ("--dtype", "'fp31'", "did you mean 'fp32'")),
        (("presets", "--tokens", "1000000000000"), ("--tokens 1000000000000", "are free")),
        (("tables", "--format", "xml"), ("--format", "'xml'", "table")),
        (("explain", *TINY, "--regime", "red"), ("--regime", "'red'", "score")),
    ],
)
def test_each_command_refuses_what_it_does_not_know(cli: Cli, arguments: tuple[str, ...], said: tuple[str, ...]) -> None:
    line = cli.fails(*arguments).lower()
    assert [part for part in said if part.lower() not in line] == [], line


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.txt", None, ("no such file", "give a text file")),
        ("empty.txt", b"", ("is empty", "at least one token")),
        ("latin.txt", "ü".encode("latin-1"), ("not UTF-8 text (byte 0)",)),
        ("zero.txt", b"a\0b", ("zero bytes",)),
    ],
)
def test_a_wrong_prompt_file(cli: Cli, tmp_path: Path, name: str, content: bytes | None, said: tuple[str, ...]) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    line = cli.fails(*COUNT, "--prompt", path)
    assert f"--prompt {str(path)!r}" in line
    assert [part for part in said if part not in line] == [], line


def test_a_folder_is_no_file(cli: Cli, tmp_path: Path) -> None:
    for option in ("--prompt", "--tokenizer", "--config", "--out"):
        line = cli.fails(*COUNT, option, tmp_path)
        assert option in line
        assert repr(str(tmp_path)) in line
        assert "is a folder" in line


def test_a_prompt_without_end_is_refused(cli: Cli) -> None:
    assert "it is a device" in cli.fails(*COUNT, "--prompt", "/dev/zero")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("x = [", ("is not TOML",)),
        ("x = " + "[" * 100_000, ("nested too deeply",)),
        ("tokenz = 4", ("unknown key 'tokenz'", "did you mean 'tokens'")),
        ("tokens = 4.0", ("tokens = 4.0", "whole number")),
        ("tokens = true", ("tokens = True", "whole number")),
        ("preset = 4", ("preset = 4", "text")),
        ("regime = [1]", ("regime = [1]", "list of names")),
        ("shape = 4", ("shape = 4", "[shape]")),
        ("[shape.decoder]\nlayrs = 2", ("[shape]", "did you mean 'decoder.layers'")),
        ("[shape]\nlayers = 2.5", ("[shape]", "layers=2.5", "whole number")),
        ("[shape.decoder.more]\nlayers = 2", ("[shape]", "unknown key 'decoder.more'")),
        ("preset = 'smal'", ("--preset", "did you mean 'small'")),
    ],
)
def test_a_wrong_config(cli: Cli, tmp_path: Path, toml: str, said: tuple[str, ...]) -> None:
    path = tmp_path / "point.toml"
    path.write_text(toml)
    line = cli.fails("count", "--config", path)
    assert [part for part in said if part not in line] == [], line


def test_a_config_that_is_not_text(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "point.toml"
    path.write_bytes(b"\xff\xfe")
    assert "is not TOML" in cli.fails("count", "--config", path)


def test_a_wrong_tokenizer(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    assert "no such file" in cli.fails(*COUNT, "--tokenizer", path)
    path.write_text("{}")
    assert f"--tokenizer {str(path)!r}: is not a tokenizer.json" in cli.fails(*COUNT, "--tokenizer", path)


def test_without_the_extra_its_installation_is_told(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert "pip install 'spanbench[tokenizers]'" in cli.fails(*COUNT, "--tokenizer", path)


def test_an_out_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("my notes")
    assert "holds something other than records" in cli.fails(*COUNT, "--out", text)
    assert text.read_text() == "my notes"
    assert "does not exist" in cli.fails(*COUNT, "--out", tmp_path / "none" / "records.jsonl")
    assert sorted(tmp_path.iterdir()) == [text]


def test_a_run_beyond_memory_is_refused_with_the_estimate_before_anything_is_counted(cli: Cli) -> None:
    line = cli.fails("compare", "--preset", "document", "--set", "layers=10000", "--run")
    assert "--run: not enough memory" in line
    assert "TiB" in line
    assert "are free" in line


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_counted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "--device cuda" in cli.fails("compare", *TINY, "--device", "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert "cuda:0, cuda:1" in cli.fails("compare", *TINY, "--device", "cuda:7")
