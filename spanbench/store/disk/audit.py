"""`verify`: every record of every shard held against its checksum, and the index against the shards both ways.

A repair never touches a record that is whole where it is: a shard that is as it should be stays as it is, and of one that is not
every whole record is written into a new one before the old one goes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from spanbench.store.disk.audit_papers import audit_papers
from spanbench.store.disk.faults import NoStore
from spanbench.store.disk.finding import Audit, Finding
from spanbench.store.disk.folder import leftovers, shard_names
from spanbench.store.disk.index_shards import ShardRow
from spanbench.store.disk.place import ROWS, hash_of
from spanbench.store.disk.shard import SUFFIX, Layout, Shard, read_layout
from spanbench.store.disk.shelf import Held, Shelf

__all__ = ["adopt", "audit"]

UNNAMED = "the index does not name it: its writer was killed, it was merged into another, or it is no shard of this store"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One shard held against the index: its whole records that belong in the index, how many were lost, and what is wrong.

    `moved`: the file is not this shard at all, but gone or another one; its records may be in a file of another name.
    """

    whole: tuple[Held, ...]
    lost: int
    wrong: str
    moved: bool = False

    @property
    def nbytes(self) -> int:
        return sum(memoryview(part).nbytes for held in self.whole for part in held.record.parts)


class _Places:
    """The index's records in the order of their places; 12 bytes each."""

    def __init__(self, shelf: Shelf) -> None:
        self.places, self.hashes = array("Q"), array("i")
        for hashed, place in shelf.index.all_places():
            self.places.append(place)
            self.hashes.append(hashed)

    def of(self, shard: int) -> dict[int, int]:
        """Return the hash of each row of a shard that is a record."""
        start, end = (bisect_left(self.places, number * ROWS) for number in (shard, shard + 1))
        return {self.places[at] % ROWS: self.hashes[at] for at in range(start, end)}


def audit(shelf: Shelf, *, repair: bool) -> Audit:
    """Check a store; with `repair` under the write lock, one change for all.

    Raises:
        StoreBusy, StoreFull, NoStore: a repair that could not be made; nothing was changed.
    """
    if not repair:
        try:
            with shelf.index.told():
                return _audit(shelf, repair=False)
        except OSError as error:
            raise NoStore(f"{str(shelf.folder)!r} cannot be read ({error.strerror})") from None
    with shelf.changing():
        return _audit(shelf, repair=True)


def _audit(shelf: Shelf, *, repair: bool) -> Audit:
    with shelf.index.told():
        shards, places = shelf.index.shards(), _Places(shelf)
        known = {shard.id for shard in shards}
    findings: list[Finding] = []
    moved: list[tuple[ShardRow, _Seen, list[int]]] = []
    records = raw_bytes = good = 0
    for shard in shards:
        live = places.of(shard.id)
        seen = _seen(shelf, shard, live)
        if seen.wrong and not repair and not _still_there(shelf, shard):
            continue  # another process merged it meanwhile
        records, raw_bytes, good = records + len(seen.whole), raw_bytes + seen.nbytes, good + (not seen.wrong)
        if seen.moved:
            moved.append((shard, seen, list(live.values())))
        elif seen.wrong:
            findings.append(_put_right(shelf, shard, seen) if repair else Finding(shelf.path(shard.name).name, seen.wrong, lost=seen.lost))
    if repair:
        for shard, _, _ in moved:
            shelf.index.clear_records(shard.id)
            shelf.index.drop_shard(shard.id)  # a file of its name is another shard, and adopted as that below
    findings += _strays(shelf, places, known, repair=repair)
    findings += _orphans(shelf, repair=repair)
    findings += [_told_of_moved(shelf, *one, repair=repair) for one in moved]
    findings += audit_papers(shelf, repair=repair)
    return Audit(good, records, raw_bytes, tuple(findings))


def _told_of_moved(shelf: Shelf, shard: ShardRow, seen: _Seen, hashes: list[int], *, repair: bool) -> Finding:
    """Tell of a shard that is not where it was; once all files are taken in, what is still not there is lost."""
    lost = sum(not shelf.index.has_hash(hashed) for hashed in hashes) if repair else seen.lost
    return Finding(shelf.path(shard.name).name, seen.wrong, lost=lost, repaired=repair)


def _still_there(shelf: Shelf, shard: ShardRow) -> bool:
    with shelf.index.reading():
        now = shelf.index.shard(shard.id)
    return now is not None and (now.name, now.dead) == (shard.name, shard.dead)


def _seen(shelf: Shelf, shard: ShardRow, live: dict[int, int]) -> _Seen:
    """Hold one shard against what the index says of it."""
    try:
        file = shelf.shard(shard)
    except OSError as error:
        return _Seen((), len(live), f"cannot be read ({error.strerror}); {len(live):,} records are not where they were", moved=True)
    records = list(file.all_records())
    agreeing = {row for row, record in enumerate(records) if row in live and hash_of(shard.space, record.key) == live[row]}
    if not any(records[row].whole for row in agreeing) and (other := _other(file)) is not None:
        return _Seen((), len(live), f"is another shard, of {other.space} and {other.rows:,} rows", moved=True)
    beyond = sum(row >= shard.rows for row in live)
    whole = [row for row, record in enumerate(records) if record.whole]
    strange = sum(row in live and row not in agreeing for row in whole)
    # Where rows of the index are lost, or say another thing than the file, every whole record belongs back into it.
    counted = not beyond and len(live) == shard.rows - shard.dead
    kept = [row for row in whole if row in live or strange or not counted]
    torn = sum(row in live and not record.whole for row, record in enumerate(records))
    held = tuple(Held(records[row], shard.written) for row in kept)
    return _Seen(held, torn, _wrong(file, torn, strange + beyond, counted=counted))


def _other(file: Shard) -> Layout | None:
    """Return what a file's own header says where that is not what the index says, and some record is whole by it."""
    own = None if file.as_written else read_layout(file.path)
    if own is None:
        return None
    return own if any(record.whole for record in Shard(file.path, own).all_records()) else None


def _wrong(file: Shard, torn: int, disagreed: int, *, counted: bool) -> str:
    told = []
    if torn:
        told.append(f"{torn:,} of its records are not what was written")
    if disagreed:
        told.append(f"the index and the shard disagree on {disagreed:,} records")
    elif not counted:
        told.append("the index counts its records wrongly")
    if not file.as_written:
        told.append("its header or its length is not what was written")
    return "; ".join(told)


def _put_right(shelf: Shelf, shard: ShardRow, seen: _Seen) -> Finding:
    """Write what is whole into a new shard, and let the old one go."""
    shelf.index.clear_records(shard.id)
    shelf.drop(shard)
    fresh = _unknown(shelf, shard.space, seen.whole)
    if fresh:
        shelf.write(shard.space, *shelf.index.spaces()[shard.space], fresh)
    return Finding(shelf.path(shard.name).name, seen.wrong, lost=seen.lost, repaired=True)


def _unknown(shelf: Shelf, space: int, held: tuple[Held, ...]) -> list[Held]:
    """Return the records that the index does not name elsewhere, each once."""
    once = {one.record.key: one for one in held}
    places = shelf.find(space, list(once), gone_too=True)
    return [one for one, place in zip(once.values(), places, strict=True) if place is None]


def _strays(shelf: Shelf, places: _Places, known: set[int], *, repair: bool) -> Iterator[Finding]:
    """Find records of shards that the index does not know."""
    strays = sorted({place // ROWS for place in places.places} - known)
    for number in strays:
        lost = len(places.of(number))
        if repair:
            shelf.index.clear_records(number)
        yield Finding(shelf.index.path.name, f"{lost:,} records are in a shard that is not known", lost=lost, repaired=repair)


def _orphans(shelf: Shelf, *, repair: bool) -> Iterator[Finding]:
    """Find files that the index does not name: of writers that were killed, or of shards that were merged."""
    for path in leftovers(shelf.folder):
        if repair:
            path.unlink(missing_ok=True)
        yield Finding(path.name, "is of a write that was never finished, or is being written", harm=False, repaired=repair)
    with shelf.index.told():
        named = {shard.name for shard in shelf.index.shards()}
    for name in shard_names(shelf.folder):
        if name not in named and f"{name}{SUFFIX}" not in shelf.gone:
            strange = _strange(shelf, name)
            taken = adopt(shelf, name) if repair and not strange else None
            yield Finding(shelf.path(name).name, taken or strange or UNNAMED, harm=False, repaired=taken is not None)


def _strange(shelf: Shelf, name: str) -> str:
    """Say whose a shard is that this store cannot take in, since its records are of another encoder, span or dtype; else nothing."""
    layout = read_layout(shelf.path(name))
    with shelf.index.told():
        bound = [] if layout is None else shelf.index.spaces().values()
    if layout is None or layout.space in [space for space, _ in bound] or not shelf.bound(layout.space.kind):
        return ""
    return f"holds {layout.space}, which this store does not: it is another store's, and is left alone"


def adopt(shelf: Shelf, name: str) -> str | None:
    """Take the records of a shard that the index does not name into it, those that it has not; say what was done.

    A file whose header cannot be read is left alone, and nothing is returned: it may be somebody else's.
    """
    layout = read_layout(shelf.path(name))
    if layout is None:
        return None
    file = Shard(shelf.path(name), layout)
    records = list(file.all_records())
    number = shelf.space_for(layout.space, layout.fields)
    fresh = _unknown(shelf, number, tuple(Held(record) for record in records if record.whole))
    if len(fresh) == layout.rows and file.as_written:
        shelf.name(number, name, fresh)
    else:
        if fresh:
            shelf.write(number, layout.space, layout.fields, fresh)
        shelf.let_go(f"{name}{SUFFIX}")
    torn = sum(not record.whole for record in records)
    return f"{len(fresh):,} of its records were not in the index, and are now" + (f"; {torn:,} were torn" if torn else "")
