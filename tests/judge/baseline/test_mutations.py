"""Every change of every value of a baseline is seen, and its row is named."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from spanbench.cli.baseline import closed
from spanbench.errors import SpanbenchError
from spanbench.judge.baseline.comparing import compare
from spanbench.judge.baseline.file import read_baseline
from tests.judge.baseline.answers import answers, committed, judged, mutated, without

NAMES = [row.name for row in sorted(answers(), key=lambda row: row.order)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "baseline.jsonl"


def changed(lines: list[str], number: int, line: str) -> list[str]:
    return [*lines[:number], line, *lines[number + 1 :]]


def test_the_file_as_it_is_written_is_unchanged(file: Path) -> None:
    assert judged(file, committed()) == (0, "")


@pytest.mark.parametrize("number", range(1, 5))
def test_every_number_one_more_or_one_less_is_found_and_its_row_named(file: Path, number: int) -> None:
    lines, tried = committed(), 0
    for line in mutated(lines[number]):
        code, said = judged(file, changed(lines, number, line))
        assert code in {1, 3}, line
        assert NAMES[number - 1].split(",")[0] in said, said
        assert f"line {number + 1}" in said, said
        tried += 1
    assert tried > 80


@pytest.mark.parametrize("number", range(1, 5))
def test_every_key_taken_away_is_found(file: Path, number: int) -> None:
    lines = committed()
    for line in without(lines[number]):
        code, said = judged(file, changed(lines, number, line))
        assert code in {1, 3}, line
        assert f"line {number + 1}" in said, said


@pytest.mark.parametrize("place", [(), ("counts",), ("layers",), ("sizes",), ("point",)])
@pytest.mark.parametrize("value", [0, 7, {}, {"total": {"flops": 1}}, [1]])
def test_every_key_added_is_found(file: Path, place: tuple[str, ...], value: object) -> None:
    lines = committed()
    plain = json.loads(lines[1])
    holder = plain
    for key in place:
        holder = holder[key]
    holder["another"] = value
    code, said = judged(file, changed(lines, 1, json.dumps(plain)))
    assert code in {1, 3}
    assert "line 2" in said


ADDED: list[tuple[tuple[str, ...], object]] = [
    (("counts", "score", "layers"), 0),
    (("counts", "score"), {"flops": 0}),
    (("layers", "score"), []),
    (("sizes", "run"), 1),
]


@pytest.mark.parametrize(("place", "value"), ADDED)
def test_a_quantity_or_a_stage_added_deep_within_is_found(file: Path, place: tuple[str, ...], value: object) -> None:
    lines = committed()
    plain = json.loads(lines[1])
    holder = plain
    for key in place:
        holder = holder[key]
    holder["another"] = value
    assert judged(file, changed(lines, 1, json.dumps(plain)))[0] == 1


def test_every_row_taken_away_is_extra_and_named(file: Path) -> None:
    lines = committed()
    for number, name in enumerate(NAMES, 1):
        code, said = judged(file, lines[:number] + lines[number + 1 :])
        assert (code, said) == (1, f"line {len(lines) - 1}: {name}")


def test_every_row_that_stands_there_twice_is_refused_and_named(file: Path) -> None:
    lines = committed()
    for number, name in enumerate(NAMES, 1):
        code, said = judged(file, [*lines, lines[number]])
        assert code == 3
        assert name in said
        assert f"line {len(lines) + 1}" in said


def test_a_row_that_is_not_asked_for_is_missing_now_and_named(file: Path) -> None:
    lines = committed()
    plain = json.loads(lines[1])
    plain["point"]["tokens"] = 77
    code, said = judged(file, [*lines, json.dumps(plain)])
    assert (code, "77 tokens" in said) == (1, True)


def test_rows_in_any_order_are_unchanged(file: Path) -> None:
    lines, random = committed(), Random(0)  # noqa: S311 - an order, not a secret
    for _ in range(20):
        rows = lines[1:]
        random.shuffle(rows)
        assert judged(file, [lines[0], *rows]) == (0, "")


def test_keys_in_another_order_and_spaces_are_unchanged(file: Path) -> None:
    lines = [json.dumps(dict(reversed(json.loads(line).items())), indent=None) for line in committed()]
    assert judged(file, lines) == (0, "")


@pytest.mark.parametrize("lines", [[], [""], ["", ""], committed()[:1]])
def test_nothing_to_compare_is_exit_5(file: Path, lines: list[str]) -> None:
    assert judged(file, lines)[0] == 5


def test_a_header_without_points_is_exit_5(file: Path) -> None:
    lines = committed()
    assert judged(file, [json.dumps(json.loads(lines[0]) | {"points": []}), *lines[1:]])[0] == 5


def test_every_number_of_the_header_one_more_or_less_is_found(file: Path) -> None:
    """What is counted now follows the header, so a point that is asked anew is counted here too."""
    lines, codes = committed(), []
    for header in mutated(lines[0]):
        file.write_text("\n".join([header, *lines[1:]]) + "\n", encoding="utf-8")
        codes.append(code_of_now(file))
    assert set(codes) == {1, 3}


def code_of_now(file: Path) -> int:
    try:
        baseline = read_baseline(str(file))
        return int(bool(compare(baseline, closed(str(file), baseline.header), by="closed form").changes))
    except SpanbenchError as error:
        return error.exit_code
