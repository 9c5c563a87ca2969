"""The sweep itself, with an engine that needs no process: what is kept, when, and what is said."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.errors import UsageError
from spanbench.record import Record, counted_measures, read
from spanbench.request import point_of
from spanbench.sweep.flow import Summary, sweep
from spanbench.sweep.grid import Grid
from spanbench.sweep.interrupt import Interrupts
from spanbench.sweep.job import Job, Outcome, Told
from spanbench.sweep.plan import Planned, plan_of, request_of
from spanbench.sweep.predict import predict
from spanbench.sweep.progress import Left, Lines, duration


def answer(job: Job) -> str:
    """Return the record of a job, by the closed form."""
    point, prompt, convention = point_of(request_of(job))
    distinct = distinct_rows(prompt.ids, point)
    rows = [
        row
        for regime in point.regimes
        for row in counted_measures(closed_form(point, regime, distinct), None, regime, convention, "closed form")
    ]
    return Record(point=point.to_json(), convention=convention, measures=rows).to_line()


@dataclass
class Here:
    """An engine that answers at once."""

    name: str = "here"
    answer: Callable[[Job], str | None] = answer
    before_each: Callable[[int], None] = lambda _: None
    ran: list[Job] = field(default_factory=list)
    closed: bool = False

    def run(self, jobs: Sequence[Job], told: Told) -> Iterator[Outcome]:
        """Yield one outcome a job."""
        try:
            for number, job in enumerate(jobs):
                self.before_each(number)
                told(job, "counting …")
                self.ran.append(job)
                line = self.answer(job)
                yield Outcome(job, line, None if line else "it broke", 1, 0.5)
        finally:
            self.closed = True


def points(**axes: str) -> Sequence[Planned]:
    return plan_of(Grid.of(**{"preset": "tiny", "tokens": "8,16,24", "span": "4", **axes}).requests(), None).points


def swept(out: Path, engine: Here, todo: Sequence[Planned] | None = None, said: list[str] | None = None) -> Summary:
    summary, heard = Summary(), [] if said is None else said
    sweep(points() if todo is None else todo, engine, out, Lines(heard.append), heard.append, summary)
    return summary


def test_every_record_is_on_the_disk_before_the_next_point_is_begun(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    def look(number: int) -> None:
        assert len(read(out)) == number

    summary = swept(out, Here(before_each=look))
    assert [record.id for record in read(out)] == [planned.job.key for planned in points()]
    assert (summary.before, len(summary.finished), summary.failed) == (0, 3, [])
    assert read(out)[0].environment["sweep"] == {"engine": "here", "attempts": 1, "key": points()[0].job.key, "asked": "counted"}


def test_what_is_there_is_not_run_again(tmp_path: Path) -> None:
    out, again = tmp_path / "out.jsonl", Here()
    swept(out, Here(), points(tokens="16"))
    summary = swept(out, again)
    assert [request_of(job).tokens for job in again.ran] == [8, 24]
    assert summary.before == 1
    swept(out, nothing := Here())
    assert nothing.ran == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [(None, "it broke"), ("{}\n", "not a spanbench record"), ("other", "changed during the sweep")],
)
def test_a_point_without_its_record_is_told_and_tried_again_next_time(tmp_path: Path, line: str | None, reason: str) -> None:
    out, said = tmp_path / "out.jsonl", list[str]()
    other = answer(points(tokens="9")[0].job)
    engine = Here(answer=lambda job: (other if line == "other" else line) if request_of(job).tokens == 16 else answer(job))
    summary = swept(out, engine, said=said)
    assert [request_of(one.job).tokens for one in summary.failed] == [16]
    assert reason in summary.failed[0].reason
    assert any("tiny lean 16/4: no record: " in line for line in said)
    again = Here()
    swept(out, again)
    assert [request_of(job).tokens for job in again.ran] == [16]


def test_a_file_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    out, engine = tmp_path / "out.jsonl", Here()
    out.write_text("name,value\n")
    with pytest.raises(UsageError, match="holds something other than records"):
        swept(out, engine)
    assert (out.read_text(), engine.ran) == ("name,value\n", [])


def test_an_error_closes_the_engine_and_leaves_what_came(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    def fail(number: int) -> None:
        if number == 2:
            raise UsageError("no more")

    engine = Here(before_each=fail)
    with pytest.raises(UsageError, match="no more"):
        swept(out, engine)
    assert engine.closed
    assert len(read(out)) == 2


def test_ctrl_c_waits_for_the_writing_of_a_record(tmp_path: Path) -> None:
    out, engine = tmp_path / "out.jsonl", Here()
    heard: list[str] = []

    class Interrupting(Lines):
        """Presses Ctrl-C when the second point ends."""

        def ends(self, outcome: Outcome, reason: str | None) -> None:
            super().ends(outcome, reason)
            if self._ended == 2:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sweep(points(), engine, out, Interrupting(heard.append), heard.append, Summary())
    assert engine.closed
    assert len(read(out)) == 2


def test_an_interrupt_that_is_held_back_comes_afterwards() -> None:
    done, before = list[str](), signal.getsignal(signal.SIGINT)

    def write() -> None:
        with Interrupts() as interrupts, interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is before


# ---- what is said meanwhile -----------------------------------------------------------------------------------------


def test_lines_count_and_leave_out_the_steps(tmp_path: Path) -> None:
    said: list[str] = []
    swept(tmp_path / "out.jsonl", Here(), said=said)
    assert said[0] == "3 points to run, 0 done before"
    assert said[1].startswith("1/3 tiny lean 8/4: 0 s, about ")
    assert said[3] == "3/3 tiny lean 24/4: 0 s"
    assert len(said) == 4


def test_the_time_left_is_what_was_predicted_of_the_rest_at_the_pace_so_far() -> None:
    """Three points of equal weight, the first took 10 s: 20 s are left."""
    now = [0.0]
    todo = points()
    left = Left(todo, lambda: now[0])
    assert left.seconds() is None
    now[0] = 10.0
    left.ended(todo[0].job)
    assert left.seconds() == pytest.approx(20.0)


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (120, "2 min"), (3600, "60 min"), (9000, "2.5 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# ---- predictions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", ["score", "prefill", "decode", "decode_worst", "request", "score,prefill,decode"])
def test_predicted_flops_are_those_of_the_record(regime: str) -> None:
    for planned in points(regimes=regime):
        record = _counted_by_hand(planned)
        assert predict(planned).flops == sum(
            int(row.value or 0) for row in record.measures if (row.quantity, row.stage) == ("flops", "total") and row.arm != "pair"
        )


def _counted_by_hand(planned: Planned) -> Record:
    point, prompt, convention = point_of(request_of(planned.job))
    distinct = distinct_rows(prompt.ids, point, prompt.following(point.said))
    rows = [row for regime in point.regimes for row in counted_measures(closed_form(point, regime, distinct), None, regime, convention)]
    return Record(point=point.to_json(), convention=convention, measures=rows)


def test_a_measured_point_takes_its_slots_and_more_where_one_run_is_long() -> None:
    timing = {"max_seconds": 24.0}
    (short,) = plan_of(Grid.of(preset="tiny", tokens="8", span="4").requests(), timing).points
    (long,) = plan_of(Grid.of(preset="document", tokens="16384").requests(), timing).points
    assert 24 < predict(short).seconds < 60
    assert predict(long).seconds > 5 * predict(long).flops / 5e10
