"""Ids of a document as they are kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spanbench.store import spans


@given(ids=st.lists(st.integers(0, 2**16 - 1), max_size=20))
def test_ids_are_read_back_from_either_width(ids: list[int]) -> None:
    for kind in ("<u2", "<u4"):
        assert spans.ids_of(np.asarray(ids, dtype=kind).tobytes(), kind) == ids
