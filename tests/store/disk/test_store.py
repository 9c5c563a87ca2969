"""The store against a dictionary, and what it refuses."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from spanbench.errors import UsageError
from spanbench.store.disk import Document, Entry, RawTensor, Space, SpaceMismatch, Store, StoreFull
from spanbench.store.disk.index import Index
from spanbench.store.disk.packing import runs
from tests.store.disk.records import OTHER, STATE, U, entries, entry, held, key, shards


def test_what_is_read_back_is_bit_for_bit_what_was_stored_also_by_another_opening(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        assert store.put(U, entries(range(100))) == 100
        assert all(held(store, range(100)))
    with Store.open(tmp_path / "s", read_only=True) as store:
        assert held(store, [5, 200, 99, 5]) == [True, False, True, True]
        [tensors] = store.get(U, [key(7)])
        assert tensors is not None
        assert (tensors["u"].dtype, tensors["u"].shape) == ("F16", (16,))


numbers = st.lists(st.integers(0, 40), max_size=12)
steps = st.lists(st.tuples(st.sampled_from(["put", "delete", "gc", "reopen", "get", "verify"]), numbers), max_size=12)


@settings(max_examples=25)
@given(steps=steps)
def test_any_sequence_of_operations_gives_what_a_dictionary_would(steps: list[tuple[str, list[int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, known = Path(folder) / "s", set[int]()
        store = Store.open(path, create=True)
        for operation, which in steps:
            if operation == "put":
                assert store.put(U, entries(which)) == len(set(which) - known)
                known |= set(which)
            elif operation == "delete":
                assert store.delete(U, [key(n) for n in which]) == len(set(which) & known)
                known -= set(which)
            elif operation == "gc":
                assert store.gc().evicted == 0
            elif operation == "reopen":
                store.close()
                store = Store.open(path)
            elif operation == "verify":
                assert store.verify(repair=len(which) % 2 == 0).findings == ()
            assert store.has(U, [key(n) for n in range(41)]) == [n in known for n in range(41)]
            assert held(store, range(41)) == [n in known for n in range(41)]
            assert store.stats().records == len(known)
        store.close()


ELEMENTS = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2, "U8": 1}


@settings(max_examples=40)
@given(data=st.data())
def test_any_tensors_come_back_as_they_were_and_other_tools_read_the_shard(data: st.DataObject) -> None:
    fields = data.draw(
        st.dictionaries(
            st.sampled_from("abcxyz"),
            st.tuples(st.sampled_from(sorted(ELEMENTS)), st.lists(st.integers(0, 5), max_size=3)),
            min_size=1,
            max_size=4,
        )
    )
    count = data.draw(st.integers(1, 9))
    made = [Entry(key(n), {name: _tensor(n, name, *field) for name, field in fields.items()}) for n in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(Path(folder) / "s", create=True) as store:
            store.put(STATE, made)
            found = store.get(STATE, [one.key for one in made])
            assert [{name: (t.dtype, t.shape, bytes(t.data)) for name, t in (one or {}).items()} for one in found] == [
                {name: (t.dtype, t.shape, bytes(t.data)) for name, t in one.tensors.items()} for one in made
            ]
        [shard] = shards(Path(folder) / "s")
        with safe_open(shard, framework="np") as file:
            assert set(file.keys()) == {"__key__", "__crc32__", *fields}
            assert bytes(file.get_tensor("__key__")) == b"".join(one.key[:16] for one in made)
            for name, (dtype, shape) in fields.items():
                if dtype != "BF16":  # numpy has none
                    assert file.get_tensor(name).tobytes() == b"".join(bytes(one.tensors[name].data) for one in made)
                    assert list(file.get_tensor(name).shape) == [count, *shape]


def _tensor(number: int, name: str, dtype: str, shape: list[int]) -> RawTensor:
    size = ELEMENTS[dtype]
    for length in shape:
        size *= length
    return RawTensor(dtype, tuple(shape), hashlib.shake_128(f"{number}{name}".encode()).digest(size))


def test_records_of_several_spaces_and_documents_are_one_commit(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        documents = [Document("a", {"span": 32, "name": "ä"}, b"\0\1"), Document("b", {})]
        assert store.commit({U: entries([1, 2]), STATE: entries([1])}, documents) == 3
        assert (held(store, [1, 2]), held(store, [1, 2], STATE)) == ([True, True], [True, False])
        assert store.documents() == ["a", "b"]
        assert store.document("a") == documents[0]
        wrong = Entry(key(9), {"other": RawTensor("F16", (1,), b"\0\0")})
        with pytest.raises(UsageError, match="look alike"):
            store.commit({STATE: entries([7]), U: [wrong]}, [Document("c", {})])
        assert (store.documents(), held(store, [7], STATE), len(shards(tmp_path / "s"))) == (["a", "b"], [False], 2)


def test_documents_are_written_over_removed_and_missed_by_name(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        store.write_document("report", {"spans": 1})
        store.write_document("report", {"spans": 2}, b"ids")
        assert store.document("report").manifest == {"spans": 2}
        with pytest.raises(UsageError, match="did you mean 'report'"):
            store.document("repart")
        store.remove_document("report")
        with pytest.raises(UsageError, match="it has none"):
            store.remove_document("report")
        for name in ("", " ", "a\nb", "\udcff", "x" * 201):
            with pytest.raises(UsageError, match="cannot be named"):
                store.write_document(name, {})
        assert store.documents() == []


@pytest.mark.parametrize("asked", [OTHER, replace(U, span=16), replace(U, dtype="float32")])
def test_a_store_of_another_encoder_span_or_dtype_is_refused(tmp_path: Path, asked: Space) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        store.require(asked)  # an empty store fits all
        store.put(U, entries([1]))
        store.require(U)
        store.require(STATE)  # of another kind
        with pytest.raises(SpaceMismatch, match="abababababab, span 32, float16; asked for was u of") as refusal:
            store.require(asked)
        assert refusal.value.exit_code == 3
        assert held(store, [1], asked) == [False]
        assert store.has(asked, [key(1)]) == [False]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Entry(b"short", {"u": RawTensor("F16", (1,), b"\0\0")}), "5 bytes; it must have 16"),
        (Entry(key(1), {}), "without tensors"),
        (Entry(key(1), {"u": RawTensor("F17", (1,), b"\0\0")}), "'F17' cannot be stored"),
        (Entry(key(1), {"u": RawTensor("F16", (2,), b"\0\0")}), "2 bytes do not make F16"),
        (Entry(key(1), {"__key__": RawTensor("F16", (1,), b"\0\0")}), "begin with a letter"),
    ],
)
def test_an_entry_that_cannot_be_stored_is_refused_and_nothing_is_kept(tmp_path: Path, bad: Entry, why: str) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        with pytest.raises(UsageError, match=why):
            store.put(U, [bad])
        with pytest.raises(UsageError):
            store.put(U, [entry(2), bad])
        assert (store.stats().records, shards(tmp_path / "s")) == (0, [])


def test_many_small_puts_leave_few_files(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        for number in range(60):
            store.put(U, [entry(number, 2048)])
        assert len(shards(tmp_path / "s")) == store.stats().spaces[0].shards <= 4
        assert all(held(store, range(60)))


def test_the_least_recently_used_records_go_first(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as store:
        for first in range(0, 60, 10):
            store.put(U, entries(range(first, first + 10), 4096))
    with Store.open(tmp_path / "s") as store:
        held(store, [3, 4, 17])  # used last, though written first
    with Store.open(tmp_path / "s") as store:
        freed = store.gc(20 * 8192 + 6000)
        there = held(store, range(60))
        kept = [number for number in range(60) if there[number]]
        assert 17 <= len(kept) <= 20
        assert kept == [3, 4, 17, *range(60 - len(kept) + 3, 60)]
        assert freed.evicted == 60 - len(kept)
        assert freed.bytes_after <= 20 * 8192 + 6000
        assert sum(path.stat().st_size for path in (tmp_path / "s").iterdir()) == freed.bytes_after == store.stats().disk_bytes
        assert store.verify().findings == ()


def test_a_store_with_a_limit_stays_within_it_and_refuses_what_can_never_fit(tmp_path: Path) -> None:
    limit = 300_000
    with Store.open(tmp_path / "s", create=True, limit_bytes=limit) as store:
        for first in range(0, 200, 10):
            store.put(U, entries(range(first, first + 10), 2048))
            assert all(held(store, range(first, first + 10)))
            assert store.stats().disk_bytes <= limit
        with pytest.raises(StoreFull, match="do not fit the limit of 300,000"):
            store.put(U, entries(range(1000, 1100), 2048))
        assert sum(path.stat().st_size for path in (tmp_path / "s").iterdir()) <= limit


def test_gc_packs_what_deletion_left_and_takes_leftovers_away(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with Store.open(folder, create=True) as store:
        store.put(U, entries(range(100), 512))
        store.delete(U, [key(n) for n in range(90)])
        (folder / "writing-0123456789abcdef").write_bytes(b"half")
        freed = store.gc()
        assert (freed.evicted, freed.leftovers, freed.shards_after) == (0, 1, 1)
        assert freed.bytes_after < freed.bytes_before / 4
        assert held(store, range(100)) == [False] * 90 + [True] * 10
        store.delete(U, [key(n) for n in range(90, 100)])
        store.gc()
        assert shards(folder) == []
        assert store.spaces() == []
        store.put(OTHER, entries([1]))  # an emptied store takes another encoder's


@given(rows=st.lists(st.integers(0, 30), unique=True).map(sorted))
def test_runs_cover_each_row_once_and_are_as_long_as_can_be(rows: list[int]) -> None:
    found = list(runs(rows))
    assert [row for start, count in found for row in range(start, start + count)] == rows
    assert all(before[0] + before[1] < after[0] for before, after in pairwise(found))


@pytest.mark.parametrize("late", [False, True])
def test_an_interrupt_within_a_change_takes_it_back_and_one_behind_its_commit_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    writing = Index.writing

    @contextmanager
    def interrupted(index: Index) -> Iterator[None]:
        with writing(index):
            yield
            if not late:
                raise KeyboardInterrupt
        raise KeyboardInterrupt

    with Store.open(tmp_path / "s", create=True) as store:
        store.put(U, entries(range(5)))
        with monkeypatch.context() as patched:
            patched.setattr(Index, "writing", interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.put(U, entries(range(5, 9)))
        assert held(store, range(9)) == [True] * 5 + [late] * 4
        assert not store.verify().harmed
