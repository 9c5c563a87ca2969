"""The pytest plugin in real runs of pytest: what passes, what fails with which message, and what is written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules import module as hooks

import spanbench.testing.counting  # with torch, before pytester puts sys.modules back: torch cannot be loaded twice
from spanbench.errors import UsageError
from spanbench.testing import BrokenBaseline, Case, read, update
from spanbench.testing.difference import changed_modules, described

pytest_plugins = ["pytester"]

INSTALLED = bool(entry_points(group="pytest11", name="spanbench"))
PLUGIN = () if INSTALLED else ("-p", "spanbench.pytest_plugin")
UPDATE = "--spanbench-update"

MODELS = """
import torch
from torch import nn

class MLP(nn.Module):
    def __init__(self, d, f):
        super().__init__()
        self.up, self.act, self.down = nn.Linear(d, f, bias=False), nn.GELU(), nn.Linear(f, d, bias=False)

    def forward(self, x):
        return self.down(self.act(self.up(x)))

class Stack(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.last = nn.Linear(16, 4)  # registered first, runs last
        self.blocks = nn.Sequential(MLP(16, 64), MLP(16, f))

    def forward(self, x):
        return self.last(self.blocks(x))
"""
CASE = """
def test_stack(assert_counts):
    assert_counts(Stack({width}), torch.zeros(2, 8, 16), "counts.jsonl")
"""


class Project:
    """A user's project with one test file, and pytest run in it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.baseline = pytester.path / "counts.jsonl"

    def write(self, tests: str, name: str = "test_models") -> None:
        self._pytester.makepyfile(**{name: MODELS + tests})

    def run(self, *arguments: str) -> pytest.RunResult:
        return self._pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *PLUGIN, *arguments)

    def says(self, *arguments: str) -> str:
        """Run one test that must fail; return what its assertion says."""
        result = self.run(*arguments)
        result.assert_outcomes(failed=1)
        lines = [re.sub(r"^E +(AssertionError: )?", "", line) for line in result.outlines if line.startswith("E ")]
        return "\n".join(lines)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.baseline.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


# ---- create, compare, accept ----------------------------------------------------------------------------------------


def test_a_baseline_is_created_by_the_command_that_the_failure_names(project: Project) -> None:
    project.write(CASE.format(width=64))
    told = project.says()
    assert told.splitlines()[0] == (
        f"test_stack: there is no baseline counts.jsonl; create it with: pytest {UPDATE} test_models.py::test_stack"
    )
    assert not project.baseline.exists()
    project.run(UPDATE, "test_models.py::test_stack").assert_outcomes(passed=1)
    project.run().assert_outcomes(passed=1)


def test_a_line_holds_whole_numbers_that_a_reader_can_check(project: Project) -> None:
    project.write(CASE.format(width=64))
    project.run(UPDATE)
    (line,) = project.lines()
    mlp, last = 2 * 16 * 16 * 64, 2 * 16 * 16 * 4  # 2 FLOP x 16 rows x width x width, and the weights of both below
    weights = 2 * 2 * 16 * 64 + 16 * 4 + 4
    assert line == {
        "schema": 1, "name": "test_stack", "flops": 4 * mlp + last, "cells_dense": 0, "cells_useful": 0, "params": weights,
        "bytes_compulsory": 4 * (weights + 16 * 16 + 16 * 4),
        "by_module": {
            "blocks.0.up": mlp, "blocks.0.down": mlp, "blocks.0": 2 * mlp, "blocks.1.up": mlp, "blocks.1.down": mlp, "blocks.1": 2 * mlp,
            "blocks": 4 * mlp, "last": last, "": 4 * mlp + last,
        },
    }  # fmt: skip


@pytest.mark.parametrize(("width", "word", "sign"), [(65, "more", "+"), (63, "fewer", "-")])
def test_a_change_either_way_names_the_first_module_that_executes_differently(project: Project, width: int, word: str, sign: str) -> None:
    project.write(CASE.format(width=64))
    project.run(UPDATE)
    project.write(CASE.format(width=width))
    first, *others = project.says().splitlines()
    old, new = 2 * 16 * 16 * 64, 2 * 16 * 16 * width
    assert first == (
        f"test_stack: FLOPs first differ in module 'blocks.1.up': {old:,} → {new:,} ({word}: {sign}{abs(new - old)}, {sign}1.56%)"
    )
    assert [line.strip().partition(":")[0] for line in others] == [
        "flops", "params", "bytes_compulsory", "and the FLOPs of 4 more modules, those around it among them", "baseline", "accept it with",
    ]  # fmt: skip
    assert others[-2].strip() == "baseline: counts.jsonl:1"
    assert others[-1].strip() == f"accept it with: pytest {UPDATE} test_models.py::test_stack"
    project.run(UPDATE, "test_models.py::test_stack").assert_outcomes(passed=1)
    project.run().assert_outcomes(passed=1)


def test_the_command_is_given_as_seen_from_where_pytest_was_started(project: Project, pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("inner")
    pytester.makeini("[pytest]")
    (folder / "test_it.py").write_text(MODELS + CASE.format(width=64), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert f"pytest {UPDATE} test_it.py::test_stack" in project.says()


def test_a_baseline_lies_beside_the_tests_file_wherever_pytest_was_started(project: Project, pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("inner")
    (folder / "test_it.py").write_text(MODELS + CASE.format(width=64), encoding="utf-8")
    project.run(UPDATE)
    assert (folder / "counts.jsonl").exists()
    assert not project.baseline.exists()


def test_an_id_that_the_shell_would_take_apart_is_quoted(project: Project) -> None:
    project.write("import pytest\n@pytest.mark.parametrize('x', ['a b$'])" + CASE.format(width=64).replace("counts)", "counts, x)"))
    assert f"pytest {UPDATE} 'test_models.py::test_stack[a b$]'" in project.says()


def test_inputs_are_given_alone_by_position_or_by_name(project: Project) -> None:
    calls = ["x", "(x,)", "[x]", '{"input": x}']
    project.write(
        "".join(
            f"\ndef test_{i}(assert_counts):\n    x = torch.zeros(5, 3)\n    assert_counts(nn.Linear(3, 2), {call}, 'counts.jsonl')\n"
            for i, call in enumerate(calls)
        )
    )
    project.run(UPDATE).assert_outcomes(passed=4)
    lines = project.lines()
    assert [line.pop("name") for line in lines] == ["test_0", "test_1", "test_2", "test_3"]
    assert all(line == lines[0] for line in lines)
    assert lines[0]["flops"] == 2 * 5 * 3 * 2


# ---- unknown figures, modules that are refused ----------------------------------------------------------------------

BY_HAND = """
class Attend(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x) if {recognised} else (x @ x.mT).softmax(-1) @ x

def test_attention(assert_counts):
    assert_counts(Attend(), torch.zeros(1, 2, 8, 4), "counts.jsonl")
"""


def test_an_unknown_figure_is_null_and_compared_as_that(project: Project) -> None:
    project.write(BY_HAND.format(recognised=False))
    project.run(UPDATE)
    project.run().assert_outcomes(passed=1)
    (line,) = project.lines()
    assert (line["cells_dense"], line["cells_useful"]) == (None, None)
    project.write(BY_HAND.format(recognised=True))
    assert project.says().splitlines()[:2] == ["test_attention: cells_dense: unknown → 64", "cells_useful: unknown → 64"]


def test_a_figure_that_becomes_unknown_is_a_change_with_its_reason(project: Project) -> None:
    project.write(BY_HAND.format(recognised=True))
    project.run(UPDATE)
    project.write(BY_HAND.format(recognised=False))
    assert "cells_dense: 64 → unknown (aten." in project.says()


def test_a_module_that_cannot_be_counted_fails_and_writes_nothing(project: Project) -> None:
    project.write(
        "class F(nn.Module):\n    def forward(self, x):\n        return torch.fft.fft(x)\n"
        "def test_fft(assert_counts):\n    assert_counts(F(), torch.zeros(4), 'counts.jsonl')\n"
    )
    assert "fft" in project.says(UPDATE)
    assert not project.baseline.exists()


# ---- lines ----------------------------------------------------------------------------------------------------------


def two(first: str = "", second: str = "") -> str:
    return f"""
def test_b(assert_counts):
    assert_counts(nn.Linear(3, 2), torch.zeros(3), "counts.jsonl"{first})

def test_a(assert_counts):
    assert_counts(nn.Linear(3, 3), torch.zeros(3), "counts.jsonl"{second})
"""


def test_lines_are_sorted_by_name_and_updating_one_leaves_the_others(project: Project) -> None:
    project.write(two())
    project.run(UPDATE)
    before = project.baseline.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in before] == ["test_a", "test_b"]
    project.write(two().replace("(3, 3)", "(3, 4)"))
    project.run(UPDATE, "-k", "test_a")
    after = project.baseline.read_text(encoding="utf-8").splitlines()
    assert after[1] == before[1]
    assert after[0] != before[0]


def test_two_calls_for_one_line_are_refused(project: Project) -> None:
    project.write(two(', name="same"', ', name="same"'))
    result = project.run(UPDATE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*same: was asked for by test_models.py::test_b already; give each call a name of its own*"])


def test_a_missing_line_says_how_to_add_it(project: Project) -> None:
    project.write(two())
    project.run(UPDATE, "-k", "test_a")
    assert (
        project.says("-k", "test_b")
        == f"test_b: counts.jsonl has no line of this name; add it with: pytest {UPDATE} test_models.py::test_b"
    )


def test_lines_that_no_test_asks_for_are_told_of_after_a_whole_green_run_alone(project: Project) -> None:
    project.write(two())
    project.run(UPDATE)
    project.write(two().partition("def test_a")[0])
    told = f"spanbench: {project.baseline}: no test asks for 'test_a'; take lines out whose tests are gone"
    assert told in project.run().outlines
    assert told not in project.run("test_models.py").outlines
    project.write(two())
    assert not [line for line in project.run("-k", "test_b").outlines if "no test asks for" in line]


def test_what_was_written_is_told_and_writing_the_same_again_is_not(project: Project) -> None:
    project.write(two())
    told = f"spanbench: {project.baseline}: 2 lines written"
    assert told in project.run(UPDATE).outlines
    assert told not in project.run(UPDATE).outlines


# ---- files that are broken ------------------------------------------------------------------------------------------

GOOD = Case("b", dict.fromkeys(("flops", "cells_dense", "cells_useful", "params", "bytes_compulsory"), 7), {"": 7}).line()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + GOOD, ":2: 'b' stands on line 1 already"),
        (GOOD.replace("7", "7.0", 1), ":1: flops is 7.0, not a whole number"),
        (GOOD.replace('"params":7', '"params":null'), ":1: params is null, not a whole number"),
        (GOOD.replace('"cells_dense":7', '"cells_dense":true'), ":1: cells_dense is true, not a whole number or null"),
        (GOOD.replace('"cells_dense":7', '"cells_dense":-1'), ":1: cells_dense is -1"),
        (GOOD.replace('{"":7}', '{"":"7"}'), ":1: by_module '' is \"7\""),
        (GOOD.replace('{"":7}', "7"), "by_module a table"),
        (GOOD.replace('"b"', "3"), "name must be text"),
        (GOOD.replace('"schema":1', '"schema":2'), ":1: schema 2, written by a newer version of spanbench"),
        (GOOD.replace('"schema":1', '"schema":true'), ":1: schema True; this version"),
        (GOOD.replace('"params"', '"parms"'), "lacks 'params'"),
        (GOOD.replace('"params":7', '"params":7,"more":1'), "has an unknown key 'more'"),
        (GOOD.replace('"params":7', '"params":7,"params":8'), "has a key twice"),
        ("<<<<<<< HEAD\n" + GOOD, ":1: is a merge-conflict marker"),
        (GOOD + "=======\n" + GOOD, ":2: is a merge-conflict marker"),
        (GOOD + GOOD[:20], ":2: is not JSON"),
        ("[1]\n", ":1: is not the line of a case"),
        ("[" * 5000, ":1: is not JSON"),
    ],
)
def test_a_broken_baseline_is_refused_by_line_and_never_written_over(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "counts.jsonl"
    path.write_text(text, encoding="utf-8")
    for act in (lambda: read(path), lambda: update(path, Case.of(GOOD.replace('"b"', '"c"'), ""))):
        with pytest.raises(BrokenBaseline) as refused:
            act()
        assert told in str(refused.value)
        assert str(refused.value).startswith(f"{path}:")
    assert path.read_text(encoding="utf-8") == text
    assert [file.name for file in tmp_path.iterdir()] == ["counts.jsonl"]


def test_the_order_of_lines_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path, other = tmp_path / "counts.jsonl", GOOD.replace('"b"', '"a"')
    path.write_bytes(("\ufeff" + GOOD + "\n" + other).replace("\n", "\r\n").encode())
    found = read(path)
    assert found is not None
    assert {name: line.number for name, line in found.items()} == {"b": 1, "a": 3}
    assert update(path, Case.of(other, ""))
    assert path.read_text(encoding="utf-8") == other + GOOD


def test_a_baseline_that_is_a_folder_is_a_users_mistake(tmp_path: Path) -> None:
    for act in (lambda: read(tmp_path), lambda: update(tmp_path, Case.of(GOOD, ""))):
        with pytest.raises(UsageError, match=re.escape(str(tmp_path))):
            act()


def case(**modules: int) -> Case:
    return Case("x", dict.fromkeys(("flops", "cells_dense", "cells_useful", "params", "bytes_compulsory"), 0), modules)


def test_every_change_of_every_value_is_described() -> None:
    whole = case(a=1, b=2)
    for name in whole.quantities:
        assert described(whole, Case("x", {**whole.quantities, name: 1}, whole.modules), {}) == [f"{name}: 0 → 1 (more: +1)"]
    assert changed_modules(whole, case(a=1, b=3)) == ["b"]
    assert changed_modules(whole, case(b=3)) == ["b", "a"]
    assert changed_modules(whole, case(c=1, b=1, a=2)) == ["c", "b", "a"]
    assert described(whole, case(b=2, a=1), {}) == []


# ---- processes ------------------------------------------------------------------------------------------------------


def test_several_processes_may_write_one_baseline(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from spanbench.testing.baseline import Case, update\n"
        "for i in range(20): update(Path(sys.argv[1]), Case.of(sys.argv[2].replace('\"b\"', f'\"{sys.argv[3]}{i:02}\"'), ''))"
    )
    path = tmp_path / "counts.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), GOOD, letter]) for letter in "pqr"]
    assert [one.wait(timeout=120) for one in running] == [0, 0, 0]
    found = read(path)
    assert found is not None
    assert list(found) == [f"{letter}{i:02}" for letter in "pqr" for i in range(20)]
    assert [file.name for file in tmp_path.iterdir()] == ["counts.jsonl"]


@pytest.mark.slow
def test_workers_of_xdist_write_one_baseline_together_and_their_lines_are_told(project: Project, pytester: pytest.Pytester) -> None:
    many = "import pytest\n@pytest.mark.parametrize('f', range(1, 9))\ndef test_it(assert_counts, f):\n    {call}\n"
    project.write(many.format(call="assert_counts(Stack(f), torch.zeros(2, 16), 'counts.jsonl')"))
    for arguments in ((UPDATE,), ()):
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *PLUGIN, "-n2", *arguments)
        result.assert_outcomes(passed=8)
        assert (f"spanbench: {project.baseline}: 8 lines written" in result.outlines) == bool(arguments)
    assert [line["name"] for line in project.lines()] == [f"test_it[{f}]" for f in range(1, 9)]


def test_the_plugin_loads_neither_torch_nor_pydantic() -> None:
    code = "import sys, spanbench.pytest_plugin; sys.exit(repr(sorted({'torch', 'pydantic', 'numpy'} & set(sys.modules)) or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr.strip() in {"", "''"}


def test_counting_leaves_no_hook_behind() -> None:
    before = dict(hooks._global_forward_hooks), dict(hooks._global_forward_pre_hooks)
    spanbench.testing.counting.counted("x", nn.Linear(2, 2), torch.zeros(2))
    assert (dict(hooks._global_forward_hooks), dict(hooks._global_forward_pre_hooks)) == before
