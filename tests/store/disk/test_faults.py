"""Damage of every kind: a clear error or a repair, and no other record lost."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from spanbench.errors import SpanbenchError
from spanbench.store.disk import CorruptStore, Document, NewerStore, NoStore, Store, StoreFull, audit_folder
from tests.store.disk.records import STATE, Child, U, entries, held, key, shards

SPARE = range(100, 120)
"""Records of another shard, which no damage may reach."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of two shards: records 0–9 in one, of another kind the spare ones."""
    with Store.open(tmp_path / "s", create=True) as store:
        store.put(STATE, entries(SPARE))
        store.commit({U: entries(range(10), 512)})
        store.write_document("letter", {"n": 1}, b"ids")
    return tmp_path / "s"


def of_u(folder: Path) -> Path:
    return max(shards(folder), key=lambda path: path.stat().st_size)


def repaired(folder: Path) -> list[bool]:
    """Check, repair, check again, and return which of records 0–9 are left; the spare ones must be."""
    assert audit_folder(folder).harmed
    assert not audit_folder(folder, repair=True).harmed
    assert audit_folder(folder).findings == ()
    with Store.open(folder) as store:
        assert all(held(store, SPARE, STATE))
        assert store.document("letter").ids == b"ids"
        return held(store, range(10))


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def refusal(store: Store, number: int) -> str | None:
    """Return what the store says instead of giving a record; None where it gives it, whole."""
    try:
        assert held(store, [number]) == [True]
    except CorruptStore as error:
        return str(error)
    return None


def test_any_flipped_byte_of_a_shard_is_told_and_costs_at_most_its_record(folder: Path) -> None:
    whole, random, seen = of_u(folder).read_bytes(), Random(3), set()  # noqa: S311  # where to damage, not a secret
    for offset in [0, 3, 8, 20, *(random.randrange(len(whole)) for _ in range(25))]:
        with tempfile.TemporaryDirectory() as other:
            copy = Path(other) / "s"
            shutil.copytree(folder, copy)
            flip(of_u(copy), offset)
            with Store.open(copy) as store:
                told = []
                for number in range(10):
                    if (error := refusal(store, number)) is not None:
                        told.append(number)
                        assert "verify --repair" in error
                        assert of_u(copy).name in error
                assert len(told) <= 1
            left = repaired(copy)
            assert [number for number in range(10) if not left[number]] == told
            seen.add(len(told))
    assert seen == {0, 1}  # the header's bytes cost nothing, a record's cost that record


@pytest.mark.parametrize("kept", range(-1, 10))
def test_a_shard_that_was_cut_short_keeps_the_records_before_the_cut(folder: Path, kept: int) -> None:
    """Record i ends 1024 (9 - i) bytes before the end of the file: no other tensor lies behind."""
    shard = of_u(folder)
    size = 7 if kept < 0 else shard.stat().st_size - 1024 * (10 - kept) + 1023
    os.truncate(shard, size)
    with Store.open(folder) as store:
        with pytest.raises(CorruptStore):
            store.get(U, [key(9)])
        assert all(held(store, range(kept)))
    assert repaired(folder) == [number < kept for number in range(10)]


def test_a_shard_that_is_gone_is_told_and_its_records_can_be_put_again(folder: Path) -> None:
    of_u(folder).unlink()
    with Store.open(folder) as store:
        with pytest.raises(CorruptStore, match="is gone, and the index names it"):
            store.get(U, [key(1)])
        with pytest.raises(CorruptStore, match="is gone"):
            store.has(U, [key(1)])
    assert repaired(folder) == [False] * 10
    with Store.open(folder) as store:
        assert store.put(U, entries(range(10), 512)) == 10
        assert all(held(store, range(10)))


def sql(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "index.sqlite") as index:
        for statement in statements:
            index.execute(statement)
    index.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM records WHERE place % 65536 IN (2, 3)",
        "UPDATE records SET hash = hash + 1 WHERE place % 65536 = 4",
        "UPDATE shards SET dead = 3",
        "UPDATE records SET place = place + 500 WHERE place % 65536 = 5",
        "UPDATE records SET place = place + 65536 * 77 WHERE place % 65536 = 5",
        "DELETE FROM records",
        "DELETE FROM shards",
    ],
)
def test_an_index_that_disagrees_with_its_shards_is_put_right_and_loses_nothing(folder: Path, damage: str) -> None:
    sql(folder, damage)
    assert repaired(folder) == [True] * 10


def test_an_index_that_is_gone_is_rebuilt_from_the_shards(folder: Path) -> None:
    (folder / "index.sqlite").unlink()
    for create in (False, True):
        with pytest.raises(CorruptStore, match="its index is gone; spanbench store verify --repair"):
            Store.open(folder, create=create)
    assert audit_folder(folder).harmed
    audit = audit_folder(folder, repair=True)
    assert (audit.records, audit.harmed, audit_folder(folder).findings) == (30, False, ())
    with Store.open(folder) as store:
        assert all(held(store, range(10)))
        assert all(held(store, SPARE, STATE))
        assert store.document("letter") == Document("letter", {"n": 1}, b"ids")


def test_an_index_of_damaged_bytes_never_gives_a_wrong_record_and_is_rebuilt(folder: Path) -> None:
    random = Random(5)  # noqa: S311  # where to damage, not a secret
    size = (folder / "index.sqlite").stat().st_size
    for offset in [0, 20, *(random.randrange(size // 512) * 512 for _ in range(20))]:
        with tempfile.TemporaryDirectory() as other:
            copy = Path(other) / "s"
            shutil.copytree(folder, copy)
            with (copy / "index.sqlite").open("r+b") as file:
                file.seek(offset)
                file.write(random.randbytes(64))
            with suppress(SpanbenchError), Store.open(copy) as store:  # and no other error
                held(store, range(10))  # whatever it gives is what its key says
            audit_folder(copy)
            assert not audit_folder(copy, repair=True).harmed
            with Store.open(copy) as store:
                assert all(held(store, range(10)))
                assert all(held(store, SPARE, STATE))


def test_a_store_of_a_newer_version_and_an_index_of_something_else_are_refused(folder: Path) -> None:
    sql(folder, "PRAGMA user_version=2")
    with pytest.raises(NewerStore, match="version 2, this one reads 1"):
        Store.open(folder)
    sql(folder, "PRAGMA user_version=1", "PRAGMA application_id=5")
    with pytest.raises(NoStore, match="SQLite file of something else"):
        Store.open(folder)


def test_a_file_that_is_named_like_a_shard_but_is_none_is_told_of_and_left_alone(folder: Path) -> None:
    stranger = folder / "0123456789abcdef.safetensors"
    stranger.write_bytes(b"no shard")
    with Store.open(folder) as store:
        for again in (False, True):
            audit = store.verify(repair=again)
            assert [(one.where, one.harm, one.repaired) for one in audit.findings] == [(stranger.name, False, False)]
        store.gc()
    assert stranger.read_bytes() == b"no shard"


def test_a_place_that_is_no_store_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    for name, create, why in [
        ("file", True, "is a file; name a folder"),
        ("file", False, "is a file; name a folder"),
        ("none", False, "there is no such folder"),
        ("none/deeper", True, "does not exist; make it first"),
        ("full", True, "holds something other than a store"),
        ("full", False, "is not a store"),
        ("empty", False, "is not a store"),
        ("nul\0", True, "cannot be used"),
    ]:
        with pytest.raises(NoStore, match=why) as refusal:
            Store.open(tmp_path / name, create=create)
        assert refusal.value.exit_code == 2
        with pytest.raises(SpanbenchError):
            audit_folder(tmp_path / name, repair=True) if not create else Store.open(tmp_path / name, create=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file", "full", "thesis.txt"]
    Store.open(tmp_path / "empty", create=True).close()


@pytest.mark.parametrize("room", [100, 600, 5000, 12_000, 20_000])
def test_a_full_disk_keeps_nothing_of_the_write_and_everything_before_it(folder: Path, room: int) -> None:
    def work(_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))  # Python ignores the signal: EFBIG
        with Store.open(folder) as store:
            with pytest.raises(StoreFull, match=r"nothing of this write was kept|nothing was kept"):
                store.put(U, entries(range(200, 230), 512))
            assert all(held(store, range(10)))

    assert Child(work).said() == ([], 0)
    with Store.open(folder) as store:
        assert all(held(store, range(10)))
        assert not any(held(store, range(200, 230)))
        assert store.verify().findings == ()


def test_a_folder_that_may_not_be_written_is_read_and_refuses_to_be_written() -> None:
    with tempfile.TemporaryDirectory() as other:
        folder = Path(other) / "s"
        with Store.open(folder, create=True) as store:
            store.put(U, entries(range(10)))
        for path in (Path(other), folder, *folder.iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)

        def work(_: object) -> None:
            if os.getuid() == 0:
                os.setuid(65534)  # root may write everything
            for read_only in (True, False):
                with Store.open(folder, read_only=read_only) as store:
                    assert all(held(store, range(10)))
                    assert store.verify().findings == ()
                    for write in (lambda: store.put(U, entries([99])), store.gc, lambda: store.write_document("a", {})):
                        with pytest.raises(NoStore, match="cannot be"):
                            write()

        assert Child(work).said() == ([], 0)
        folder.chmod(0o755)
