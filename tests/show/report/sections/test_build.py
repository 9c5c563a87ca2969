from __future__ import annotations

import random
from dataclasses import replace

import pytest

from spanbench.record import Record
from spanbench.show.report.sections.build import summarise
from spanbench.show.report.summary import Report, Section
from tests.show.report.records import LAPTOP, LIMITS, SERVER, counted, machine, measured, series


def only(report: Report) -> Section:
    (section,) = report.sections
    return section


def dots(section: Section, arm: str, quantity: str, regime: str = "prefill") -> list[tuple[int, float]]:
    found = section.find(arm, regime, quantity)
    return [(dot.tokens, dot.value) for dot in found.dots] if found else []


def test_the_order_of_the_records_changes_nothing() -> None:
    records = [*series(), *series(environment=SERVER), *(counted(n, span=16) for n in (64, 256))]
    shuffled = records.copy()
    random.Random(3).shuffle(shuffled)  # noqa: S311  # an order, no secret
    assert summarise(records) == summarise(shuffled)


def test_a_record_given_twice_stands_once() -> None:
    assert summarise([*series(), *series()]) == summarise(series())


def test_every_figure_keeps_its_place_value_bounds_and_source() -> None:
    section = only(summarise([measured(256, (0.2, 0.1))]))
    found = section.find("latent", "prefill", "seconds")
    assert found is not None
    (dot,) = found.dots
    assert (dot.tokens, dot.spans, dot.value, dot.source, dot.by) == (256, 32, 0.1, "measured", "perf_counter")
    assert [dot.low, dot.high] == pytest.approx([0.09, 0.11])
    assert dots(section, "pair", "ratio:seconds") == [(256, 2.0)]


def test_two_measured_records_of_a_point_are_two_dots_and_their_counts_one() -> None:
    section = only(summarise([measured(256, (0.2, 0.1)), measured(256, (0.4, 0.1))]))
    assert dots(section, "token", "seconds") == [(256, 0.2), (256, 0.4)]
    assert len(dots(section, "token", "flops")) == 1


def test_machines_are_kept_apart_and_it_is_said() -> None:
    report = summarise([*series(environment=LAPTOP), *series(environment=SERVER), *series(environment=machine("Laptop CPU", threads=1))])
    assert [section.setup.machine for section in report.sections] == [
        "Laptop CPU, 2 cores, 1 thread",
        "Laptop CPU, 2 cores, 2 threads",
        "Server CPU, 2 cores, 2 threads",
    ]
    assert [note for note in report.notes if "3 machines" in note and "nothing is mixed" in note]
    assert {section.records for section in report.sections} == {4}


def test_conventions_are_kept_apart_and_it_is_said() -> None:
    report = summarise([counted(), counted(convention="useful"), counted(convention="causal-half")])
    assert [section.setup.convention for section in report.sections] == ["causal-half", "dense", "useful"]
    assert any("3 conventions (causal-half, dense, useful)" in note for note in report.notes)
    assert [section.setup.convention for section in report.of_convention("useful")] == ["useful"]


def test_counts_from_any_machine_stand_beside_what_one_machine_measured() -> None:
    section = only(summarise([measured(256), counted(512, environment=SERVER)]))
    assert section.setup.machine.startswith("Laptop CPU")
    assert [n for n, _ in dots(section, "token", "flops")] == [256, 512]


def test_counts_belong_to_no_machine_where_several_measured() -> None:
    report = summarise([measured(256, environment=LAPTOP), measured(256, environment=SERVER), counted(512)])
    assert sorted(section.setup.machine[:6] for section in report.sections) == ["", "Laptop", "Server"]


@pytest.mark.parametrize("field", ["dtype", "batch", "device", "tokenizer", "allocation"])
def test_what_a_curve_may_not_mix_has_sections_of_its_own(field: str) -> None:
    other = {"dtype": "bfloat16", "batch": 2, "device": "cuda", "tokenizer": "bpe", "allocation": "megabyte"}[field]
    record = counted(256)
    changed = Record(point=record.point | {field: other}, convention="dense", environment=record.environment, measures=record.measures)
    assert len(summarise([record, changed]).sections) == 2


def test_estimated_and_measured_joules_are_two_series() -> None:
    section = only(summarise([measured(256), measured(512, joules="estimated")]))
    found = [s for s in section.series if (s.arm, s.quantity) == ("token", "joules")]
    assert [(s.source, [dot.tokens for dot in s.dots]) for s in found] == [("measured", [256]), ("estimated", [512])]


def test_a_prompt_without_a_complete_span_is_drawn_but_not_fitted() -> None:
    section = only(summarise([counted(n) for n in (4, 64, 128, 256)]))
    found = section.find("latent", "prefill", "flops")
    assert found is not None
    assert [dot.spans for dot in found.dots] == [0, 8, 16, 32]
    assert found.fit.points == 3
    assert [famous.tokens for famous in section.famous] == [64, 128, 256]


def test_a_null_is_no_dot_and_its_reason_is_kept() -> None:
    section = only(summarise([counted(regimes=("score",))]))
    state = section.find("latent", "score", "state_bytes")
    assert state is not None
    assert (state.dots, state.missing) == ((), ("score keeps no state",))


def test_the_documents_ratio_is_the_squared_span_at_any_length() -> None:
    section = only(summarise([counted(n, span=8) for n in (24, 64, 100)]))
    assert [famous.ratio for famous in section.famous] == [64.0, 64.0, pytest.approx(100**2 / 12**2)]


def test_stages_sum_to_the_total_of_each_arm() -> None:
    section = only(summarise([counted(256, regimes=("score", "prefill"))]))
    assert len(section.bars) == 4
    assert all(sum(flops for _, flops in bar.stages) == bar.total for bar in section.bars)


def test_a_roof_has_what_was_counted_over_what_was_measured() -> None:
    record = measured(256, (0.2, 0.1))
    section = only(summarise([record]))
    flops, moved = (
        next(m.value for m in record.measures if (m.arm, m.stage, m.quantity) == ("latent", "total", q))
        for q in ("flops", "bytes_compulsory")
    )
    roof = next(roof for roof in section.roofs if roof.arm == "latent")
    assert flops is not None
    assert moved is not None
    assert (roof.reached, roof.intensity) == pytest.approx((flops / 0.1, flops / moved))
    assert roof.limits.flops_per_second == LIMITS["flops_per_second"]


def test_there_is_no_roof_without_limits_or_in_another_convention() -> None:
    assert only(summarise([measured(environment={"cpu": None})])).roofs == ()
    assert only(summarise([measured(convention="useful")])).roofs == ()


def test_ratios_stand_against_the_span_where_sections_differ_in_nothing_else() -> None:
    report = summarise([counted(n, span=span) for span in (8, 16, 32) for n in (64, 256)])
    flops = next(one for one in report.across if one.quantity == "ratio:flops")
    assert (flops.tokens, [dot.span for dot in flops.dots]) == (256, [8, 16, 32])
    assert summarise([counted(256, span=8), counted(256, span=16, environment=SERVER)]).across  # counts know no machine
    assert not [a for a in summarise([measured(span=8), measured(span=16, environment=SERVER)]).across if a.quantity == "ratio:seconds"]


def test_exponents_are_found_and_the_documents_statement_is_judged() -> None:
    section = only(summarise(series()))
    verdict = next(v for v in section.verdicts if v.quantity == "seconds")
    assert verdict.judgement == "refuted"
    assert verdict.sentence == (
        "prefill: the latent arm's time grows as N^1.00 [1.00, 1.00] from 64 to 512 tokens (N^1.00 between the last two): linear, "
        "not near-constant; the token arm's: N^2.00 [2.00, 2.00], quadratic."
    )


def test_constant_time_would_be_called_near_constant() -> None:
    section = only(summarise([measured(n, (n * 1e-6, 0.01)) for n in (64, 128, 256)]))
    verdict = next(v for v in section.verdicts if v.quantity == "seconds")
    assert verdict.judgement == "holds"
    assert "N^0.00 [0.00, 0.00]" in verdict.sentence
    assert ": constant, near-constant;" in verdict.sentence


def test_too_few_lengths_are_one_sentence_and_no_exponent() -> None:
    section = only(summarise(series(lengths=(64, 128))))
    assert [v.sentence for v in section.verdicts] == [
        "No exponent for the latent arm's attention cells, FLOPs, time (prefill): an exponent needs 3 lengths of prompt, there are 2."
    ]


def test_each_warning_is_told_once_with_how_many_records_have_it() -> None:
    texts = ("prefill: 2 blocks were run [few-blocks]", "prefill: 3 blocks were run [few-blocks]", "The prompt was repeated 17 times.")
    records = [
        record.model_copy(update={"warnings": [text, "The prompt was repeated 2.5 times."]})
        for record, text in zip(series(), texts, strict=False)
    ]
    section = only(summarise(records))
    assert [(caution.code, caution.records) for caution in section.cautions] == [("", 3), ("few-blocks", 2)]


def test_the_length_of_an_answer_splits_requests_alone() -> None:
    record = measured(256)
    asked = [
        Record(
            point=record.point | {"generate": said}, convention="dense", environment=record.environment,
            measures=[*record.measures, *(m.model_copy(update={"regime": "request"}) for m in record.measures)],
        )
        for said in (64, 128)
    ]  # fmt: skip
    section = only(summarise(asked))
    assert [s.generate for s in section.series if (s.arm, s.regime, s.quantity) == ("token", "request", "flops")] == [64, 128]
    assert [s.generate for s in section.series if (s.arm, s.regime, s.quantity) == ("token", "prefill", "flops")] == [None]


def test_a_setup_sorts_and_names_itself() -> None:
    setup = only(summarise([measured(256)])).setup
    assert setup.title == "tiny · lean · span 8"
    assert setup.where == "Laptop CPU, 2 cores, 2 threads · float32"
    assert replace(setup, batch=4, compiled=True, machine="").title == "tiny · lean · span 8 · batch 4 · compiled"
    assert replace(setup, machine="").where == "counted, on no machine · float32"
