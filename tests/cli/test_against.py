"""`spanbench check --against REF` as a user meets it: exit codes, one line a mistake, and a base with a model of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from spanbench.cli.against import Slower, check_against
from spanbench.errors import Inconclusive, SpanbenchError
from spanbench.judge.stats import Estimate
from spanbench.judge.verdict import AgainstResult, AgainstRow, judge
from spanbench.request import Request, read_toml
from tests.cli.running import Cli

CONFIG = 'preset = "tiny"\ntokens = 16\nspan = 8\nregime = "prefill"\n[shape]\nlayers = {layers}\n'
CODES = {"worse": 1, "inconclusive": 4, "same": 0, "better": 0}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project of one committed model, as the current folder."""
    git(tmp_path, "init", "-q")
    write(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, layers: int) -> None:
    (folder / "model.toml").write_text(CONFIG.format(layers=layers), encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a change")


def test_each_side_runs_its_own_model_and_the_exit_code_is_the_verdicts(project: Path, cli: Cli) -> None:
    write(project, 6)
    options = ("--config", "model.toml", "--arm", "token", "--tolerance", "0.5", "--max-time", "1", "--format", "json")
    ran = cli("check", "--against", "HEAD~1", *options)
    data = json.loads(ran.out)
    (row,) = data["rows"]
    assert (row["arm"], row["regime"]) == ("token", "prefill")
    assert row["head_flops"] > 2 * row["base_flops"] > 0
    assert row["judged"]["blocks"] >= 8
    assert row["judged"]["null_blocks"] >= 4
    assert data["verdict"] not in {"same", "better"}, "a model of six times the layers"
    assert ran.code == CODES[data["verdict"]]
    assert data["commit"] == git(project, "rev-parse", "HEAD~1").strip()
    assert git(project, "worktree", "list").count("\n") == 1


def test_what_is_worse_exits_1_and_what_is_not_told_exits_4(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    assert project == Path.cwd()
    for log_ratio, kind, code in ((0.05, Slower, 1), (0.0198, Inconclusive, 4)):
        found = answer(log_ratio)
        monkeypatch.setattr("spanbench.run.against.check.against", lambda *_, found=found, **__: found)
        with pytest.raises(SpanbenchError) as caught:
            check_against("main", Request(preset="tiny", tokens=16, span=8))
        assert type(caught.value) is kind
        assert caught.value.exit_code == code
        assert "latent prefill" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("log_ratio", [0.0, -0.05])
def test_the_same_and_better_are_fine(monkeypatch: pytest.MonkeyPatch, log_ratio: float, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("spanbench.run.against.check.against", lambda *_, **__: answer(log_ratio))
    check_against("main", Request(preset="tiny", tokens=16, span=8), fmt="json")
    assert json.loads(capsys.readouterr().out)["verdict"] == ("better" if log_ratio else "same")


def answer(log_ratio: float) -> AgainstResult:
    quiet = [0.0005, -0.0005] * 4
    one = Estimate(0.01, 0.009, 0.011)
    row = AgainstRow("latent", "prefill", 3, one, one, judge([log_ratio + noise for noise in quiet], quiet, 0.02), 10, 10)
    return AgainstResult("main", "a" * 40, "b" * 12, "a point", "seconds", "perf_counter", 0.02, [row])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--against", "nowhere"), "--against 'nowhere': there is no such commit"),
        (("--against", "HEAD"), "base and head are the same"),
        (("--against", "HEAD", "--tolerance", "0"), "--tolerance '0'"),
        (("--against", "HEAD", "--tolerance", "150%"), "--tolerance '150%'"),
        (("--against", "HEAD", "--arm", "both"), "--arm: unknown value 'both'"),
        (("--against", "HEAD", "--quantity", "watts"), "--quantity: unknown value 'watts'"),
        (("--against", "HEAD", "--max-time", "0"), "--max-time '0'"),
        (("--against", "HEAD", "--config", "none.toml"), "there is no such file"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_option(project: Path, cli: Cli, options: tuple[str, ...], told: str) -> None:
    assert project == Path.cwd()
    assert told in cli.fails("check", *options)


def test_a_dirty_tree_is_refused_unless_that_is_asked_for(project: Path, cli: Cli) -> None:
    (project / "model.toml").write_text(CONFIG.format(layers=2), encoding="utf-8")
    assert "first model.toml" in cli.fails("check", "--against", "HEAD", "--config", "model.toml")


def test_what_a_request_says_beyond_its_file_is_found_again(project: Path) -> None:
    from spanbench.run.against.asked import asked_of

    request = read_toml(str(project / "model.toml")).with_flags(batch=3)
    assert asked_of(request, str(project / "model.toml")).flags == {"batch": 3, "regimes": ["prefill"]}
