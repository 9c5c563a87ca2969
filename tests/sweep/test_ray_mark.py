"""Records that Ray's daemons disturbed say so; nothing else of a record changes."""

from __future__ import annotations

from typing import Any

import pytest

from spanbench.errors import UsageError
from spanbench.record import Measure, Record
from spanbench.sweep.ray import DAEMONS, marked

LARGEST = 2**63 - 1


def record(device: str, *sources: Any, environment: dict[str, Any] | None = None, warnings: tuple[str, ...] = ()) -> Record:
    measures = [
        Measure(arm="token", regime="score", stage="total", quantity="flops", value=LARGEST, unit="FLOP", source=source, by="test")
        for source in sources
    ]
    point = {"device": device, "tokens": 24}
    return Record(point=point, convention="dense", environment=environment or {}, warnings=list(warnings), measures=measures)


@pytest.mark.parametrize(
    ("device", "sources", "disturbed"),
    [
        ("cpu", ["counted", "measured"], True),
        ("cpu", ["counted", "estimated"], True),
        ("cpu", ["counted", "modelled"], False),
        ("cpu", ["counted"], False),
        ("cuda", ["counted", "measured"], False),
    ],
)
def test_only_what_was_timed_on_a_cpu_is_warned_of(device: str, sources: list[str], disturbed: bool) -> None:
    after = Record.from_line(marked(record(device, *sources).to_line()))
    assert [f"[{DAEMONS}]" in warning for warning in after.warnings] == [True] * disturbed
    assert after.environment == {"sweep": {"engine": "ray"}}


def test_everything_else_stays_as_it_was() -> None:
    before = record("cpu", "counted", "measured", environment={"cpu": "a", "sweep": {"attempts": 2, "engine": "local"}}, warnings=("one",))
    after = Record.from_line(marked(before.to_line()))
    assert after.environment == {"cpu": "a", "sweep": {"attempts": 2, "engine": "ray"}}
    assert (after.id, after.point, after.measures, after.warnings[0]) == (before.id, before.point, before.measures, "one")
    assert after.measures[0].value == LARGEST


def test_a_second_mark_changes_nothing() -> None:
    once = marked(record("cpu", "measured").to_line())
    assert marked(once) == once


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(UsageError, match="not a spanbench record"):
        marked("{}\n")
