from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.count.distinct import Distinct, StepRows
from spanbench.count.explain import Term, definitions, explain, step_definitions
from spanbench.count.formula import closed_form, step_forms
from spanbench.count.formula.expression import letter, number
from spanbench.point import ALL_REGIMES, Point, Regime
from spanbench.presets import resolve
from spanbench.tally import CONVENTIONS, Convention, Tally
from tests.count.points import points

regimes, conventions = st.sampled_from(ALL_REGIMES), st.sampled_from(CONVENTIONS)
ONE_ROW = Distinct(1, 1, {"score": 1, "prefill": 1}, (StepRows(1, 1, 1),) * 64)


def evaluated(term: Term) -> int | float:
    value = eval(term.numbers.replace("·", "*").replace("×", "*"), {"__builtins__": {}})  # noqa: S307 - what a reader would do
    assert isinstance(value, int | float)
    return value


def quantity_of(tally: Tally, quantity: str, convention: Convention) -> int:
    return tally.flops(convention) if quantity == "flops" else int(getattr(tally, quantity))


@given(points(), regimes, conventions)
def test_written_numbers_come_to_the_value(point: Point, regime: Regime, convention: Convention) -> None:
    for term in explain(point, regime, convention):
        assert evaluated(term) == term.value
        assert isinstance(term.value, float) == (term.arm == "pair")


@given(points(), regimes, conventions)
def test_terms_of_a_stage_sum_to_the_closed_form(point: Point, regime: Regime, convention: Convention) -> None:
    terms = explain(point, regime, convention)
    cells = "cells_useful" if convention == "useful" else "cells_dense"
    for arm, stages in closed_form(point, regime, ONE_ROW).items():
        for stage, tally in stages.items():
            for quantity in ("flops", cells):
                said = [t.value for t in terms if (t.arm, t.stage, t.quantity) == (arm, stage, quantity)]
                assert sum(said) == quantity_of(tally, quantity, convention), (arm, stage, quantity)
                assert said or quantity == cells  # every stage says something of its FLOPs, if only that it has none


def first_steps(point: Point, regime: Regime) -> dict[str, tuple[int, int]]:
    """Return, for each arm, how many tokens come before its first step, and how many steps it takes."""
    if regime != "decode_worst":
        return dict.fromkeys(("token", "latent"), (point.tokens, point.span if regime == "decode" else point.generate - 1))
    steps = {arm: [form["total"].flops() for form in forms] for arm, forms in step_forms(point, "decode", ONE_ROW).items()}
    return {arm: (point.tokens + max(range(point.span), key=lambda t: (flops[t], t)), 1) for arm, flops in steps.items()}


def letters(point: Point, tokens: int, steps: int) -> dict[str, object]:
    h, k, o = point.shape, *divmod(tokens, point.span)
    names: dict[str, object] = {"B": point.batch, "N": tokens, "n": tokens, "S": point.span, "K": k, "o": o, "P": h.prefix, "w": h.carry}
    names |= {"V": h.vocab, "Z": h.mixer.width, "steps": steps, "closings": (tokens + steps) // point.span - k}
    for suffix, stack in (("", h.token), ("e", h.encoder), ("m", h.mixer), ("d", h.decoder)):
        names |= {f"L{suffix}": stack.layers, f"D{suffix}": stack.width, f"F{suffix}": stack.mlp}
        names |= {f"G{suffix}": stack.kv_heads, f"E{suffix}": stack.head_width}
    return names


@given(points(), regimes, conventions)
def test_letters_stand_for_the_numbers_beside_them(point: Point, regime: Regime, convention: Convention) -> None:
    attn = {"attn": lambda q, keys, d: 4 * q * keys * d}
    attn["causal"] = lambda t, d: 2 * t * (t + 1) * d if convention == "useful" else 2 * t * t * d  # type: ignore[assignment,misc]
    first = first_steps(point, regime)
    for term in explain(point, regime, convention):
        if "proj" in term.formula or term.stage == "total":
            continue  # proj has its part's own F, G, E; a total's letters are the stages
        written = term.formula.replace("·", "*").replace("/", "//")
        assert eval(written, {"__builtins__": {}}, letters(point, *first[term.arm]) | attn) == term.value, term  # noqa: S307


@given(points(), st.sampled_from(("decode", "decode_worst", "request")))
def test_letters_of_steps_are_said(point: Point, regime: Regime) -> None:
    lines, first = step_definitions(point, regime), first_steps(point, regime)
    said = [
        dict(pair.split(" = ") for pair in line.removeprefix("token: ").removeprefix("latent: ").split(":")[0].split(", "))
        for line in lines
    ]
    expected = [letters(point, *first[arm]) for arm in (("token", "latent") if regime == "decode_worst" else ("token",))]
    if regime == "request" and point.generate == 1:
        expected = []
    assert said == [{name: str(names[name]) for name in line} for line, names in zip(said, expected, strict=True)]
    assert all({"K", "o", "steps", "closings"} < set(line) for line in said)


def test_steps_read_as_series() -> None:
    point = Point(resolve("small", "lean", {}, 32), 2048, 32)
    terms = {(t.arm, t.stage, t.name, t.quantity): t for t in explain(point, "decode", "dense")}
    rows = terms["token", "layers", "self-attention of each row with all rows so far", "cells_dense"]
    assert (rows.formula, rows.numbers) == ("L·1·(N + 1 + N + steps)·steps/2", "8·1·(2048 + 1 + 2048 + 32)·32//2")
    assert rows.value == 8 * sum(range(2049, 2081))
    window = terms["latent", "decoder", "rest of window K: self-attention with its rows so far", "cells_dense"]
    assert window.numbers == "4·1·(2 + 1 + 2 + 32 - 1 - 0)·(32 - 1 - 0)//2"
    mixed = terms["latent", "mixer", "self-attention with all latents so far", "cells_dense"]
    assert (mixed.formula, mixed.numbers) == ("Lm·1·(K + 1)", "8·1·(64 + 1)")


def test_a_request_says_its_prompt_and_its_steps() -> None:
    point = Point(resolve("tiny", "lean", {}, 8), 24, 8, generate=30)
    names = [t.name.partition(": ")[0] for t in explain(point, "request", "dense") if t.stage != "total"]
    assert set(names) == {"prompt", "steps"}
    (line,) = step_definitions(point, "request")
    assert line.startswith("N = 24, K = 3, o = 0, steps = 29, closings = 3: tokens before the first step")


def test_a_term_reads_as_documented() -> None:
    point = Point(resolve("small", "lean", {}, 32), 2048, 32)
    terms = {(t.arm, t.stage, t.name, t.quantity): t for t in explain(point, "score", "dense")}
    products = terms["latent", "encoder", "products of the layers", "flops"]
    assert products.formula == "K·Le·proj(S, De)"
    assert products.numbers == "64·2·(2·32·128·(2·128 + 2·2·64) + 4·32·128·512)"
    cells = terms["latent", "mixer", "self-attention", "cells_dense"]
    assert (cells.formula, cells.numbers, cells.value) == ("Lm·K·K", "8·64·64", 32768)


def test_ends_with_both_totals_and_the_ratios() -> None:
    terms = explain(Point(resolve("tiny", "lean", {}, 8), 24, 8), "prefill", "useful")
    tail = [(t.arm, t.stage, t.name) for t in terms[-6:]]
    assert tail == [
        ("token", "total", "flops"),
        ("latent", "total", "flops"),
        ("token", "total", "cells_useful"),
        ("latent", "total", "cells_useful"),
        ("pair", "total", "ratio:flops"),
        ("pair", "total", "ratio:cells_useful"),
    ]
    assert terms[-2].value == int(terms[-6].value) / int(terms[-5].value)


def test_a_latent_arm_without_attention_has_no_ratio_of_cells() -> None:
    point = Point(resolve("tiny", "mixer-only", {"mixer.layers": 0}, 8), 24, 8)
    assert [t.name for t in explain(point, "score", "dense") if t.arm == "pair"] == ["ratio:flops"]


@pytest.mark.parametrize(
    ("gated", "convention", "expected"),
    [
        (False, "dense", ["proj(T, d) = 2·T·d·(2·d + 2·G·E) + 4·T·d·F", "attn(Tq, Tk, d) = 4·Tq·Tk·d"]),
        (True, "useful", ["proj(T, d) = 2·T·d·(2·d + 2·G·E) + 6·T·d·F", "attn(Tq, Tk, d) = 4·Tq·Tk·d", "causal(T, d) = 2·T·(T + 1)·d"]),
        (False, "causal-half", ["proj(T, d) = 2·T·d·(2·d + 2·G·E) + 4·T·d·F", "attn(Tq, Tk, d) = 4·Tq·Tk·d", "causal(T, d) = 2·T·T·d"]),
    ],
)
def test_definitions_follow_the_convention_and_the_mlp(gated: bool, convention: Convention, expected: list[str]) -> None:
    point = Point(resolve("tiny", "lean", {"gated": gated}, 8), 24, 8)
    assert [line.split(":")[0] for line in definitions(point, convention)] == expected


def test_expression_keeps_parentheses_that_matter() -> None:
    a, b = letter("a", 7), letter("b", 3)
    assert ((a - (b - 1)).formula, (a - (b - 1)).written, (a - (b - 1)).value) == ("a - (b - 1)", "7 - (3 - 1)", 5)
    assert ((a + b).half().formula, ((a + b) * 2).written, (number(2) * a).formula) == ("(a + b)/2", "(7 + 3)·2", "2·a")


def test_half_of_an_odd_number_is_refused() -> None:
    with pytest.raises(ValueError, match="is odd"):
        letter("a", 7).half()
