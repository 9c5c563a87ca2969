"""Writers that are killed: what was committed is there, and nothing torn is read."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from spanbench.store.disk import Store, audit_folder
from spanbench.store.disk.index import Index
from tests.store.disk.records import STATE, Child, U, entries, held, key, shards

Say = Callable[[int], None]


def writer(folder: Path, first: int, each: int, width: int = 64) -> Callable[[Say], None]:
    """Put `each` records at a time for ever, and say the first number of each put after it returned."""

    def work(say: Say) -> None:
        with Store.open(folder, create=True) as store:
            number = first
            while True:
                store.put(U, entries(range(number, number + each), width))
                say(number)
                number += each

    return work


def killed_often(folder: Path, rounds: int, seed: int) -> None:
    """Let four processes write at once, kill each at a random time, and look; `rounds` times over."""
    random = Random(seed)  # noqa: S311  # a time, not a secret
    committed: list[int] = []
    for done in range(rounds):
        each = [random.choice((1, 1, 2, 7, 40)) for _ in range(4)]
        children = [Child(writer(folder, (4 * done + lane) * 100_000, each[lane])) for lane in range(4)]
        for lane, child in random.sample(list(enumerate(children)), 4):
            time.sleep(random.uniform(0, 0.06))
            said, status = child.said(signal.SIGKILL)
            assert status == signal.SIGKILL  # it did not end by itself
            committed += [first + i for first in said for i in range(each[lane])]
        with Store.open(folder, create=True) as store:
            assert all(held(store, committed[-200:]))
    with Store.open(folder) as store:
        assert all(held(store, committed))
        assert not store.verify().harmed
        store.verify(repair=True)
        assert store.verify().findings == ()
        assert all(held(store, committed))
    assert committed


def test_fifty_kills_at_random_times_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    killed_often(tmp_path / "store", 13, seed=1)


@pytest.mark.slow
def test_five_hundred_kills_at_random_times_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    killed_often(tmp_path / "store", 125, seed=2)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_writer_that_dies_at_any_byte_of_a_shard_leaves_all_or_nothing(tmp_path: Path, share: float) -> None:
    folder, width = tmp_path / "store", 4096
    with Store.open(folder, create=True) as store:
        store.put(U, entries(range(3), width))
    size = 5 * 2 * width  # of the records that are to come

    def work(say: Say) -> None:
        with Store.open(folder) as store:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel ends the process at this byte of the file
            resource.setrlimit(resource.RLIMIT_FSIZE, (max(1, int(share * size)), resource.RLIM_INFINITY))
            store.put(U, entries(range(10, 15), width))
            say(10)

    said, status = Child(work).said()
    assert said == []
    assert status & 0x7F == signal.SIGXFSZ
    with Store.open(folder) as store:
        assert held(store, [0, 1, 2, 10, 11, 12, 13, 14]) == [True] * 3 + [False] * 5
        assert not store.verify().harmed
        assert store.put(U, entries(range(10, 15), width)) == 5
        assert all(held(store, [0, 1, 2, 10, 11, 12, 13, 14]))


def test_four_processes_at_once_lose_nothing_and_read_nothing_torn(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    Store.open(folder, create=True).close()

    def reader(say: Say) -> None:
        with Store.open(folder) as store:
            seen: set[int] = set()
            while True:
                for number in (number for lane in range(3) for number in range(lane * 10_000, lane * 10_000 + 60)):
                    there = held(store, [number])[0]
                    assert there or number not in seen  # what was there once does not go
                    if there and number not in seen:
                        seen.add(number)
                        say(number)

    writers = [Child(writer(folder, lane * 10_000, each)) for lane, each in enumerate((1, 3, 1))]
    reading = Child(reader)
    time.sleep(2.5)
    committed = []
    for child, each in zip(writers, (1, 3, 1), strict=True):
        said, _ = child.said(signal.SIGKILL)
        committed += [first + i for first in said for i in range(each)]
    seen, status = reading.said(signal.SIGKILL)
    assert status == signal.SIGKILL  # it did not end by itself, for instance of a torn record
    with Store.open(folder) as store:
        assert all(held(store, committed + seen))
        assert not store.verify().harmed
    assert len(committed) >= 6
    assert seen


def test_two_processes_that_put_the_same_records_keep_each_once(tmp_path: Path) -> None:
    folder = tmp_path / "store"

    def work(say: Say) -> None:
        with Store.open(folder, create=True) as store:
            for first in range(0, 40, 4):
                say(store.put(U, entries(range(first, first + 8))))

    children = [Child(work), Child(work)]
    new = [number for child in children for number in child.said()[0]]
    with Store.open(folder) as store:
        assert sum(new) == store.stats().records == 44
        assert all(store.has(U, [key(number) for number in range(44)]))


def put(store: Store) -> None:
    store.put(U, entries(range(6, 20)))


def pack(store: Store) -> None:
    store.gc()


def repair(store: Store) -> None:
    store.verify(repair=True)


def begin(folder: Path, *, harmed: bool) -> None:
    """Make a store of records 0-5 and of some that were deleted; `harmed` with a broken header, and files that nobody needs."""
    with Store.open(folder, create=True) as store:
        store.put(U, entries(range(3)))
        store.put(U, [*entries(range(3, 6)), *entries(range(90, 95))])
        store.delete(U, [key(number) for number in range(90, 95)])
    if harmed:
        [shard] = shards(folder)
        (folder / "writing-0000000000000000").touch()
        shutil.copy(shard, folder / "0123456789abcdef.safetensors")
        with shard.open("r+b") as file:
            file.write(b"damaged")


@pytest.mark.parametrize("change", [put, pack, repair])
def test_a_process_killed_at_each_step_of_a_change_leaves_all_or_nothing_of_it(tmp_path: Path, change: Callable[[Store], None]) -> None:
    """Steps: every sync, rename and removal of a file, and every statement to SQLite, so also between rename and commit."""
    start = tmp_path / "start"
    begin(start, harmed=change is repair)
    said: list[int] = []
    step = 0
    while not said:
        folder = tmp_path / f"store{step}"
        shutil.copytree(start, folder)
        said, status = Child(_killed_at(folder, step, change)).said()
        with Store.open(folder) as store:
            there = held(store, range(20))
            assert all(there[:6])
            assert there[6:] in ([True] * 14, [False] * 14)
            assert there[6] or change is not put or not said
            assert change is repair or not store.verify().harmed
            store.verify(repair=True)
            left = store.verify().findings  # the file with the broken header, if it was to be removed next: nothing tells whose it is
            assert not any(finding.harm for finding in left)
            assert len(left) <= (change is repair)
            after = held(store, range(20))  # a shard that was complete before its writer died may have been taken in
            assert all(after[:6])
            assert after[6:] in ([True] * 14, there[6:])
        assert status in {0, signal.SIGKILL}
        step += 1
    assert step > 10


def _killed_at(folder: Path, step: int, change: Callable[[Store], None]) -> Callable[[Say], None]:
    def work(say: Say) -> None:
        left = step

        def die(*_: object) -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

        def dying(function: Callable[..., object]) -> Callable[..., object]:
            def either(*given: object, **named: object) -> object:
                die()
                return function(*given, **named)

            return either

        with Store.open(folder) as store:
            for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
                setattr(owner, name, dying(getattr(owner, name)))
            store._shelf.index._db.set_trace_callback(die)
            change(store)
            store._shelf.index._db.set_trace_callback(None)
            left = -1
            say(6)

    return work


def test_a_process_killed_at_each_step_of_a_rebuild_loses_nothing(tmp_path: Path) -> None:
    start = tmp_path / "start"
    with Store.open(start, create=True) as store:
        store.commit({U: entries(range(6)), STATE: entries(range(6))})
    (start / "index.sqlite").unlink()
    said: list[int] = []
    step = 0
    while not said:
        folder = tmp_path / f"store{step}"
        shutil.copytree(start, folder)

        def work(say: Say, folder: Path = folder, step: int = step) -> None:
            left = step

            def dying(function: Callable[..., object]) -> Callable[..., object]:
                def either(*given: object, **named: object) -> object:
                    nonlocal left
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left -= 1
                    return function(*given, **named)

                return either

            for owner, name in ((Path, "replace"), (Path, "unlink"), (Index, "insert"), (Index, "add_shard"), (Index, "tick")):
                setattr(owner, name, dying(getattr(owner, name)))
            audit_folder(folder, repair=True)
            left = -1
            say(1)

        said, status = Child(work).said()
        assert status in {0, signal.SIGKILL}
        audit_folder(folder, repair=True)
        assert audit_folder(folder).findings == ()
        with Store.open(folder) as store:
            assert all(held(store, range(6)))
            assert all(held(store, range(6), STATE))
        step += 1
    assert step > 5
