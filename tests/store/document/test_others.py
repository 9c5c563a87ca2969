"""Other processes change the same documents: no change that was made is lost, and none is made to a text it was not meant for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from torch import Tensor, nn

from spanbench.errors import UsageError
from spanbench.store.disk import CorruptStore, Document, Store, StoreBusy
from spanbench.store.document import Library
from spanbench.store.document.changing import TRIES
from tests.store.shelves import library, text, tiny

SPAN, VOCAB = 4, 257


@contextmanager
def meanwhile(books: Library, change: Callable[[Library], object], times: int = 1) -> Iterator[list[int]]:
    """Have another library change the store, by its own handle, each time this one runs its encoder: behind its look at the document."""
    left, done = [times], list[int]()
    with Store.open(books.store._shelf.folder) as theirs:
        other = Library(theirs, tiny(SPAN), books.dtype, state=books.state)

        def hook(_: nn.Module, __: tuple[Tensor, ...], ___: Tensor) -> None:
            if left[0]:
                left[0] -= 1
                done.append(left[0])
                change(other)

        handle = books.model.encoder.register_forward_hook(hook)
        try:
            yield done
        finally:
            handle.remove()


@pytest.mark.parametrize("state", [False, True])
def test_an_edit_is_made_to_what_another_process_has_made_of_the_document_meanwhile(state: bool) -> None:
    ids, mine, others = text(9, VOCAB), text(5, VOCAB, seed=1), text(3, VOCAB, seed=2)
    with library(tiny(SPAN), state=state) as books:
        books.add("d", ids)
        with meanwhile(books, lambda other: other.append("d", others)) as done:
            edited = books.append("d", mine)
        assert done
        assert list(books.manifest("d").ids) == ids + others + mine
        assert edited.spans == 17 // SPAN
        assert books.missing("d") == []
        books.session("d", 1, use="state" if state else "u")


def test_an_edit_that_others_leave_no_place_for_is_refused() -> None:
    ids = text(9, VOCAB)
    with library(tiny(SPAN)) as books:
        books.add("d", ids)
        with meanwhile(books, lambda other: other.delete("d", 4, 5)), pytest.raises(UsageError, match="cannot replace at 6 of 4 tokens"):
            books.replace("d", 6, [(ids[6] + 1) % VOCAB])
        assert list(books.manifest("d").ids) == ids[:4]


def test_an_edit_that_others_are_quicker_than_each_time_says_so_and_is_not_made() -> None:
    with library(tiny(SPAN)) as books:
        books.add("d", [1])
        with (
            meanwhile(books, lambda other: other.replace("d", 0, [1 + other.manifest("d").ids[0] % 200]), 2 * TRIES) as done,
            pytest.raises(StoreBusy, match=f"changed by others {TRIES} times"),
        ):
            books.append("d", [7, 8, 9, 10])
        assert len(done) == TRIES
        assert len(books.manifest("d").ids) == 1


def test_of_two_documents_of_one_name_the_first_stays() -> None:
    with library(tiny(SPAN)) as books:
        with meanwhile(books, lambda other: other.add("d", [1, 2, 3])), pytest.raises(UsageError, match="'d': is there already"):
            books.add("d", text(9, VOCAB))
        assert books.manifest("d").ids == (1, 2, 3)


def test_a_document_that_was_removed_meanwhile_does_not_come_back() -> None:
    with library(tiny(SPAN)) as books:
        books.add("d", [1, 2, 3])
        with meanwhile(books, lambda other: other.remove("d")), pytest.raises(UsageError, match="has no document 'd'"):
            books.append("d", text(9, VOCAB))
        assert books.store.documents() == []


def test_extra_passes_are_of_what_the_document_is_when_they_are_noted() -> None:
    """A refined document that others change meanwhile is not noted with the text that it was."""
    with library(tiny(SPAN), state=True) as books, Store.open(books.store._shelf.folder) as theirs:
        other = Library(theirs, tiny(SPAN), books.dtype, state=True)
        books.add("d", text(12, VOCAB))
        turn = [1]

        def hook(_: nn.Module, __: tuple[Tensor, ...], ___: Tensor) -> None:
            if turn.pop() if turn else 0:
                other.append("d", [1, 2, 3, 4])

        handle = books.model.mixer.register_forward_hook(hook)
        books.refine("d", 1)
        handle.remove()
        assert len(books.manifest("d").ids) == 16
        assert books.session("d", 1, use="state", passes=1)[0].spans == [4]


APPENDS = 8
WRITER = f"""
import sys
from pathlib import Path
from spanbench.store.disk import Store
from spanbench.store.document import Library
from tests.store.shelves import tiny
model = tiny({SPAN})
with Store.open(Path(sys.argv[1])) as store:
    books = Library(store, model, "float64")
    for done in range({APPENDS}):
        books.append("d", [int(sys.argv[2]), done, 0])
"""


@pytest.mark.slow
def test_appends_of_four_processes_are_all_there(tmp_path: Path) -> None:
    with library(tiny(SPAN), folder=tmp_path / "s") as books:
        books.add("d", [0, 0, 0])
        writers = [Popen([sys.executable, "-c", WRITER, str(tmp_path / "s"), str(number)]) for number in range(4)]
        assert [writer.wait() for writer in writers] == [0] * 4
        ids = books.manifest("d").ids
        pieces = [ids[at : at + 3] for at in range(3, len(ids), 3)]
        for number in range(4):
            assert [piece for piece in pieces if piece[0] == number] == [(number, done, 0) for done in range(APPENDS)]
        assert len(pieces) == 4 * APPENDS


@pytest.mark.parametrize("plain", [{}, {"ids": "<u2"}, {"ids": "x"}, {"ids": None}], ids=str)
def test_what_is_no_manifest_is_one_clear_error(plain: dict[str, str | None]) -> None:
    with library(tiny(SPAN)) as books:
        books.store.commit({}, [Document("d", plain, b"\1\2")])
        with pytest.raises(CorruptStore, match="document 'd': what the store notes of it is no manifest"):
            books.append("d", [1])
