"""Where the prompt comes from: a file, standard input, a tokenizer, a TOML file; and what of it is said."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import TINY, Cli

COUNT = ("count", "--preset", "tiny", "--span", "8", "--regime", "prefill", "--format", "json")


def sha256(ids: list[int]) -> str:
    return hashlib.sha256(b"".join(struct.pack("<q", i) for i in ids)).hexdigest()


def give_stdin(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))


def test_a_file_is_taken_whole_and_named(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "leaves.txt"
    path.write_bytes(b"Why do leaves fall in autumn? Because of the cold.")
    record = json.loads(cli.data(*COUNT, "--prompt", path))
    assert record["point"]["tokens"] == 50
    assert record["point"]["prompt"] == sha256(list(path.read_bytes()))
    assert record["environment"]["prompt"] == "leaves.txt"
    assert record["warnings"] == []


def test_a_short_text_is_repeated_over_the_batch_and_that_is_said(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_bytes(b"abcdefgh" * 3)
    record = json.loads(cli.data(*COUNT, "--prompt", path, "--tokens", "42", "--batch", "2"))
    assert record["point"]["prompt"] == sha256(list((b"abcdefgh" * 20)[:84]))
    assert record["warnings"] == ["The prompt has 24 tokens and was repeated 3.5 times over."]


def test_standard_input_is_read_once_and_cut_again_for_other_sizes(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"a text from a pipe, of sixty-one bytes, which is read only once"
    give_stdin(monkeypatch, text)
    shown = json.loads(
        cli.data("compare", "--preset", "tiny", "--span", "8", "--regime", "prefill", "--no-run", "--prompt", "-", "--format", "json")
    )
    assert shown["environment"]["prompt"] == "stdin"
    assert shown["point"]["prompt"] == shown["document_scale"]["point"]["prompt"] == sha256(list(text))
    assert shown["doubled"]["point"]["tokens"] == 2 * len(text)
    assert shown["doubled"]["point"]["prompt"] == sha256(list(text * 2))


def test_an_empty_or_closed_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, b"")
    assert "--prompt '-': is empty" in cli.fails(*COUNT, "--prompt", "-")
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in cli.fails(*COUNT, "--prompt", "-")


def trained_tokenizer(path: Path) -> Any:
    """Train a tiny word tokenizer and save it."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))  # noqa: S106  # not a secret: a word
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(["leaves fall and leaves turn red and gold"], trainer)
    tokenizer.save(str(path))
    return tokenizer


def test_a_tokenizer_file_gives_the_ids_and_the_vocabulary(cli: Cli, tmp_path: Path) -> None:
    tokenizer, path, text = (
        trained_tokenizer(tmp_path / "words.json"),
        tmp_path / "words.json",
        "leaves turn gold and leaves fall quietly and so on",
    )
    (tmp_path / "prompt.txt").write_text(text)
    point = json.loads(cli.data(*COUNT, "--tokenizer", path, "--prompt", tmp_path / "prompt.txt"))["point"]
    assert point["tokens"] == len(text.split())
    assert point["prompt"] == sha256(tokenizer.encode(text).ids)
    assert (point["tokenizer"], point["shape"]["vocab"]) == ("words.json", tokenizer.get_vocab_size())


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused(cli: Cli, tmp_path: Path) -> None:
    trained_tokenizer(tmp_path / "words.json")
    (tmp_path / "prompt.txt").write_text("gold red fall turn and leaves")
    line = cli.fails("count", *TINY, "--tokenizer", tmp_path / "words.json", "--prompt", tmp_path / "prompt.txt", "--set", "vocab=2")
    assert "--set vocab=2: is too small" in line


def test_a_config_is_the_same_as_flags_and_flags_win(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "point.toml"
    path.write_text(
        'preset = "tiny"\nallocation = "megabyte"\ntokens = 42\nspan = 8\nbatch = 2\nseed = 7\ndtype = "bf16"\nregime = "prefill"\n'
        "[shape]\nlayers = 3\ngated = true\n[shape.decoder]\nlayers = 2\n"
    )
    flags = (
        "--preset",
        "tiny",
        "--allocation",
        "megabyte",
        "--tokens",
        "42",
        "--span",
        "8",
        "--batch",
        "2",
        "--seed",
        "7",
        "--dtype",
        "bf16",
    )
    sizes = ("--set", "layers=3", "--set", "gated=true", "--set", "decoder.layers=2", "--regime", "prefill")
    explain = ("explain", "--format", "json")
    assert cli.data(*explain, "--config", path) == cli.data(*explain, *flags, *sizes)
    changed = ("--config", path, "--tokens", "16", "--set", "decoder.layers=1")
    assert cli.data(*explain, *changed) == cli.data(*explain, *flags, *sizes, "--tokens", "16", "--set", "decoder.layers=1")
    assert cli.data(*explain, *changed) != cli.data(*explain, "--config", path)
