from __future__ import annotations

import pytest
from hypothesis import given

from spanbench.count.distinct import Distinct, StepRows, distinct_rows
from spanbench.point import Point
from spanbench.presets import resolve
from tests.count.enumeration import windows_of
from tests.count.points import ids_of, points


@given(points())
def test_equals_a_walk_through_every_window(point: Point) -> None:
    ids = ids_of(point)
    complete = point.tokens // point.span * point.span

    def read(positions: list[int]) -> int:
        return len({prompt[i] for prompt in ids for i in positions})

    def fed(windows: dict[int, list[str | int]]) -> list[int]:
        return [row for rows in windows.values() for row in rows if isinstance(row, int)]

    assert distinct_rows(ids, point) == Distinct(
        token=read(list(range(point.tokens))),
        encoder=read(list(range(complete))),
        decoder={"score": read(fed(windows_of(point, "score"))), "prefill": read(fed(windows_of(point, "prefill")))},
    )


@pytest.mark.parametrize(("carry", "score", "prefill"), [(0, 5, 1), (1, 7, 2)])
def test_a_span_s_last_token_is_read_only_where_it_is_carried(carry: int, score: int, prefill: int) -> None:
    point = Point(resolve("tiny", "lean", {"carry": carry}, 3), 7, 3)
    assert distinct_rows([[1, 2, 3, 4, 5, 6, 7]], point) == Distinct(7, 6, {"score": score, "prefill": prefill})


def test_ids_of_another_point_are_refused() -> None:
    point = Point(resolve("tiny", "lean", {}, 2), 4, 2, batch=2)
    with pytest.raises(ValueError, match="must be 2 × 4, got 2 prompts of"):
        distinct_rows([[1, 2, 3], [1, 2, 3, 4]], point)


def test_each_step_reads_one_row_a_prompt_and_a_closing_one_its_span() -> None:
    point = Point(resolve("tiny", "lean", {"carry": 2}, 3), 4, 3, batch=2)
    steps = distinct_rows([[9, 9, 9, 1], [9, 9, 9, 2]], point, [[3, 4, 5], [3, 4, 6]]).steps
    assert steps == (StepRows(1, 0, 1), StepRows(1, 4, 2), StepRows(2, 0, 2))  # spans 1 3 4 and 2 3 4, carried 3 4 of both


@pytest.mark.parametrize(("carry", "carried"), [(0, 0), (1, 2)])
def test_spans_of_one_token_close_in_every_step(carry: int, carried: int) -> None:
    point = Point(resolve("tiny", "lean", {"carry": carry}, 1), 1, 1, batch=2)
    assert distinct_rows([[1], [1]], point, [[2, 4], [3, 5]]).steps == (StepRows(2, 2, carried),) * 2


def test_said_ids_of_another_batch_are_refused() -> None:
    point = Point(resolve("tiny", "lean", {}, 2), 2, 2, batch=2)
    for said in ([[1]], [[1], [1, 2]]):
        with pytest.raises(ValueError, match="said must be 2 × one number of steps"):
            distinct_rows([[1, 2], [3, 4]], point, said)
