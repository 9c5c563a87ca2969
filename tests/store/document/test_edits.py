"""An edit encodes and mixes what it must and no more, and leaves what a document written afresh would hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.store.document import Edited, Library
from tests.store.shelves import library, relative, text, tiny

VOCAB = 257  # of the preset
SPAN = 4
MODEL = tiny(SPAN)


def figures(edited: Edited) -> tuple[int, int, int, int, int]:
    return edited.spans, edited.kept, edited.found, edited.encoded, edited.mixed


def assert_as_fresh(books: Library, name: str, ids: list[int]) -> None:
    """Latents are those that the encoder gives for the whole text at once, and the session's logits those of a prefill."""
    assert list(books.manifest(name).ids) == ids
    complete, whole = len(ids) // SPAN * SPAN, torch.tensor([ids])
    with torch.inference_mode():
        wanted, _ = MODEL.prefill(whole)
        if complete:
            u = MODEL.encoder(MODEL.encoder_embedding(whole[0, :complete]))
            assert relative(books.latents(name), u) <= 1e-12
    for use in ("u", "state"):
        assert relative(books.session(name, 1, use=use)[1], wanted) <= 1e-12


def other_token(token: int) -> int:
    return (token + 1) % VOCAB


@pytest.mark.parametrize("tokens", [1, 3, 4, 7, 22])
def test_replacing_one_token_encodes_its_span_alone_and_mixes_from_there_on(tokens: int) -> None:
    """For every position: one span and K - p // S mixer rows where its span is complete, neither where it is open."""
    complete = tokens // SPAN
    with library(MODEL, state=True) as books:
        for p in range(tokens):
            ids = text(tokens, VOCAB, seed=100 * tokens + p)
            books.add(f"d{p}", ids)
            edited = books.replace(f"d{p}", p, [other_token(ids[p])])
            inside = p < complete * SPAN
            expected = (complete, complete - 1, 0, 1, complete - p // SPAN) if inside else (complete, complete, 0, 0, 0)
            assert figures(edited) == expected
            assert edited.behind == edited.mixed
            assert_as_fresh(books, f"d{p}", [*ids[:p], other_token(ids[p]), *ids[p + 1 :]])


@given(st.integers(1, 30), st.integers(0, 29), st.integers(0, 2**32))
@settings(max_examples=20)
def test_it_does_in_random_documents(tokens: int, p: int, seed: int) -> None:
    ids, complete = text(tokens, VOCAB, seed), tokens // SPAN
    p %= tokens
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        edited = books.replace("d", p, [other_token(ids[p])])
        inside = p < complete * SPAN
        assert (edited.encoded, edited.mixed) == ((1, complete - p // SPAN) if inside else (0, 0))
        assert edited.kept == complete - edited.encoded


@pytest.mark.parametrize(("tokens", "more"), [(8, 1), (8, 3), (8, 4), (9, 2), (9, 3), (9, 11), (1, 2)])
def test_appending_encodes_and_mixes_the_closing_spans_alone(tokens: int, more: int) -> None:
    ids, new = text(tokens, VOCAB), text(more, VOCAB, seed=1)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        closed = (tokens + more) // SPAN - tokens // SPAN
        edited = books.append("d", new)
        assert figures(edited) == (tokens // SPAN + closed, tokens // SPAN, 0, closed, closed)
        assert_as_fresh(books, "d", ids + new)


@pytest.mark.parametrize("at", range(6))
def test_an_aligned_insert_finds_the_shifted_spans_by_content(at: int) -> None:
    ids, new = text(21, VOCAB), text(SPAN, VOCAB, seed=1)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        edited = books.insert("d", at * SPAN, new)
        assert figures(edited) == (6, at, 5 - at, 1, 6 - at)
        assert_as_fresh(books, "d", [*ids[: at * SPAN], *new, *ids[at * SPAN :]])


@pytest.mark.parametrize("at", [0, 1, 6, 11, 21])
def test_an_insert_of_one_token_encodes_every_span_behind_it(at: int) -> None:
    ids = text(21, VOCAB)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        edited, changed = books.insert("d", at, [7]), 5 - min(5, at // SPAN)
        assert figures(edited) == (5, 5 - changed, 0, changed, changed)
        assert_as_fresh(books, "d", [*ids[:at], 7, *ids[at:]])


@pytest.mark.parametrize(("at", "count", "found", "encoded"), [(4, 4, 3, 0), (5, 1, 0, 4), (20, 1, 0, 0), (0, 20, 0, 0), (3, 17, 0, 1)])
def test_a_delete_finds_what_moves_by_whole_spans_and_encodes_the_rest(at: int, count: int, found: int, encoded: int) -> None:
    ids = text(21, VOCAB)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        edited = books.delete("d", at, count)
        assert (edited.found, edited.encoded) == (found, encoded)
        assert_as_fresh(books, "d", ids[:at] + ids[at + count :])


def test_undoing_an_edit_finds_latents_and_mixer_rows_again() -> None:
    ids = text(22, VOCAB)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        books.replace("d", 5, [other_token(ids[5])])
        undone = books.replace("d", 5, [ids[5]])
        assert figures(undone) == (5, 4, 1, 0, 0)
        assert undone.behind == 4
        assert_as_fresh(books, "d", ids)


def test_equal_spans_are_encoded_once() -> None:
    ids = text(SPAN, VOCAB) * 5 + [1]
    with library(MODEL, state=True) as books:
        assert figures(books.add("d", ids)) == (5, 0, 4, 1, 5)
        assert_as_fresh(books, "d", ids)


def test_a_second_document_finds_the_first_ones_spans_but_mixes_its_own_rows() -> None:
    ids = text(20, VOCAB)
    with library(MODEL, state=True) as books:
        books.add("one", ids)
        assert figures(books.add("same", ids)) == (5, 0, 5, 0, 0)
        assert figures(books.add("turned", ids[8:] + ids[:8])) == (5, 0, 5, 0, 5)


def test_without_state_nothing_is_mixed_when_a_document_is_written() -> None:
    with library(MODEL) as books:
        books.add("d", text(22, VOCAB))
        edited = books.replace("d", 9, text(1, VOCAB, seed=3))
        assert (edited.encoded, edited.mixed, edited.behind) == (1, 0, 3)


Edit = Callable[[Library], Edited]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda b: b.replace("d", 10, [1]), r"cannot replace at 10 of 10 tokens; take positions within 0 \.\. 9"),
        (lambda b: b.replace("d", 8, [1, 2, 3]), r"cannot replace at 8 \.\. 10 of 10 tokens"),
        (lambda b: b.replace("d", -1, [1]), "cannot replace at -1"),
        (lambda b: b.insert("d", 11, [1]), r"cannot insert at 11 of 10 tokens; take 0 \.\. 10"),
        (lambda b: b.insert("d", -1, [1]), "cannot insert at -1"),
        (lambda b: b.delete("d", 9, 2), r"cannot delete at 9 \.\. 10 of 10 tokens"),
        (lambda b: b.delete("d", 3, 0), "cannot delete 0 tokens"),
        (lambda b: b.delete("d", 0, 10), "leaves it empty"),
        (lambda b: b.append("d", []), "the text is empty"),
        (lambda b: b.append("d", [VOCAB]), r"token 257 is not in the vocabulary; take 0 \.\. 256"),
        (lambda b: b.append("d", [-1]), "token -1 is not in the vocabulary"),
        (lambda b: b.append("e", [1]), "no document .e.|'e'"),
        (lambda b: b.add("d", [1]), "is there already"),
        (lambda b: b.add("e", []), "the document is empty"),
        (lambda b: b.remove("e"), "'e'"),
    ],
)
def test_an_edit_that_cannot_be_is_one_line_and_changes_nothing(edit: Edit, says: str) -> None:
    ids = text(10, VOCAB)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        with pytest.raises(UsageError, match=says) as raised:
            edit(books)
        assert "\n" not in str(raised.value)
        assert books.store.documents() == ["d"]
        assert_as_fresh(books, "d", ids)
