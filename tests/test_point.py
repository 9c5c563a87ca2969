"""Points: windows against an enumeration of tokens, refused sizes, and plain JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.point import Point, Windows
from spanbench.presets import resolve

POINT = Point(resolve("tiny", "lean", {}, 8), tokens=20, span=8)


@given(tokens=st.integers(1, 60), span=st.integers(1, 20), prefix=st.integers(1, 3), data=st.data())
def test_windows_are_what_laying_out_every_row_gives(tokens: int, span: int, prefix: int, data: st.DataObject) -> None:
    carry = data.draw(st.integers(0, span))
    spans = [list(range(start, min(start + span, tokens))) for start in range(0, tokens, span)]
    complete = [own for own in spans if len(own) == span]
    left = spans[len(complete)] if len(spans) > len(complete) else []
    rows = [prefix + (carry if j else 0) + len(own[: span - 1]) for j, own in enumerate(complete)]
    last = prefix + (carry if complete else 0) + len(left)
    windows = Windows(tokens, span, prefix, carry)
    assert (windows.complete, windows.open, windows.open_rows) == (len(complete), len(left), last)
    assert windows.score_rows == sum(rows) + last
    assert [windows.first_rows, *[windows.inner_rows] * (len(rows) - 1)][: len(rows)] == rows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": 0}, "tokens must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"span": 0}, "span must be at least 1, got 0"),
        ({"dtype": "int8"}, "dtype: unknown value 'int8'"),
        ({"regimes": ("scoring",)}, "did you mean 'score'"),
        ({"shape": replace(POINT.shape, vocab=0)}, "vocab must be at least 1, got 0"),
        ({"shape": replace(POINT.shape, prefix=0)}, "prefix must be at least 1 slot, got 0"),
        ({"shape": replace(POINT.shape, carry=9)}, "carry must lie between 0 and the span (8), got 9"),
        ({"shape": replace(POINT.shape, mixer=replace(POINT.shape.mixer, heads=3))}, "mixer: 3 heads do not divide the width 64"),
        ({"shape": replace(POINT.shape, token=replace(POINT.shape.token, kv_heads=3))}, "do not divide its 4 heads; take one of 1, 2, 4"),
        ({"shape": replace(POINT.shape, token=replace(POINT.shape.token, layers=-1))}, "token.layers must be 0 or more, got -1"),
    ],
)
def test_a_point_that_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        replace(POINT, **change)  # type: ignore[arg-type]  # values that no caller should pass
    assert said in str(caught.value)


def test_a_point_as_json_is_plain_and_complete() -> None:
    plain = POINT.to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["shape"]["decoder"] == {"layers": 4, "width": 16, "mlp": 64, "heads": 1, "kv_heads": 1}


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2), ("float16", 2), ("float64", 8)])
def test_a_value_has_the_bytes_of_its_type(dtype: str, size: int) -> None:
    assert replace(POINT, dtype=dtype).itemsize == size
