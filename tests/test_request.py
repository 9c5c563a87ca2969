"""Requests: flags over a file over defaults, and the point that they mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spanbench.errors import UsageError
from spanbench.point import REGIMES
from spanbench.request import Request, parse_overrides, point_of, read_toml

TINY = Request(preset="tiny", tokens=20, span=8)


def test_defaults_are_the_documents_prompt_at_2048_tokens_and_span_32() -> None:
    point, prompt, convention = point_of(Request())
    assert (point.preset, point.allocation, point.tokens, point.span, point.batch) == ("small", "lean", 2048, 32, 1)
    assert (point.dtype, point.device, point.seed, point.regimes, convention) == ("float32", "cpu", 0, REGIMES, "dense")
    assert prompt.source == "built-in"


def test_a_flag_that_was_not_given_changes_nothing_and_sizes_are_merged() -> None:
    base = Request(preset="tiny", shape={"layers": 3, "gated": True}, seed=5)
    flagged = base.with_flags(preset=None, seed=None, tokens=7, shape={"layers": 4})
    assert flagged == replace(base, tokens=7, shape={"layers": 4, "gated": True})


def test_overrides_are_typed_where_they_are_read() -> None:
    assert parse_overrides(["layers=12", " mixer.kv_heads = 2 ", "gated=TRUE", "pool=mean", "layers=13"]) == {
        "layers": 13,
        "mixer.kv_heads": 2,
        "gated": True,
        "pool": "mean",
    }


@pytest.mark.parametrize(("alias", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16"), ("fp64", "float64")])
def test_a_precision_has_a_short_name(alias: str, dtype: str) -> None:
    assert point_of(replace(TINY, dtype=alias))[0] == point_of(replace(TINY, dtype=dtype))[0]


def test_a_regime_named_twice_is_meant_once() -> None:
    assert point_of(replace(TINY, regimes=("prefill", "score", "prefill")))[0].regimes == ("prefill", "score")


def test_a_prompt_read_before_is_cut_and_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text("a text of some thirty-odd letters")
    _, read, _ = point_of(replace(TINY, prompt=str(path), tokens=None))
    anew = point_of(replace(TINY, prompt=str(path), tokens=50, batch=2))
    path.unlink()
    assert point_of(replace(TINY, prompt=str(path), tokens=50, batch=2), read) == anew


@pytest.mark.parametrize("toml", ['regime = "prefill"', 'regime = ["prefill"]', 'regimes = ["prefill"]'])
def test_a_file_names_regimes_alone_or_in_a_list(tmp_path: Path, toml: str) -> None:
    path = tmp_path / "point.toml"
    path.write_text(toml)
    assert read_toml(str(path)).regimes == ("prefill",)


def test_sizes_in_sub_tables_and_dotted_keys_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "point.toml"
    path.write_text("[shape]\nlayers = 3\ndecoder.layers = 2\n[shape.mixer]\nkv_heads = 2\n")
    assert read_toml(str(path)).shape == {"layers": 3, "decoder.layers": 2, "mixer.kv_heads": 2}
    path.write_text('[shape]\nlayers = 3\n"decoder.layers" = 2\n"mixer.kv_heads" = 2\n')
    assert read_toml(str(path)).shape == {"layers": 3, "decoder.layers": 2, "mixer.kv_heads": 2}


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_are_known_without_torch(device: str) -> None:
    assert point_of(replace(TINY, device=device))[0].device == device


@pytest.mark.parametrize("device", ["", "CPU", "cpu:0", "cuda:", "cuda:-1", "mps", "cuda:0\n"])
def test_other_devices_are_not(device: str) -> None:
    with pytest.raises(UsageError, match="--device: unknown value"):
        point_of(replace(TINY, device=device))
