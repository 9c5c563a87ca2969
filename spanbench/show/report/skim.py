"""A line of a record parsed in part: its head whole, and of its figures those that a summary can draw.

Nine figures in ten are of single stages, and parsing them takes most of a large report's time. `spanbench verify` reads all.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import from_json

__all__ = ["DRAWN", "SUMMARISED", "TOTALS", "skimmed"]

SUMMARISED = ("cells_dense", "flops", "seconds", "joules", "peak_bytes", "bytes_compulsory", "bytes_fused", "state_bytes")
"""Quantities that a report draws against N, with the pair's ratio of each."""

DRAWN = frozenset({*SUMMARISED, *(f"ratio:{name}" for name in SUMMARISED)})
"""The names of all their series."""

TOTALS = DRAWN | {"roofline_fraction"}
"""Of what a summary needs the total; of FLOPs it needs every stage."""

_BEGIN, _BETWEEN, _END = b',"measures":[{', b"},{", b"}]}"
_NEEDED = re.compile(rf'"stage":"(?:total","quantity":"(?:{"|".join(sorted(TOTALS))})"|[a-z]+","quantity":"flops")'.encode())


def skimmed(line: bytes) -> Any:
    """Return a record's plain values, with the figures of totals and the FLOPs of stages alone.

    It is cut as `Record.to_line` writes it. What is written otherwise, or holds a cut within a text, is parsed whole.

    Raises:
        ValueError: not JSON.
    """
    head, begin, measures = line.strip().partition(_BEGIN)
    if not begin or not measures.endswith(_END):
        return from_json(line, allow_inf_nan=False)
    needed = _NEEDED.search
    kept = [figure for figure in measures.removesuffix(_END).split(_BETWEEN) if needed(figure)]
    try:
        return from_json(head + _BEGIN + _BETWEEN.join(kept) + _END, allow_inf_nan=False)
    except ValueError:
        return from_json(line, allow_inf_nan=False)
