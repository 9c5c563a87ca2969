"""The table of what a user feels, and the sentence about the dearest step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.point import Point, Regime
from spanbench.prompt import load_prompt
from spanbench.record import Measure, Record, counted_measures, pair_ratio
from spanbench.show.closing import closing
from spanbench.show.compare import Compared, render_compare
from spanbench.show.reading import Footnotes, Reading
from spanbench.show.speaking import speaking_table
from spanbench.units import quantity
from tests.show.building import point

SPEAKING: tuple[Regime, ...] = ("decode", "decode_worst", "request")
FELT = (
    ("request", "first_token_seconds", 2.1, 0.3),
    ("request", "tokens_per_second", 20.5, 123.4),
    ("decode", "tokens_per_second", 31.25, 1234.5),
    ("decode", "step_seconds_p50", 0.03, 0.00061),
    ("decode", "step_seconds_p90", 0.031, 0.00065),
    ("decode", "step_seconds_max", 0.0333, 0.0481),
    ("decode", "edge_jitter", 1.004, 78.5),
    ("decode_worst", "seconds", 0.032, 0.048),
)


def spoken(at: Point, regimes: Sequence[Regime] = SPEAKING, felt: Sequence[tuple[str, str, float, float]] = FELT) -> Record:
    """Counts of a real point, and figures set by hand where its regimes are asked for."""
    at = replace(at, regimes=tuple(regimes))
    prompt = load_prompt(None, None, at.tokens, at.batch)
    distinct = distinct_rows(prompt.ids, at, prompt.following(at.said))
    measures: list[Measure] = []
    for regime in regimes:
        measures += counted_measures(closed_form(at, regime, distinct), None, regime, "dense", steps=at.steps(regime))
    for regime_name, name, *values in felt:
        if regime_name in regimes:
            pair = [figure(arm, regime_name, name, value) for arm, value in zip(("token", "latent"), values, strict=True)]
            ratio = pair_ratio(*pair)
            ends = {} if ratio.value is None else {"low": 0.9 * ratio.value, "high": 1.1 * ratio.value}
            measures += [*pair, ratio.model_copy(update=ends)]
    return Record(point=at.to_json(), convention="dense", measures=measures)


def figure(arm: str, regime: str, name: str, value: float | None, reason: str | None = None) -> Measure:
    row = {"arm": arm, "regime": regime, "stage": "total", "quantity": name, "value": value, "unit": quantity(name).unit}
    return Measure.model_validate(row | {"source": "measured", "by": "perf_counter", "reason": reason})


def table(record: Record, width: int = 80) -> list[str]:
    """Return the lines of the table alone."""
    lines = render_compare(Compared(record), width=width).splitlines()
    begin = next(index for index, line in enumerate(lines) if "· Speaking" in line)
    return lines[begin : begin + lines[begin:].index("")]


def cells(lines: list[str], label: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(label)]
    return [part.strip() for part in line.removeprefix(label).split("  ") if part.strip()]


# ---- the table ------------------------------------------------------------------------------------------------------


def test_what_a_user_feels_stands_in_eight_rows() -> None:
    lines = table(spoken(point()))
    assert lines[0] == "3 · Speaking: one prompt; token ÷ latent; ↑ more is better"
    assert cells(lines, "first token after") == ["2.10 s", "300 ms", "7.00×", "6.30–7.70×", "measured"]
    assert cells(lines, "tokens/s, request ↑") == ["20.5", "123", "0.166×", "0.150–0.183×", "measured"]
    assert cells(lines, "tokens/s, decode ↑") == ["31.2", "1.23 k", "0.025×", "0.023–0.028×", "measured"]
    assert cells(lines, "one step, median") == ["30.0 ms", "610 µs", "49.18×", "44.26–54.10×", "measured"]
    assert cells(lines, "one step, dearest") == ["32.0 ms", "48.0 ms", "0.667×", "0.600–0.733×", "measured"]
    assert cells(lines, "jitter at span edges") == ["1.00×", "78.50×", "0.013×", "0.012–0.014×", "measured"]
    assert len(lines) == 2 + 8


def test_bytes_and_state_are_the_counted_ones() -> None:
    at = replace(point("tiny", tokens=27, span=8), batch=3)
    record = spoken(at)
    lines = table(record, width=120)
    token, latent = (
        next(m.value for m in record.measures if (m.arm, m.regime, m.stage, m.quantity) == (arm, "decode", "total", "bytes_compulsory"))
        for arm in ("token", "latent")
    )
    assert isinstance(token, int)
    assert isinstance(latent, int)
    shown = cells(lines, "bytes per token")
    assert [float(text.removesuffix(" KiB")) for text in shown[:2]] == pytest.approx([token / 24 / 1024, latent / 24 / 1024], rel=5e-3)
    assert shown[2:] == [f"{token / latent:.2f}×", "counted"]
    # Keys and values of 27 + 63 tokens of 3 prompts, 2 layers of width 64, 4 bytes each.
    assert cells(lines, "state kept, request")[0] == f"{2 * 2 * 64 * 90 * 3 * 4:,} B"
    assert lines[0] == "3 · Speaking: 3 prompts together; token ÷ latent; ↑ more is better"


@pytest.mark.parametrize("regimes", [("decode",), ("decode", "request"), SPEAKING], ids=len)
def test_it_fits_80_columns(regimes: Sequence[Regime]) -> None:
    assert max(map(len, table(spoken(point("llama-7b"), regimes)))) <= 80


def test_counted_only_shows_what_is_counted() -> None:
    lines = table(spoken(point(), felt=()))
    assert [line.split("  ")[0] for line in lines[2:]] == ["bytes per token", "state kept, request"]


def test_without_decode_worst_the_slowest_position_is_the_dearest_step() -> None:
    assert cells(table(spoken(point(), ("decode",))), "one step, dearest")[:2] == ["33.3 ms", "48.1 ms"]


def test_what_could_not_be_measured_is_a_marked_dash_with_its_reason() -> None:
    record = spoken(point(), ("decode",), felt=())
    reason = "every step closes a span"
    missing = [figure(arm, "decode", "edge_jitter", None, reason) for arm in ("token", "latent")]
    shown = record.model_copy(update={"measures": [*record.measures, *missing, pair_ratio(*missing)]})
    assert cells(table(shown), "jitter at span edges") == ["–²", "–²", "–²", "measured"]  # ¹: element-wise work
    assert f"² {reason}" in render_compare(Compared(shown))


def test_there_is_none_where_nothing_speaks() -> None:
    silent = spoken(point("tiny", tokens=24, span=8), ("score", "prefill"))
    assert speaking_table(Reading(silent), Footnotes(), 3) is None


@pytest.mark.parametrize(("regimes", "number"), [(("score", "prefill"), 3), (("prefill", "decode"), 4)])
def test_the_documents_scale_follows_it_in_number(regimes: Sequence[Regime], number: int) -> None:
    at = point("tiny", tokens=24, span=8)
    text = render_compare(Compared(spoken(at, regimes), spoken(point("document", tokens=24, span=8), regimes, ())))
    assert f"\n{number} · At the documents' scale" in text


def test_of_a_rate_more_is_better_and_so_is_a_smaller_ratio_to_the_latent_arm_s() -> None:
    assert quantity("tokens_per_second").better == "higher"
    assert quantity("ratio:tokens_per_second").better == "lower"
    assert {quantity(f"ratio:{name}").better for _, name, *_ in FELT if name != "tokens_per_second"} == {"higher"}


# ---- the closing sentence -------------------------------------------------------------------------------------------


DEARER = "The latent arm's dearest step, once every 32 tokens, costs MORE than the dense arm's:"


def said(record: Record) -> str:
    *_, last = closing(Reading(record)).split(". ")
    return last


def test_a_dearest_step_that_costs_more_is_said_to_in_time_and_flops() -> None:
    # lean at `small`: the closing step runs the whole mixer and 32 rows of the encoder besides.
    record = spoken(point())
    ratio = Reading(record).ratio("decode_worst", "flops")
    assert ratio is not None
    assert ratio < 1
    assert said(record) == f"{DEARER} 1.50× the time and {1 / ratio:.2f}× the FLOPs."


def test_time_alone_is_said_where_only_the_time_is_more() -> None:
    record = spoken(point(), ("decode",))
    assert said(record) == f"{DEARER} 1.44× the time."


def test_a_dearest_step_that_costs_less_is_not_mentioned() -> None:
    cheap = [("decode", "step_seconds_max", 0.04, 0.03)]
    assert "dearest step," not in closing(Reading(spoken(point(), ("decode",), cheap)))
    assert "dearest step," not in closing(Reading(spoken(point("tiny", tokens=24, span=8), ("score", "prefill"))))


def test_speaking_alone_has_no_square_of_attention() -> None:
    """Cells of steps are a sum of rows of growing length: their root is no length of anything."""
    text = closing(Reading(spoken(point(), ("decode",))))
    assert text.startswith("In speaking the whole model does ")
    assert "The attention that mixes" not in text
    assert closing(Reading(spoken(point(), ("prefill", "decode")))).startswith("The attention that mixes shrinks 1024×")
