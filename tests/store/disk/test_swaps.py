"""Files of a store under other names, and bits of its index that flipped: nothing whole is lost, and nothing is a traceback."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from spanbench.errors import SpanbenchError
from spanbench.store.disk import Document, NewerStore, NoStore, Store, audit_folder
from tests.store.disk.records import STATE, U, entries, held, key, shards

LETTER = Document("letter", {"n": 1}, b"0123456789")


def swap(one: Path, other: Path) -> None:
    beside = one.with_name("beside")
    one.rename(beside)
    other.rename(one)
    beside.rename(other)


@pytest.mark.parametrize("width", [64, 16])
def test_two_shards_that_exchanged_their_names_lose_no_record(tmp_path: Path, width: int) -> None:
    folder = tmp_path / "s"
    with Store.open(folder, create=True) as store:
        store.commit({U: entries(range(10), width), STATE: entries(range(20))}, [LETTER])
    swap(*shards(folder))
    assert audit_folder(folder).harmed
    audit = audit_folder(folder, repair=True)
    assert (audit.harmed, audit.lost) == (False, 0)
    assert audit_folder(folder).findings == ()
    with Store.open(folder) as store:
        assert all(held(store, range(10)))
        assert all(held(store, range(20), STATE))
        assert store.document("letter") == LETTER


@pytest.mark.parametrize("rows", [10, 12])
def test_two_shards_of_one_space_that_exchanged_their_names_lose_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    folder, width = tmp_path / "s", 64
    monkeypatch.setattr("spanbench.store.disk.shelf.MERGED_BYTES", 0)  # as if they were too large to be merged
    with Store.open(folder, create=True) as store:
        store.put(U, entries(range(100, 100 + rows), width))
        store.put(U, entries(range(10), width))
        store._grew = False  # not packed at closing
        store.delete(U, [key(3)])
    swap(*shards(folder))
    audit = audit_folder(folder, repair=True)
    assert (audit.harmed, audit.lost) == (False, 0)
    with Store.open(folder) as store:
        assert all(held(store, [*range(3), *range(4, 10), *range(100, 100 + rows)]))


def test_a_shard_under_another_name_is_found_there(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        store.put(U, entries(range(10)))
    [shard] = shards(tmp_path / "s")
    shard.rename(shard.with_name("0123456789abcdef.safetensors"))
    audit = audit_folder(tmp_path / "s", repair=True)
    assert (audit.harmed, audit.lost) == (False, 0)
    with Store.open(tmp_path / "s") as store:
        assert all(held(store, range(10)))


def test_a_damaged_header_does_not_pass_for_that_of_another_encoder(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        store.put(U, entries(range(10)))
    [shard] = shards(tmp_path / "s")
    shard.write_bytes(shard.read_bytes().replace(b"ab" * 32, b"ab" * 31 + b"ac", 1))
    (tmp_path / "s" / "index.sqlite").unlink()
    audit_folder(tmp_path / "s", repair=True)
    with Store.open(tmp_path / "s") as store:
        assert store.spaces() == []
    assert shard.exists()  # it may be put right by hand


@pytest.mark.parametrize("seed", range(4))
def test_any_flipped_bit_of_the_index_gives_an_answer_that_was_written_or_a_clear_error_and_is_repaired(tmp_path: Path, seed: int) -> None:
    start = tmp_path / "s"
    with Store.open(start, create=True) as store:
        store.commit({U: entries(range(10)), STATE: entries(range(20))}, [LETTER])
    whole, random = (start / "index.sqlite").read_bytes(), Random(seed)  # noqa: S311  # where to damage, not a secret
    written = [at for at, byte in enumerate(whole) if byte and at >= 100]  # behind SQLite's own header
    for offset in random.sample(written, 60):
        with tempfile.TemporaryDirectory() as other:
            folder = Path(other) / "s"
            shutil.copytree(start, folder)
            damaged = bytearray(whole)
            damaged[offset] ^= 1 << random.randrange(8)
            (folder / "index.sqlite").write_bytes(damaged)
            with suppress(SpanbenchError), Store.open(folder) as store:
                held(store, range(10))
                for name in store.documents():
                    assert store.document(name) == LETTER
                store.stats()
            with suppress(SpanbenchError), Store.open(folder) as store:
                store.put(U, entries([30]))
            audit_folder(folder)
            assert not audit_folder(folder, repair=True).harmed
            with Store.open(folder) as store:
                assert all(held(store, range(10)))
                assert all(held(store, range(20), STATE))
                assert store.document("letter") == LETTER
                assert store.documents() == ["letter"]


def test_a_flipped_bit_of_the_index_header_is_refused_or_repaired(tmp_path: Path) -> None:
    start = tmp_path / "s"
    with Store.open(start, create=True) as store:
        store.commit({U: entries(range(10))}, [LETTER])
    whole = (start / "index.sqlite").read_bytes()
    for offset in range(100):
        folder = tmp_path / f"s{offset}"
        shutil.copytree(start, folder)
        (folder / "index.sqlite").write_bytes(whole[:offset] + bytes([whole[offset] ^ 4]) + whole[offset + 1 :])
        try:
            audit_folder(folder, repair=True)
        except (NoStore, NewerStore):
            continue  # the marks that say whose file it is, or of which version
        with Store.open(folder) as store:
            assert all(held(store, range(10)))
            assert store.document("letter") == LETTER
        shutil.rmtree(folder)
