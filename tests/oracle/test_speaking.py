"""Each step against the interpreter, which knows no steps: it reads the whole text again, one scalar multiply at a time.

What a step executes is the difference between reading n + 1 tokens and reading n, since no row of a causal pass looks
ahead. Only a new window starts afresh, and of a memory only the newest latent is new.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import step_forms
from spanbench.model.speak import start_session
from spanbench.point import Point
from tests.oracle.arithmetic import Matrix, Stage, Work
from tests.oracle.points import tiny_point
from tests.oracle.test_interpreter import TOLERANCE, Weights, counted, interpret, random_pair, weights_of

POINTS = 32
STAGES = {"token": ("embedding", "layers", "head"), "latent": ("embedding", "encoder", "mixer", "bridge", "decoder", "head")}


def texts(point: Point) -> list[list[int]]:
    """Return N + S ids a prompt."""
    generator = torch.Generator().manual_seed(point.seed)
    rows: list[list[int]] = torch.randint(point.shape.vocab, (point.batch, point.tokens + point.span), generator=generator).tolist()
    return rows


def read(point: Point, arm: str, weights: Weights, text: list[list[int]], tokens: int) -> tuple[Matrix, dict[str, Stage]]:
    """Return the logits after so many tokens of each prompt, and all the work of reading them from the beginning."""
    work = Work()
    logits = [interpret(point, arm, "prefill", weights, row[:tokens], work)[0] for row in text]
    return logits, {stage: work[stage] for stage in STAGES[arm]}


def less(one: Stage, other: Stage) -> Stage:
    return Stage(one.multiplies - other.multiplies, one.cells - other.cells, one.mlp_rows - other.mlp_rows)


def of_the_step(point: Point, arm: str, n: int, before: dict[str, Stage], after: dict[str, Stage]) -> dict[str, Stage]:
    """Return what reading the token after n adds."""
    step = {stage: less(work, before[stage]) for stage, work in after.items()}
    step["head"] = after["head"]  # both end with one row
    if arm == "latent" and (n + 1) % point.span == 0:
        shape, older = point.shape, n // point.span
        kept = 2 * older * shape.mixer.width * shape.decoder.kv_width * shape.decoder.layers if shape.cross_attention else 0
        step["bridge"], step["decoder"] = after["bridge"], less(after["decoder"], Stage(point.batch * kept, 0, 0))
    return step


@pytest.mark.parametrize("index", range(POINTS))
def test_every_step_of_decode_says_and_costs_what_reading_one_token_more_does(index: int) -> None:
    point = replace(tiny_point(index), dtype="float64")
    pair, text = random_pair(point), texts(point)
    prompts = [row[: point.tokens] for row in text]
    rows = distinct_rows(prompts, point, [row[point.tokens :] for row in text])
    for arm, model in pair.arms().items():
        weights, forms = weights_of(pair)[arm], step_forms(point, "decode", rows)[arm]
        session, _ = start_session(model, prompts, point.span)
        _, before = read(point, arm, weights, text, point.tokens)
        for n, form in enumerate(forms, point.tokens):
            expected, after = read(point, arm, weights, text, n + 1)
            with torch.inference_mode():
                logits = session.step(torch.tensor([row[n] for row in text]))
            worst = (logits - torch.tensor(expected, dtype=torch.float64)).abs().max().item()
            assert worst <= TOLERANCE["float64"], f"{arm} after {n} tokens: logits differ by {worst} at {point}"
            assert counted(form) == of_the_step(point, arm, n, before, after), f"{arm} after {n} tokens at {point}"
            before = after
