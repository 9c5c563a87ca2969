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
_HEAD = re.compile(rb'"arm":"[a-z]+","regime":"[a-z_]+","stage":"[a-z]+","quantity":"')
_NEEDED = re.compile(
    rf'"arm":"[a-z]+","regime":"[a-z_]+","stage":"(?:total","quantity":"(?:{"|".join(sorted(TOTALS))})"|[a-z]+","quantity":"flops")[^}}]*'.encode()
)


def skimmed(line: bytes) -> Any:
    """Return a record's plain values, with the figures of totals and the FLOPs of stages alone.

    They are found as `Record.to_line` writes them. What is written otherwise, or has a brace within a text, is parsed whole.

    Raises:
        ValueError: not JSON.
    """
    head, begin, measures = line.strip().partition(_BEGIN)
    if not (begin and measures.endswith(_END) and _alike(measures)):
        return from_json(line, allow_inf_nan=False)
    try:
        return from_json(head + _BEGIN + _BETWEEN.join(_NEEDED.findall(measures)) + _END, allow_inf_nan=False)
    except ValueError:
        return from_json(line, allow_inf_nan=False)


def _alike(measures: bytes) -> bool:
    """Tell whether the first and the last figure begin as the writer's do: one writer wrote all of a line."""
    last = measures.rpartition(_BETWEEN)[2]
    return bool(_HEAD.match(measures) and _HEAD.match(last))
