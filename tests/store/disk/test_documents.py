"""Documents: changed by one process at a time, damaged in one copy and mended from the other, and kept by a lost index."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from spanbench.errors import UsageError
from spanbench.store.disk import CorruptStore, Document, NoStore, SpaceMismatch, StaleDocument, Store, StoreFull, audit_folder
from tests.store.disk.records import OTHER, STATE, Child, U, entries, held, key, shards

LETTER = Document("letter", {"n": 1, "name": "ä"}, bytes(range(64)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "s", create=True) as store:
        store.commit({U: entries(range(10)), STATE: entries(range(5))}, [LETTER, Document("note", {}, b"\0")])
    return tmp_path / "s"


def papers(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.document"))


def sql(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "index.sqlite") as index:
        index.execute(statement)
    index.close()


def test_a_document_is_written_only_over_what_the_change_was_made_from(folder: Path) -> None:
    with Store.open(folder) as store, Store.open(folder) as other:
        before = store.document("letter")
        other.write_document("letter", {"n": 2}, b"theirs", expected=before)
        with pytest.raises(StaleDocument, match="another process changed it meanwhile; nothing of this change was kept") as refusal:
            store.commit({U: entries([50])}, [Document("letter", {"n": 3})], expected={"letter": before})
        assert refusal.value.exit_code == 2
        assert (store.document("letter").ids, held(store, [50])) == (b"theirs", [False])
        with pytest.raises(StaleDocument, match="is there already"):
            store.write_document("letter", {}, expected=None)
        other.remove_document("letter")
        with pytest.raises(StaleDocument, match="removed it meanwhile"):
            store.write_document("letter", {}, expected=Document("letter", {"n": 2}, b"theirs"))
        store.write_document("letter", {"new": [1.5, None]}, expected=None)
        assert store.document("letter").manifest == {"new": [1.5, None]}
        assert store.verify().findings == ()


def test_four_processes_that_append_to_one_document_lose_nothing(folder: Path) -> None:
    def work(_: object) -> None:
        with Store.open(folder) as store:
            done = 0
            while done < 8:
                before = store.document("note")
                try:
                    store.write_document("note", {}, before.ids + b"x", expected=before)
                except StaleDocument:
                    continue
                done += 1

    assert [child.said() for child in [Child(work) for _ in range(4)]] == [([], 0)] * 4
    with Store.open(folder) as store:
        assert store.document("note").ids == b"\0" + 32 * b"x"
        assert store.verify().findings == ()
    assert len(papers(folder)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE documents SET ids=x'0102' WHERE name='letter'",
        "UPDATE documents SET ids=NULL WHERE name='letter'",
        "UPDATE documents SET manifest=replace(manifest, '1', '2') WHERE name='letter'",
        "UPDATE documents SET manifest='{' WHERE name='letter'",
        "UPDATE documents SET name='lettes' WHERE name='letter'",
        "UPDATE documents SET crc=crc+1 WHERE name='letter'",
    ],
)
def test_a_document_that_the_index_holds_damaged_is_refused_and_mended_from_its_file(folder: Path, damage: str) -> None:
    sql(folder, damage)
    with Store.open(folder) as store:
        [name] = [name for name in store.documents() if name.startswith("lette")]
        with pytest.raises(CorruptStore, match=r"is not what was written; spanbench store verify --repair") as refusal:
            store.document(name)
        assert refusal.value.exit_code == 3
        assert store.document("note").ids == b"\0"
    assert audit_folder(folder).harmed
    assert not audit_folder(folder, repair=True).harmed
    assert audit_folder(folder).findings == ()
    with Store.open(folder) as store:
        assert (store.document("letter"), store.documents()) == (LETTER, ["letter", "note"])


@pytest.mark.parametrize("left", [None, b"", b"half"])
def test_a_file_of_a_document_that_is_damaged_or_gone_is_written_again(folder: Path, left: bytes | None) -> None:
    for path in papers(folder):
        path.unlink()
        if left is not None:
            path.write_bytes(left)
    findings = audit_folder(folder).findings
    assert [one.harm for one in findings] == [True, True]
    assert all("is not the copy of document" in one.what for one in findings)
    audit_folder(folder, repair=True)
    assert audit_folder(folder).findings == ()
    (folder / "index.sqlite").unlink()
    audit_folder(folder, repair=True)
    with Store.open(folder) as store:
        assert store.document("letter") == LETTER


def test_a_document_of_which_both_copies_are_damaged_is_told_of_by_name_and_costs_no_other(folder: Path) -> None:
    sql(folder, "UPDATE documents SET ids=x'00' WHERE name='letter'")
    next(path for path in papers(folder) if b"letter" in path.read_bytes()).unlink()
    [finding] = audit_folder(folder).findings
    assert "'letter' is not what was written, nor is its file: it is lost" in finding.what
    audit_folder(folder, repair=True)
    with Store.open(folder) as store:
        assert (store.documents(), held(store, range(10))) == (["note"], [True] * 10)


@pytest.mark.parametrize("size", [0, 100, 513, 2048])
def test_a_truncated_index_loses_no_document_and_no_record(folder: Path, size: int) -> None:
    with Store.open(folder) as store:
        store.write_document("letter", {"n": 5}, b"newest")
        store.remove_document("note")
    with (folder / "index.sqlite").open("r+b") as file:
        file.truncate(size)
    audit_folder(folder)
    assert not audit_folder(folder, repair=True).harmed
    with Store.open(folder) as store:
        assert store.documents() == ["letter"]
        assert store.document("letter").ids == b"newest"
        assert all(held(store, range(10)))
        store.write_document("letter", {"n": 6}, b"newer still")
    (folder / "index.sqlite").unlink()
    audit_folder(folder, repair=True)
    with Store.open(folder) as store:
        assert store.document("letter").ids == b"newer still"


def test_a_copy_tells_which_documents_came_and_which_differ_there(folder: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "t", create=True) as target:
        target.commit({}, [Document("letter", {}, b"other"), Document("own", {})])
        copied = target.import_(folder)
        assert (copied.records, copied.documents, copied.differing) == (15, ("note",), ("letter",))
        assert target.document("letter").ids == b"other"
        again = target.import_(folder)
        assert (again.records, again.documents, again.differing) == (0, (), ("letter",))  # the same content is no conflict


def test_a_store_is_of_one_encoder_until_it_has_no_record_and_no_document(folder: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "t", create=True) as other:
        other.commit({OTHER: entries([1])}, [Document("theirs", {})])
        with pytest.raises(SpaceMismatch, match="asked for was u of cdcdcdcdcdcd"):
            other.export(folder)
    with Store.open(folder) as store:
        assert store.documents() == ["letter", "note"]
        with pytest.raises(SpaceMismatch):
            store.put(OTHER, entries([1]))
        assert store.gc(0).evicted == 15
        with pytest.raises(SpaceMismatch):  # its documents are still of the first encoder
            store.put(OTHER, entries([1]))
        for name in store.documents():
            store.remove_document(name)
        assert store.put(OTHER, entries([1])) == 1


def test_a_shard_of_another_encoder_is_not_taken_in_by_a_repair(folder: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "t", create=True) as other:
        other.put(OTHER, entries([1]))
    [stranger] = shards(tmp_path / "t")
    stranger.rename(folder / stranger.name)
    with Store.open(folder) as store:
        for repair in (False, True):
            [finding] = store.verify(repair=repair).findings
            assert (finding.harm, finding.repaired) == (False, False)
            assert "is another store's, and is left alone" in finding.what
        store.gc()
        store.require(U)
    assert (folder / stranger.name).exists()


def test_keys_that_a_commit_says_are_used_are_evicted_last(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        store.put(U, entries(range(20), 4096))
        store.put(U, entries(range(20, 40), 4096))
        store.commit({U: entries([40], 4096)}, [LETTER], used={U: [key(n) for n in (3, 4, 40, 999)]})
        store.gc(10 * 8192 + 6000)
        kept = [number for number, there in enumerate(held(store, range(41))) if there]
    assert {3, 4, 40} < set(kept)
    assert set(kept) - {3, 4, 40} <= set(range(20, 40))


def test_a_limit_below_what_documents_take_is_refused_with_that_figure_before_anything_is_evicted(folder: Path) -> None:
    with Store.open(folder) as store:
        store.write_document("long", {}, bytes(20_000))
        with pytest.raises(
            UsageError, match=r"a limit of 3,000 bytes: without any record the store takes 4\d,\d{3} .its index, and documents: 3"
        ) as refusal:
            store.gc(3000)
        assert all(held(store, range(10)))
        floor = int(str(refusal.value).split("takes ")[1].split(" ")[0].replace(",", ""))
        freed = store.gc(0)
        assert freed.evicted == 15
        assert 0 <= floor - freed.bytes_after <= 1024  # the figure was what is left
        assert store.gc(floor).bytes_after <= floor


def test_a_limit_is_noted_in_the_store_and_kept_by_who_gives_none(tmp_path: Path) -> None:
    limit = 200_000
    with Store.open(tmp_path / "s", create=True, limit_bytes=limit) as store:
        store.put(U, entries(range(10), 2048))
    for first in range(10, 100, 10):
        with Store.open(tmp_path / "s") as store:
            assert store.limit == limit
            store.put(U, entries(range(first, first + 10), 2048))
    with Store.open(tmp_path / "s") as store:
        assert store.stats().disk_bytes <= limit
        assert sum(path.stat().st_size for path in (tmp_path / "s").iterdir()) <= limit
        with pytest.raises(StoreFull, match="do not fit the limit"):
            store.put(U, entries(range(1000, 1100), 2048))


def test_a_name_that_is_no_text_is_unknown_and_a_link_to_nowhere_is_told_of(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder) as store:
        for ask in (store.document, store.remove_document):
            with pytest.raises(UsageError, match="has no document"):
                ask("\udcff")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for create in (False, True):
        with pytest.raises(NoStore, match=r"is a link to '.*nowhere', which does not exist"):
            Store.open(tmp_path / "link", create=create)


def test_a_small_store_that_grew_is_packed_when_it_is_closed(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        for first in range(0, 1000, 8):
            store.put(U, entries(range(first, first + 8), 512))
    assert len(shards(tmp_path / "s")) == 1
    blocks = sum(-(-path.stat().st_size // 4096) * 4096 for path in (tmp_path / "s").iterdir())
    assert blocks <= 1.05 * 1000 * 1024
    with Store.open(tmp_path / "s") as store:
        assert all(held(store, range(1000)))
