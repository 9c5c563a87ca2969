"""Every error of `errors_speak` is refused by the count of decode and of a whole request."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from spanbench.errors import CountMismatch, UncountedOperation
from spanbench.point import SPOKEN, Point
from tests.count.points import ids_of, said_of
from tests.planted.errors_speak import SPEAKING
from tests.planted.planting import Planted, identity, planted
from tests.planted.points import POINTS, rebuilt

NOTHING = Planted("nothing", "model.past", "moved: int = 0", "moved: int = 0", says="")

# Open windows and the first span, carried tokens, a memory of latents and of start rows, no decoder layers.
SPOKEN_POINTS = (POINTS[0], replace(POINTS[1], tokens=1, span=4), POINTS[4])


def speaking(point: Point) -> Point:
    """Return the point in all regimes of speaking; a request ends two steps into the second span that it opens."""
    return replace(point, regimes=SPOKEN, generate=2 * point.span - point.windows.open + 3)


def count(error: Planted) -> None:
    """Count every point as `count` does, with the error planted."""
    with planted(error) as counting:
        for plain in map(speaking, SPOKEN_POINTS):
            at = rebuilt(plain, counting.point)
            counting.counted.count_point(at, ids_of(plain), said_of(plain, plain.said), progress=_silent)


def _silent(_what: str, _done: int, _of: int) -> None:
    """Progress is nothing to a test."""


def test_without_an_error_all_points_are_counted() -> None:
    count(NOTHING)


@pytest.mark.parametrize("error", SPEAKING, ids=identity)
def test_an_error_in_speaking_is_refused(error: Planted) -> None:
    with pytest.raises((CountMismatch, UncountedOperation), match=re.escape(error.says)):
        count(error)


def test_no_error_is_planted_twice_and_each_says_what_it_is_caught_by() -> None:
    assert len({(error.module, error.old, error.new) for error in SPEAKING}) == len(SPEAKING) >= 12
    assert all(error.says for error in SPEAKING)
