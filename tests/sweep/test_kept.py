"""What answers a job, what a merge keeps, and who may write to a file."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import CountMismatch, UsageError
from spanbench.record import Measure, Record, Stored, append, appending, each, read
from spanbench.sweep.job import Job
from spanbench.sweep.kept import Kept, is_measured, marked
from spanbench.sweep.merge import merge, union

TIMING = {"max_seconds": 1.0}


def row(quantity: str, value: float | None, source: str) -> Measure:
    plain = {"arm": "token", "regime": "score", "stage": "total", "quantity": quantity, "value": value, "unit": "u", "source": source}
    return Measure.model_validate({**plain, "by": "test", "reason": None if value is not None else "none"})


def record(tokens: int = 8, flops: int | None = 100, seconds: float | None = None, **environment: Any) -> Record:
    rows = [row("flops", flops, "counted")] + ([] if seconds is None else [row("seconds", seconds, "measured")])
    return Record(point={"tokens": tokens}, convention="dense", environment=environment, measures=rows)


def job(key: str, timing: dict[str, Any] | None = None) -> Job:
    return Job(key, None if timing is None else "cpu", {}, timing)


# ---- resume ---------------------------------------------------------------------------------------------------------


def test_a_counted_record_answers_only_who_asked_for_counts() -> None:
    kept = Kept([record()])
    assert kept.answers(job(record().id))
    assert not kept.answers(job(record().id, TIMING))
    assert not kept.answers(job(record(9).id))


def test_a_measured_record_answers_both() -> None:
    kept = Kept([record(seconds=1.0)])
    assert kept.answers(job(record().id))
    assert kept.answers(job(record().id, TIMING))


def test_a_pair_that_did_not_fit_was_asked_and_is_not_tried_again() -> None:
    one = marked(record(), job("abc-max", TIMING), "local", 2)
    assert one.environment["sweep"] == {"engine": "local", "attempts": 2, "key": "abc-max", "asked": "measured"}
    kept = Kept([one])
    assert kept.answers(job("abc-max", TIMING))
    assert kept.answers(job(one.id, TIMING))


def test_what_an_engine_said_of_its_record_is_kept() -> None:
    one = marked(record(sweep={"node": "a"}), job("k"), "ray", 1)
    assert one.environment["sweep"] == {"node": "a", "engine": "ray", "attempts": 1, "key": "k", "asked": "counted"}
    assert one.id == record().id


# ---- one writer -----------------------------------------------------------------------------------------------------


def test_a_file_has_one_sweep_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    with appending(path) as add:
        add(record())
        with pytest.raises(UsageError, match="another sweep or merge is writing"), appending(path):
            pass
        with pytest.raises(UsageError, match="another sweep or merge is writing"):
            merge(path, [], print)
    with appending(path) as add:
        add(record(9))
    assert read(path) == [record(), record(9)]


def test_a_file_that_got_no_record_is_taken_away_and_an_old_one_is_not(tmp_path: Path) -> None:
    new, old = tmp_path / "new.jsonl", tmp_path / "old.jsonl"
    append(old, record())
    for path in (new, old):
        with appending(path):
            pass
    assert not new.exists()
    assert read(old) == [record()]


@pytest.mark.parametrize("name", ["none/records.jsonl", ".", "/dev/null"])
def test_a_place_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--out: "), appending(tmp_path / name):
        pass


# ---- merge ----------------------------------------------------------------------------------------------------------


def written(folder: Path, name: str, records: Sequence[Record]) -> Path:
    path = folder / name
    path.touch()
    for one in records:
        append(path, one)
    return path


def test_shards_become_one_file_with_each_id_once(tmp_path: Path) -> None:
    shards = [written(tmp_path, f"{n}.jsonl", [record(n), record(n + 1)]) for n in range(4)]
    found = merge(tmp_path / "all.jsonl", shards, print)
    assert [one.point["tokens"] for one in read(tmp_path / "all.jsonl")] == [0, 1, 2, 3, 4]
    assert (found.read, found.kept, found.points, found.replaced, found.equal) == (8, 5, 5, 0, 3)


def test_what_the_output_held_stays_first_and_merging_again_changes_nothing(tmp_path: Path) -> None:
    out, other = written(tmp_path, "out.jsonl", [record(5)]), written(tmp_path, "in.jsonl", [record(1), record(5)])
    merge(out, [other], print)
    once = out.read_bytes()
    merge(out, [other], print)
    assert out.read_bytes() == once
    assert [one.point["tokens"] for one in read(out)] == [5, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_measured_record_stands_for_a_counted_one_and_runs_that_differ_are_all_kept() -> None:
    first, second = record(seconds=1.0), record(seconds=2.0)
    kept, replaced = union((Path("f"), one) for one in (record(), first, second, first, record(time_utc="later")))
    assert kept == [first, second]
    assert replaced == 2


def test_equal_counts_made_at_another_time_are_one_record() -> None:
    kept, _ = union((Path("f"), one) for one in (record(time_utc="a"), record(time_utc="b")))
    assert kept == [record(time_utc="a")]


def test_counts_that_contradict_each_other_are_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    one, other = written(tmp_path, "one.jsonl", [record()]), written(tmp_path, "other.jsonl", [record(flops=101)])
    with pytest.raises(CountMismatch, match=rf"record {record().id}: token score total flops is 100 in .*one.jsonl.* and 101 in"):
        merge(tmp_path / "out.jsonl", [one, other], print)
    assert not (tmp_path / "out.jsonl").exists()


def test_an_unknown_count_contradicts_nothing() -> None:
    kept, _ = union((Path("f"), one) for one in (record(flops=None), record(flops=100)))
    assert len(kept) == 1


def test_a_half_written_line_is_told_and_stays_in_the_output(tmp_path: Path) -> None:
    out, other = written(tmp_path, "out.jsonl", [record(1)]), written(tmp_path, "in.jsonl", [record(2)])
    for path in (out, other):
        with path.open("a") as file:
            file.write('{"schema":1,"id"')
    told: list[str] = []
    merge(out, [other], told.append)
    assert len(told) == 2
    assert out.read_text().count('{"schema":1,"id"\n') == 1
    assert [one.point["tokens"] for one in read(out, told.append)] == [1, 2]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names for open files here")
def test_a_pipe_which_gives_its_records_once_is_merged_too(tmp_path: Path) -> None:
    out, (reading, writing) = written(tmp_path, "out.jsonl", [record(1)]), os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        pipe.writelines(one.to_line() for one in (record(2), record(1), record(2, seconds=1.0)))
    found = merge(out, [Path(f"/dev/fd/{reading}")], print)
    os.close(reading)
    assert read(out) == [record(1), record(2, seconds=1.0)]
    assert (found.read, found.kept, found.points, found.replaced) == (4, 2, 2, 1)


def test_records_are_read_one_by_one_and_found_again_where_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path, "in.jsonl", [record(1), record(2), record(3)])
    path.write_bytes(b"\n" + path.read_bytes() + b'{"schema":1')
    told: list[str] = []
    found = each(path, told.append)
    assert (next(found).record, told) == (record(1), [])
    rest = list(found)
    assert [stored.record for stored in rest] == [record(2), record(3)]
    assert [Stored.at(stored.path, stored.start, stored.record.id) for stored in rest] == [record(2), record(3)]
    assert told == [f"{path}: line 5 is half-written and was left out"]


def test_a_file_that_is_another_when_it_is_read_again_is_refused(tmp_path: Path) -> None:
    other = written(tmp_path, "in.jsonl", [record(2)])
    (stored,) = each(other)
    for now in (record(3).to_line(), "no record\n", ""):
        other.write_text(now)
        with pytest.raises(UsageError, match=r"in.jsonl' changed while it was read"):
            Stored.at(stored.path, stored.start, stored.record.id)


@pytest.mark.parametrize("line", ['{"schema":1}{"schema":1}', '{"schema":1x,"id":2}', "hello", "[" * 3000 + "]" * 3000])
def test_only_a_line_that_breaks_off_is_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "in.jsonl"
    for end in ("", "\n", "\n" + record(1).to_line()):
        path.write_text(line + end)
        with pytest.raises(UsageError, match=r"in.jsonl, line 1"):
            merge(tmp_path / "out.jsonl", [path], print)
        assert not (tmp_path / "out.jsonl").exists()


def test_zero_bytes_that_a_crash_left_are_half_a_line(tmp_path: Path) -> None:
    path, told = tmp_path / "in.jsonl", list[str]()
    path.write_bytes(record(1).to_line().encode() + record(2).to_line().encode()[:100] + bytes(50))
    assert read(path, told.append) == [record(1)]
    assert told == [f"{path}: line 2 is half-written and was left out"]


def test_marks_of_what_did_not_fit_and_of_the_largest_batch_outlive_a_merge() -> None:
    plain = record()
    unfit = marked(plain, job(plain.id, TIMING), "local", 1)
    largest = marked(plain, job(f"{plain.id}-max"), "local", 1)
    for order in ([plain, unfit, largest], [largest, unfit, plain], [plain, largest, unfit, plain]):
        kept, _ = union((Path("f"), one) for one in order)
        assert sorted(map(Record.to_line, kept)) == sorted([unfit.to_line(), largest.to_line()])
        assert Kept(kept).answers(job(plain.id, TIMING))
        assert Kept(kept).answers(job(f"{plain.id}-max"))
        assert not Kept(kept).answers(job(f"{plain.id}-max", TIMING))


def test_a_file_that_is_replaced_while_it_is_held_ends_the_writing(tmp_path: Path) -> None:
    out = written(tmp_path, "out.jsonl", [record(1)])
    with appending(out) as keep:
        keep(record(2))
        written(tmp_path, "new.jsonl", [record(1)]).replace(out)
        with pytest.raises(UsageError, match="replaced or taken away"):
            keep(record(3))
    assert read(out) == [record(1)]


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
def test_of_two_that_begin_one_file_together_each_keeps_its_record_or_is_refused(tmp_path: Path) -> None:
    def begin(path: Path, one: Record, ready: threading.Barrier) -> str:
        ready.wait()
        try:
            with appending(path) as keep:
                keep(one)
        except UsageError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as both:
        for number in range(300):
            path, ready = tmp_path / f"{number}.jsonl", threading.Barrier(2)
            said = list(both.map(begin, (path, path), (record(1), record(2)), (ready, ready)))
            assert all("another sweep or merge" in text for text in said if text), said
            kept = [one.point["tokens"] for one in read(path)]
            assert sorted(map(str, kept)) == [str(tokens) for tokens, text in zip((1, 2), said, strict=True) if not text]
            assert kept


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_to_nothing_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    with appending(link):
        pass
    assert link.is_symlink()
    assert not target.exists()
    with appending(link) as keep:
        keep(record(1))
    assert link.is_symlink()
    assert read(target) == [record(1)]


def test_a_merge_keeps_the_rights_of_the_file(tmp_path: Path) -> None:
    out = written(tmp_path, "out.jsonl", [record(1)])
    out.chmod(0o640)
    merge(out, [written(tmp_path, "in.jsonl", [record(2)])], print)
    assert out.stat().st_mode & 0o777 == 0o640 or os.name == "nt"


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, 1.0, 2.0]))))
def test_a_union_keeps_every_id_and_every_different_run(found: list[tuple[int, float | None]]) -> None:
    records = [record(tokens, seconds=seconds) for tokens, seconds in found]
    kept, replaced = union((Path("f"), one) for one in records)
    assert {one.id for one in kept} == {one.id for one in records}
    runs = {one.to_line() for one in records if is_measured(one)}
    assert {one.to_line() for one in kept if is_measured(one)} == runs
    assert len({one.to_line() for one in kept}) == len(kept)
    assert len(kept) + replaced <= len(records)
    assert union((Path("f"), one) for one in kept) == (kept, 0)
