"""`--batch max`: the largest batch that fits, found by the estimate, and said with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.measure.host.memory import available_bytes
from spanbench.point import Point, Regime
from spanbench.presets import resolve
from spanbench.prompt import BYTES_PER_TOKEN
from spanbench.request import Request, point_of
from spanbench.run.fit import MARGIN, RUNTIME_BYTES, largest_batch, needed_bytes
from tests.cli.running import Cli

known_memory = pytest.mark.skipif(available_bytes() is None, reason="this system does not say how much memory is free")

# Of a long prompt few fit anywhere, so that a batch of all that fit is counted at once.
LONG = ("count", "--preset", "gpt2", "--tokens", "8192", "--span", "64", "--regime", "decode", "--format", "json")


def at(tokens: int = 512, regimes: tuple[Regime, ...] = ("decode",), preset: str = "small", **others: Any) -> Point:
    return Point(resolve(preset, "lean", {}, 32), tokens, 32, regimes=regimes, preset=preset, **others)


# ---- the search -----------------------------------------------------------------------------------------------------


def fits(point: Point, batch: int, free: int) -> bool:
    """Say whether a batch fits, without the search: estimate and ids (40 bytes a token, at once and twice the tokens)."""
    ids = 2 * BYTES_PER_TOKEN * (point.tokens + point.generate) * batch
    return needed_bytes(replace(point, batch=batch)) + ids <= int(free * (1 - MARGIN))


@settings(deadline=None, max_examples=40)
@given(st.integers(2**20, 2**36), st.sampled_from([1, 32, 500]), st.sampled_from([("score",), ("decode",), ("prefill", "request")]))
def test_it_fits_and_one_more_does_not(free: int, tokens: int, regimes: tuple[Regime, ...]) -> None:
    point = at(tokens, regimes)
    found = largest_batch(point, free)
    assert not fits(point, found.batch + 1, free)
    assert fits(point, found.batch, free) or found.batch == 1


def test_it_is_what_counting_up_finds() -> None:
    point, free = at(2048), 3 * 2**30
    assert largest_batch(point, free).batch == next(batch for batch in range(1, 1000) if not fits(point, batch + 1, free))


def test_the_batch_of_the_point_does_not_matter() -> None:
    assert largest_batch(at(batch=7), 2**33) == largest_batch(at(), 2**33)


def test_each_arm_s_own_batch_is_its_memory_less_its_weights_over_its_state() -> None:
    """The dense arm by hand: keys and values of N + S tokens, 8 layers of width 512, 4 bytes; weights of `small`."""
    free = 2**33
    own = largest_batch(at(), free).own
    weights = 8 * (4 * 512 * 512 + 2 * 512 * 2048 + 2 * 512) + 2 * 257 * 512 + 512
    state = 2 * 8 * 512 * (512 + 32) * 4
    assert own["token"] == (int(free * (1 - MARGIN)) - RUNTIME_BYTES - 4 * weights) // state
    assert own["latent"] > 8 * own["token"]


def test_where_not_one_fits_one_is_taken_and_said() -> None:
    found = largest_batch(at(preset="llama-7b"), 2**30)
    assert found.batch == 1
    assert dict(found.own) == {"token": 0, "latent": 0}
    assert "not even 1 fits, 1 is counted (1.00 GiB free on cpu" in found.why


def test_what_will_be_said_needs_room_too() -> None:
    brief, long = (at(512, ("request",), generate=generate) for generate in (2, 2000))
    assert needed_bytes(brief) < needed_bytes(long)
    assert largest_batch(long, 2**33).batch < largest_batch(brief, 2**33).batch
    assert needed_bytes(at(512, ("prefill",), generate=2)) == needed_bytes(at(512, ("prefill",), generate=2000))


# ---- the option -----------------------------------------------------------------------------------------------------


def data(cli: Cli, *more: str | Path) -> Mapping[str, Any]:
    record: Mapping[str, Any] = json.loads(cli.data(*LONG, *more))
    return record


@known_memory
def test_count_takes_it_and_says_why(cli: Cli) -> None:
    record = data(cli, "--batch", "max")
    assert record["point"]["batch"] >= 1
    (why, *_) = record["warnings"]
    assert why.startswith("Batch max: ")
    assert " in the token arm and " in why
    taken = why.removeprefix("Batch max: ").split(" ")[0].replace(",", "")
    assert taken in {str(record["point"]["batch"]), "not"}


@known_memory
def test_a_number_on_the_command_line_wins_over_max_in_a_file(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "long.toml"
    config.write_text('batch = "max"\n')
    assert data(cli, "--config", config)["warnings"][0].startswith("Batch max: ")
    plain = data(cli, "--config", config, "--batch", "1")
    assert plain["point"]["batch"] == 1
    assert not any(line.startswith("Batch max") for line in plain["warnings"])


@known_memory
def test_a_batch_that_was_found_is_the_same_question_as_one_that_was_given(cli: Cli) -> None:
    found = data(cli, "--batch", "max")
    assert data(cli, "--batch", str(found["point"]["batch"]))["id"] == found["id"]


def test_standard_input_of_unknown_length_is_refused(cli: Cli) -> None:
    line = cli.fails("count", "--prompt", "-", "--batch", "max")
    assert line == "--batch max: needs the prompt's length before standard input is read; give --tokens"


@pytest.mark.parametrize("text", ["most", "MAX", "1.5", ""])
def test_any_other_word_is_refused(cli: Cli, text: str) -> None:
    assert cli.fails("count", "--batch", text).startswith(f"--batch {text!r}: must be a whole number")


@pytest.mark.parametrize("key", ["largest", "note"])
def test_how_it_is_kept_is_no_key_of_a_file(cli: Cli, tmp_path: Path, key: str) -> None:
    config = tmp_path / "odd.toml"
    config.write_text(f"{key} = true\n")
    assert f"unknown key {key!r}" in cli.fails("count", "--config", config)


def test_a_request_that_was_not_settled_is_not_run_as_one_prompt() -> None:
    request = Request(preset="tiny", tokens=24, span=8).with_flags(batch="max")
    with pytest.raises(UsageError, match="was not looked for yet"):
        point_of(request)
    settled = request.with_batch(5, "because")
    assert (settled.batch, settled.largest, settled.note) == (5, False, "because")
    assert point_of(settled)[0].batch == 5
