"""From text to values, from values to requests, from requests to jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.record import record_id
from spanbench.request import Request, point_of
from spanbench.sweep.grid import AXES, Grid, overrides_of, read_grids
from spanbench.sweep.job import Job
from spanbench.sweep.plan import Planned, plan_of, request_of, shard_of
from spanbench.sweep.values import batches, names, wholes

TIMING = {"max_seconds": 1.0}

# ---- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("24,64..1024", [24, 64, 128, 256, 512, 1024]),
        ("24", [24]),
        ("64..1000", [64, 128, 256, 512]),
        ("8..32/8", [8, 16, 24, 32]),
        ("8..33/8", [8, 16, 24, 32]),
        ("5..5", [5]),
        ("0..2/1", [0, 1, 2]),
        (" 4 , 2, 4 ", [4, 2]),
        (7, [7]),
        ([1, "2..8"], [1, 2, 4, 8]),
    ],
)
def test_lists_doublings_and_steps(text: Any, values: list[int]) -> None:
    assert wholes("--tokens", text) == values


@given(st.integers(1, 10**6), st.integers(0, 30))
def test_a_doubling_ends_where_it_would_pass_the_end(first: int, doublings: int) -> None:
    found = wholes("--tokens", f"{first}..{first << doublings}")
    assert found == [first << n for n in range(doublings + 1)]
    assert wholes("--tokens", f"{first}..{(first << doublings) + first // 2}") == found or first == 1


@given(st.lists(st.integers(0, 10**17), min_size=1, max_size=20))
def test_a_list_of_numbers_is_itself_without_repeats(values: list[int]) -> None:
    assert wholes("--seed", ",".join(map(str, values))) == list(dict.fromkeys(values))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no value"),
        (",", "names no value"),
        ([], "names no value"),
        ("x", "must be whole numbers and ranges"),
        ("-3", "must be whole numbers and ranges"),
        ("1.5", "must be whole numbers and ranges"),
        ("64..8", "runs backwards"),
        ("0..8", "0 cannot be doubled"),
        ("1..8/0", "a step of 0 never ends"),
        ("1..999999999999999999/1", "more than 1,000,000 values"),
        ("1" * 19, "must be whole numbers and ranges"),
        (1.5, "must be a whole number or text"),
        (True, "must be a whole number or text"),
    ],
)
def test_what_is_no_axis_is_one_clear_line(text: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"--tokens .*{message}|--tokens: {message}"):
        wholes("--tokens", text)


def test_a_batch_may_be_the_largest_and_names_are_names() -> None:
    assert batches("--batch", "1,8,max,8") == [1, 8, "max"]
    assert names("--preset", "tiny, small,tiny") == ["tiny", "small"]


# ---- grids ----------------------------------------------------------------------------------------------------------


def test_the_product_has_every_combination_with_lengths_changing_fastest() -> None:
    grid = Grid.of(tokens="8,16", span="4,8", allocation="lean,block", shape={"carry": ["0", "1"]}, regimes="score,decode")
    requests = list(grid.requests())
    assert len(requests) == grid.points == 16
    assert [request.tokens for request in requests[:4]] == [8, 16, 8, 16]
    assert {(r.tokens, r.span, r.allocation, r.shape["carry"]) for r in requests} == {
        (n, s, a, c) for n in (8, 16) for s in (4, 8) for a in ("lean", "block") for c in (0, 1)
    }
    assert {request.regimes for request in requests} == {("score", "decode")}


def test_nothing_given_is_the_one_default_point() -> None:
    assert list(Grid.of().requests()) == [Request()]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "smal"}, "did you mean 'small'"),
        ({"allocation": "leen"}, "did you mean 'lean'"),
        ({"dtype": "float33"}, "did you mean 'float32'"),
        ({"device": "tpu"}, "--device: unknown value 'tpu'"),
        ({"regimes": "scores"}, "did you mean 'score'"),
        ({"convention": "full"}, "--convention: unknown value"),
        ({"span": "8,0"}, "--span 0: must be at least 1"),
        ({"tokens": "0"}, "--tokens 0: must be at least 1"),
        ({"batch": "0"}, "--batch 0: must be at least 1"),
        ({"shape": {"layer": ["3"]}}, "did you mean 'layers'"),
        ({"shape": {"layers": ["x"]}}, "--set layers=x: must be a whole number"),
    ],
)
def test_a_slip_is_refused_and_not_skipped(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Grid.of(**given)


def test_sizes_are_lists_too() -> None:
    assert overrides_of(["carry=0,8", "pool=mean"]) == {"carry": ["0", "8"], "pool": ["mean"]}
    with pytest.raises(UsageError, match="must be KEY=VALUE"):
        overrides_of(["carry"])


def test_tables_of_a_file_add_up_share_what_stands_above_them_and_give_way_to_flags(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        'preset = "tiny"\nregime = ["prefill"]\n'
        '[[grid]]\ntokens = ["8..32"]\nspan = 4\n[grid.shape]\ncarry = [0, 2]\nmixer = { layers = 3 }\n'
        '[[grid]]\ntokens = [24, 48]\nspan = [8, 16]\nbatch = [1, "max"]\n'
    )
    first, second = read_grids(str(path))
    assert (first.points, second.points) == (6, 8)
    assert {request.preset for grid in (first, second) for request in grid.requests()} == {"tiny"}
    assert {request.shape["mixer.layers"] for request in first.requests()} == {3}
    assert {request.largest for request in second.requests()} == {False, True}
    assert {request.regimes for request in second.requests()} == {("prefill",)}
    over = second.over(Grid.of(tokens="7"))
    assert {request.tokens for request in over.requests()} == {7}
    assert over.points == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tokens = ", "is not TOML"),
        ("token = 3", "unknown key — did you mean 'tokens'"),
        ("grid = 3", "no list of tables"),
        ("grid = []", "no list of tables"),
        ("tokens = []", "names no value"),
        ("tokens = 1.5", "must be a whole number or text"),
        ("prompt = ['a', 'b']", "is one value for a whole sweep"),
        ("shape = 3", "is not a table"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as raised:
        read_grids(str(path))
    assert str(path) in str(raised.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_grids(str(tmp_path / "none.toml"))


# ---- jobs -----------------------------------------------------------------------------------------------------------


def planned(**axes: Any) -> list[Planned]:
    return list(plan_of(Grid.of(**{"preset": "tiny", "tokens": "8,16", "span": "4", **axes}).requests(), None).points)


def test_a_job_s_key_is_the_id_that_its_record_will_have() -> None:
    for one in planned(span="4,8"):
        point, _, convention = point_of(request_of(one.job))
        assert one.job.key == record_id(point.to_json(), convention)
        assert one.point == point


def test_a_job_travels_as_json() -> None:
    plan = plan_of(Grid.of(preset="tiny", tokens="8", span="4", shape={"carry": ["2"]}, batch="max").requests(), TIMING)
    (one,) = plan.points
    again = Job.from_json(one.job.to_json())
    assert again == one.job
    assert json.loads(one.job.to_json())["request"]["regimes"] == ["score", "prefill"]
    assert request_of(again).largest
    assert (again.device, dict(again.timing or {})) == ("cpu", TIMING)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"key": "a"}'])
def test_what_is_no_job_is_one_clear_line(text: str) -> None:
    with pytest.raises(UsageError, match="is no job"):
        Job.from_json(text)


def test_the_largest_batch_has_a_key_of_its_own_and_a_counted_job_needs_no_device() -> None:
    one, largest = planned(tokens="8", batch="1,max")
    assert largest.job.key == f"{one.job.key}-max"
    assert one.job.device is None
    assert (one.largest, largest.largest) == (False, True)


def test_combinations_that_cannot_be_built_are_skipped_with_their_reason_and_repeats_counted() -> None:
    grid = Grid.of(preset="tiny", tokens="8,16", span="4,7", allocation="lean,mixer-only")
    plan = plan_of([*grid.requests(), *grid.requests()], None)
    assert len(plan.points) == 6
    assert plan.repeated == 6
    assert {skip.what for skip in plan.skipped} == {"tiny mixer-only 8/7", "tiny mixer-only 16/7"}
    assert all("needs a span that divides the mixer width 64" in skip.reason for skip in plan.skipped)


def test_dtypes_by_another_name_are_the_same_point() -> None:
    assert len(planned(tokens="8", dtype="float32,fp32")) == 1


def test_a_grid_of_which_nothing_can_be_built_is_empty() -> None:
    with pytest.raises(UsageError, match="an empty grid: none of its 2 points can be built; the first, tiny mixer-only 8/7: "):
        planned(span="7", allocation="mixer-only")


def test_standard_input_is_no_prompt_of_a_sweep() -> None:
    with pytest.raises(UsageError, match="standard input can be read only once"):
        planned(prompt="-")


def test_ids_beyond_memory_are_skipped_before_they_are_made() -> None:
    plan = plan_of(Grid.of(preset="tiny", tokens="8,1000000000000", span="4").requests(), None, free=2**30)
    assert len(plan.points) == 1
    assert "the ids alone need about" in plan.skipped[0].reason


@given(st.integers(1, 12), st.integers(1, 40))
def test_shards_share_no_point_and_leave_none_out(parts: int, length: int) -> None:
    points: list[Any] = list(range(length))
    found = [shard_of(points, f"{part}/{parts}") for part in range(1, parts + 1)]
    assert sorted(point for shard in found for point in shard) == points  # type: ignore[type-var]  # numbers stand for points
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "1/", "/4", "a/b", "1/0", "-1/2", "1/1e9"])
def test_what_is_no_shard_is_one_clear_line(shard: str) -> None:
    with pytest.raises(UsageError, match="must be i/n with i from 1 to n"):
        shard_of([], shard)


def test_every_axis_is_a_field_of_a_request() -> None:
    assert set(AXES) <= set(Request.__dataclass_fields__)


def test_a_grid_of_more_points_than_a_machine_word_can_count_has_a_number() -> None:
    many = "1..1000000/1"
    assert Grid.of(tokens=many, generate=many, seed=many, span=many).points == 10**24


def test_the_plural_is_no_key_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text('regime = "score"\nregimes = "prefill"\n')
    with pytest.raises(UsageError, match="regimes: unknown key — did you mean 'regime'"):
        read_grids(str(path))


def test_a_size_given_twice_adds_its_values() -> None:
    assert overrides_of(["carry=0", "carry=8", "pool=mean"]) == {"carry": ["0", "8"], "pool": ["mean"]}
