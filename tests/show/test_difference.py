from __future__ import annotations

from typing import Any

import pytest

from spanbench.errors import NothingMeasured
from spanbench.record import Record
from spanbench.show.diff import render_diff
from spanbench.show.difference import Differences, NotComparable, compare_records, paired
from spanbench.show.formats import FORMATS
from tests.show.report.records import LAPTOP, SERVER, counted, measured


def with_measure(record: Record, quantity: str, **changes: Any) -> Record:
    rows = [m.model_copy(update=changes) if (m.arm, m.stage, m.quantity) == ("latent", "total", quantity) else m for m in record.measures]
    return record.model_copy(update={"measures": rows})


def flops(record: Record) -> int:
    return next(int(m.value or 0) for m in record.measures if (m.arm, m.stage, m.quantity) == ("latent", "total", "flops"))


def test_a_record_does_not_differ_from_itself() -> None:
    found = compare_records(measured(), measured())
    assert (found.point, found.environment, found.counts, found.same_counts) == ((), (), (), True)
    assert {one.judged for one in found.noisy} == {"~"}
    assert found.equal == sum(m.source == "counted" and m.arm != "pair" for m in measured().measures)


def test_one_count_off_by_one_is_found_to_the_digit() -> None:
    a = counted()
    found = compare_records(a, with_measure(a, "flops", value=flops(a) + 1))
    assert not found.same_counts
    assert [(c.arm, c.quantity, (c.b or 0) - (c.a or 0)) for c in found.counts] == [("latent", "flops", 1)]
    text = render_diff(Differences((found,), (), ()))
    assert "1 differ" in text
    assert "+1" in text


def test_a_count_that_one_record_does_not_know_is_told_and_is_no_difference() -> None:
    a = counted()
    found = compare_records(a, with_measure(a, "flops", value=None, reason="it was not counted"))
    assert found.same_counts
    assert [(c.quantity, c.b) for c in found.counts] == [("flops", None)]
    assert "Known in A alone: 1 counts of prefill." in render_diff(Differences((found,), (), ()), "markdown")


@pytest.mark.parametrize(("seconds", "judged"), [(0.1, "~"), (0.115, "~"), (0.13, "≠"), (0.05, "≠")])
def test_noisy_figures_are_judged_by_whether_their_intervals_overlap(seconds: float, judged: str) -> None:
    found = compare_records(measured(seconds=(0.2, 0.1)), measured(seconds=(0.2, seconds)))
    (latent,) = [one for one in found.noisy if (one.arm, one.quantity) == ("latent", "seconds")]
    assert latent.judged == judged
    assert found.same_counts


def test_without_an_interval_nothing_is_judged() -> None:
    a = with_measure(measured(), "seconds", low=None, high=None)
    found = compare_records(a, with_measure(a, "seconds", value=0.3))
    assert [one.judged for one in found.noisy if (one.arm, one.quantity) == ("latent", "seconds")] == ["?"]


def test_point_and_surroundings_are_compared_leaf_by_leaf_and_passing_ones_not() -> None:
    ours = LAPTOP | {"time_utc": "2026-01-01", "load_average": [1.0]}
    theirs = SERVER | {"time_utc": "2026-01-02", "load_average": [2.0]}
    found = compare_records(counted(64, environment=ours), counted(128, environment=theirs))
    assert [(c.name, c.a, c.b) for c in found.point] == [("tokens", 64, 128)]
    assert [(c.name, c.a, c.b) for c in found.environment] == [("cpu.model", "Laptop CPU", "Server CPU")]


def test_two_conventions_are_not_comparable() -> None:
    with pytest.raises(NotComparable, match="dense and useful"):
        compare_records(counted(), counted(convention="useful"))
    assert NotComparable.exit_code == 3


def test_records_of_files_are_paired_by_id_and_the_rest_is_named() -> None:
    a, b, c = counted(64), counted(128), counted(256)
    found = paired([a, b, b], [c, b])
    assert [(pair.a.id, pair.b.id) for pair in found.pairs] == [(b.id, b.id)]
    assert (found.only_a, found.only_b) == ((a.id, b.id), (c.id,))


def test_two_single_records_are_compared_whatever_their_points() -> None:
    assert len(paired([counted(64)], [counted(128)]).pairs) == 1


def test_files_without_a_common_id_have_nothing_to_compare() -> None:
    with pytest.raises(NothingMeasured, match="no record's id is in both"):
        paired([counted(64), counted(128)], [counted(256)])


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_has_equal_and_unequal_records(fmt: str) -> None:
    equal = paired([measured()], [measured()])
    unequal = paired([measured(64)], [measured(128, environment=SERVER, regimes=("score", "prefill"))])
    assert render_diff(equal, fmt) != render_diff(unequal, fmt)
