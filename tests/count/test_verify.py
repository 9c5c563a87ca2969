from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest

from spanbench.count import cache
from spanbench.count.ledger import Counted, run_ledger
from spanbench.count.verify import equal, same_census
from spanbench.errors import CountMismatch
from spanbench.tally import Tally
from tests.count.blocks import grouped


@pytest.fixture(scope="module")
def counted() -> Counted:
    return run_ledger(grouped("meta"))


def test_equal_counts_pass_and_a_stage_without_work_may_be_missing(counted: Counted) -> None:
    equal(counted.stages, counted, "token score")
    equal({**counted.stages, "bridge": Tally()}, counted, "token score")


@pytest.mark.parametrize("field", [field.name for field in fields(Tally)])
@pytest.mark.parametrize("stage", ["embedding", "layers", "head", "total"])
def test_one_more_in_any_field_of_any_stage_is_caught(counted: Counted, stage: str, field: str) -> None:
    tally = counted.stages[stage]
    value = getattr(tally, field)
    wrong = {**counted.stages, stage: replace(tally, **{field: value + 1})}
    expected = f"latent prefill, {stage} {field}: closed form says {value + 1:,}, ledger says {value:,}"
    with pytest.raises(CountMismatch, match=expected) as caught:
        equal(wrong, counted, "latent prefill")
    assert caught.value.exit_code == 3


def test_a_stage_that_only_one_side_has_is_caught(counted: Counted) -> None:
    with pytest.raises(CountMismatch, match="bridge params: closed form says 7, ledger says 0"):
        equal({**counted.stages, "bridge": Tally(params=7)}, counted, "latent score")
    with pytest.raises(CountMismatch, match="head matrix_flops: closed form says 0"):
        equal({stage: tally for stage, tally in counted.stages.items() if stage != "head"}, counted, "token score")


def test_the_model_timed_must_run_the_same_matrix_operations(counted: Counted) -> None:
    same_census(counted.census, run_ledger(grouped("cpu")).census, "token score")
    more = counted.census + Counter({("linear", ((12, 8), (3, 8))): 1})
    with pytest.raises(CountMismatch, match=r"runs of linear 12×8 3×8: the model counted says 0, the model timed says 1"):
        same_census(counted.census, more, "token score")


# ---- the memory of what agreed --------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPANBENCH_CACHE", str(tmp_path / "own"))
    return tmp_path / "own"


def test_an_agreement_is_remembered_under_its_key_alone(home: Path) -> None:
    one, other = cache.key({"layers": 1}), cache.key({"layers": 2})
    assert one != other
    assert cache.recall(one) is None
    cache.remember(one, ["flops = 2 × fvcore"])
    assert cache.recall(one) == ["flops = 2 × fvcore"]
    assert cache.recall(other) is None
    cache.remember(other, [])
    assert cache.recall(one) == ["flops = 2 × fvcore"]
    assert [path.name for path in home.iterdir()] == ["witnesses.json"]  # no temporary file is left


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"%s": 3}', b'{"%s": [3]}'])
def test_a_broken_cache_counts_as_none_and_is_written_anew(home: Path, content: bytes) -> None:
    key = cache.key({})
    home.mkdir()
    (home / "witnesses.json").write_bytes(content.replace(b"%s", key.encode()))
    assert cache.recall(key) is None
    cache.remember(key, ["cells"])
    assert json.loads((home / "witnesses.json").read_text(encoding="utf-8"))[key] == ["cells"]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("SPANBENCH_CACHE", str(tmp_path / "file" / "deeper"))
    cache.remember(cache.key({}), ["flops"])
    assert cache.recall(cache.key({})) is None


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPANBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "spanbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "spanbench"
