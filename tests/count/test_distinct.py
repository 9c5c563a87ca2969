from __future__ import annotations

import pytest
from hypothesis import given

from spanbench.count.distinct import Distinct, distinct_rows
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
