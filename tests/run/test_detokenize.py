"""Text piece by piece: together it is the whole text, and no character comes later than it could."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from spanbench.run.detokenize import MOST_HELD, Detokenizer, detokenizers


def pieces(text: Detokenizer, ids: Iterable[int]) -> list[str]:
    return [*(text.feed(token) for token in ids), text.finish()]


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
def test_bytes_are_the_text_that_python_reads(raw: bytes) -> None:
    assert "".join(pieces(detokenizers(None)(), raw)) == raw.decode("utf-8", errors="replace")


def test_a_character_is_told_with_its_last_byte() -> None:
    assert pieces(detokenizers(None)(), "aé€😀".encode()) == ["a", "", "é", "", "", "€", "", "", "", "😀", ""]


def test_an_id_that_is_no_byte_is_replaced_and_ends_what_was_begun() -> None:
    assert pieces(detokenizers(None)(), [65, 0xC3, 256, 0xA9, 66, 0xE2]) == ["A", "", "��", "�", "B", "", "�"]


def byte_level(folder: Path) -> Tokenizer:
    """Return a tokenizer whose tokens are single bytes but for two longer ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: number for number, token in enumerate([*alphabet, "th", "the"])}
    tokenizer = Tokenizer(models.BPE(vocab, [("t", "h"), ("th", "e")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, str]:
    folder = tmp_path_factory.mktemp("tokenizer")
    return byte_level(folder), str(folder / "tokenizer.json")


@given(text=st.text(max_size=20) | st.text("the 😀€", max_size=20))
def test_a_tokenizer_s_pieces_are_the_text_that_was_encoded(tokenizer: tuple[Tokenizer, str], text: str) -> None:
    whole, path = tokenizer
    told = pieces(detokenizers(path)(), whole.encode(text).ids)
    assert "".join(told) == text
    assert "�" in text or not any("�" in piece for piece in told)


def test_a_run_of_broken_bytes_is_not_held_for_ever(tokenizer: tuple[Tokenizer, str]) -> None:
    whole, path = tokenizer
    broken = whole.encode("é").ids[:1]
    told = pieces(detokenizers(path)(), broken * (2 * MOST_HELD + 1))
    assert [bool(piece) for piece in told] == ([False] * (MOST_HELD - 1) + [True]) * 2 + [False, True]


def test_a_space_belongs_to_the_word_behind_it(tmp_path: Path) -> None:
    """Such a tokenizer drops the space in front of a text, so a word alone does not show whether it has one."""
    words = Tokenizer(models.WordLevel({"▁sun": 0, "▁set": 1, "set": 2}, unk_token="set"))  # noqa: S106 - a word, not a password
    words.decoder = decoders.Metaspace()
    words.save(str(tmp_path / "tokenizer.json"))
    assert pieces(detokenizers(str(tmp_path / "tokenizer.json"))(), [0, 2, 1, 0]) == ["sun", "set", " set", " sun", ""]
