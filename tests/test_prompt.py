"""Prompts: how a text becomes rows of ids."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench import prompt as module
from spanbench.errors import UsageError
from spanbench.prompt import BUILT_IN, Prompt, load_prompt

BYTES = st.lists(st.integers(0, 255), min_size=1, max_size=30)


def test_the_built_in_prompt_is_that_of_the_documents() -> None:
    loaded = load_prompt(None, None, None, 1)
    assert bytes(loaded.ids[0]).decode() == BUILT_IN
    assert (loaded.source, loaded.tokenizer, loaded.vocab, loaded.text_tokens) == ("built-in", "bytes", 256, 104)


@given(text=BYTES, tokens=st.integers(1, 70), batch=st.integers(1, 4))
def test_row_b_holds_the_next_tokens_of_the_text_repeated(text: list[int], tokens: int, batch: int) -> None:
    cut = Prompt((), "here", "bytes", 256, len(text), tuple(text)).cut(tokens, batch)
    assert cut.ids == tuple(tuple(text[(b * tokens + i) % len(text)] for i in range(tokens)) for b in range(batch))
    assert cut.repeats == batch * tokens / len(text)
    assert cut.digest == hashlib.sha256(b"".join(struct.pack("<q", i) for row in cut.ids for i in row)).hexdigest()


@given(text=BYTES, first=st.integers(1, 40), then=st.integers(1, 40))
def test_a_prompt_cut_anew_is_the_prompt_read_anew(text: list[int], first: int, then: int) -> None:
    whole = Prompt((), "here", "bytes", 256, len(text), tuple(text))
    assert whole.cut(first, 2).cut(then, 1) == whole.cut(then, 1)


def test_a_file_gives_its_name_and_its_utf8_bytes(tmp_path: Path) -> None:
    path = tmp_path / "blätter.txt"
    path.write_text("Blätter, 葉", encoding="utf-8")
    loaded = load_prompt(str(path), None, None, 1)
    assert bytes(loaded.ids[0]) == "Blätter, 葉".encode()
    assert loaded.source == "blätter.txt"


def test_a_name_that_is_not_unicode_can_be_written_down(tmp_path: Path) -> None:
    path = tmp_path / b"\xff.txt".decode(errors="surrogateescape")
    path.write_text("text")
    assert load_prompt(str(path), None, None, 1).source.encode() == b"?.txt"


def test_a_text_longer_than_any_prompt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2**20)
    path = tmp_path / "long.txt"
    path.write_bytes(b"a" * (2**20 + 1))
    with pytest.raises(UsageError, match="longer than 1 MiB"):
        load_prompt(str(path), None, 8, 1)
    path.write_bytes(b"a" * 2**20)
    assert load_prompt(str(path), None, 8, 1).text_tokens == 2**20


def test_a_name_with_a_null_character_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_prompt("a\0b", None, None, 1)
