"""Span keys without torch are those of the model's side."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spanbench.store import keys, spans


@given(ids=st.lists(st.integers(0, 2**31), max_size=40), span=st.integers(1, 9))
def test_span_keys_are_the_same_with_and_without_torch(ids: list[int], span: int) -> None:
    assert spans.span_keys(ids, span) == keys.span_keys(ids, span)


@given(ids=st.lists(st.integers(0, 2**16 - 1), max_size=20))
def test_ids_are_read_back_from_either_width(ids: list[int]) -> None:
    for kind in ("<u2", "<u4"):
        assert spans.ids_of(np.asarray(ids, dtype=kind).tobytes(), kind) == ids
