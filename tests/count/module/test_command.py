from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
import torch

from spanbench.cli.module import count_module_command
from spanbench.count.module.load import InputShape, parse_input
from spanbench.errors import UncountedOperation, UsageError

FACTORIES = """
import torch
from torch import nn

def linear(): return nn.Linear(8, 3)
def number(): return 3
def broken(): raise RuntimeError("no weights here\\nsecond line")
def leaves(): raise SystemExit(1)
def embedding(): return nn.Sequential(nn.Embedding(9, 8), nn.Dropout(0.5), nn.Linear(8, 3))
made, count = nn.Linear(8, 3), 7

class Data(nn.Module):
    def forward(self, x): return x[x > 0]

class Inverse(nn.Module):
    def forward(self, x, *, other): return torch.linalg.inv(x) @ other

class Scope:
    class Inner(nn.Identity): ...
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_factories.py").write_text(FACTORIES)
    (tmp_path / "my_broken_file.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_factories", raising=False)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("factory", "text", "device", "flops"), [
    ("linear", "2x8", "meta", 96), ("made", "2x8", "cpu", 96), ("embedding", "2x5:int64", "meta", 480),
    ("embedding", "2x5:int64", "cpu", 480),
    ("Scope.Inner", "7", "meta", 0), ("Data", "4", "cpu", 0),
])  # fmt: skip
def test_a_module_is_made_and_counted(factory: str, text: str, device: str, flops: int, capsys: pytest.CaptureFixture[str]) -> None:
    count_module_command(f"my_factories:{factory}", [text], "json", device)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["flops"], shown["macs"], shown["mode"]) == (flops, flops // 2, "eval")
    assert shown["by_module"][""] == flops


@pytest.mark.usefixtures("here")
def test_formats_show_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for fmt in ("table", "csv", "markdown"):
        count_module_command("my_factories:embedding", ["4096x128:int64"], fmt)
        shown[fmt] = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(shown["csv"])))
    assert [row["value"] for row in rows if row["scope"] == "total"] == ["25165824", "12582912", "0", "0", "99", ""]
    assert {row["name"]: row["value"] for row in rows if row["scope"] == "module"} == {"": "25165824", "0": "0", "1": "0", "2": "25165824"}
    for fmt in ("table", "markdown"):
        assert "25,165,824" in shown[fmt]
        assert "bytes, compulsory unknown: ids without contents (meta) look up a table of 9 x 8" in " ".join(shown[fmt].split())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("module", "inputs", "says"), [
    ("my_factories", ["2x8"], "pkg.mod:factory"),
    (":linear", ["2x8"], "pkg.mod:factory"),
    ("my factories:linear", ["2x8"], "pkg.mod:factory"),
    ("nowhere_at_all:linear", ["2x8"], "cannot import 'nowhere_at_all'"),
    ("my_broken_file:linear", ["2x8"], "not_installed_anywhere"),
    ("my_factories:linera", ["2x8"], "did you mean 'linear'"),
    ("my_factories:zzzzzz", ["2x8"], "does not have"),
    ("my_factories:number", ["2x8"], "returned int"),
    ("my_factories:count", ["2x8"], "is of type int"),
    ("my_factories:broken", ["2x8"], "raised RuntimeError: no weights here"),
    ("my_factories:leaves", ["2x8"], "raised SystemExit"),
    ("my_factories:linear", ["2x7"], "--input 2x7 raised RuntimeError"),
    ("my_factories:linear", [], "--input (none) raised TypeError"),
    ("my_factories:Data", ["4"], "--device cpu"),
    ("my_factories:linear", ["x=2x8", "x=2x8"], "'x' is given twice"),
    ("my_factories:linear", ["abc"], "'abc' is not a shape"),
])  # fmt: skip
def test_a_users_mistake_is_one_line_and_exit_code_2(module: str, inputs: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        count_module_command(module, inputs)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.usefixtures("here")
def test_an_operation_nobody_knows_is_exit_code_3() -> None:
    with pytest.raises(UncountedOperation, match="linalg_inv_ex") as error:
        count_module_command("my_factories:Inverse", ["3x3", "other=3x3"])
    assert error.value.exit_code == 3


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "meta:0", "cuda:99"])
def test_a_device_that_is_not_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        count_module_command("torch.nn:Identity", ["2"], device=device)


@pytest.mark.parametrize(
    "text",
    ["1x3x", "x3", "abc", "", "1x-3", "1.5x2", "1x3:", "1x3:complex", "0x3", "3x0", "1×3", "=1x3", "1x3:int64:int64", "9" * 30, "4x٣"],
)
def test_what_is_no_shape_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(UsageError, match="--input"):
        parse_input(text)


def test_shapes_have_names_sizes_and_dtypes() -> None:
    assert parse_input("1x3x224x224") == InputShape(None, (1, 3, 224, 224), torch.float32)
    assert parse_input("mask=1x128:bool", "bfloat16") == InputShape("mask", (1, 128), torch.bool)
    assert parse_input(" 7 ", "bfloat16") == InputShape(None, (7,), torch.bfloat16)
    with pytest.raises(UsageError, match=r"did you mean 'int64'"):
        parse_input("1x3:int46")
