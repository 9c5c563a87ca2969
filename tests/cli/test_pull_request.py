"""A pull request from beginning to end, in a git repository of its own: a model changes, the check is red, the change is accepted.

The check is the script of the composite action, as the runner starts it.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import SECONDS, Ran

yaml: Any = importlib.import_module("yaml")  # comes with fvcore; it brings no types

ACTION = Path(__file__).parents[2] / ".github" / "actions" / "check" / "action.yml"
MODEL = 'preset = "tiny"\n\n[shape]\nmlp = 256\n'
N, D, LAYERS = 24, 64, 2
BEFORE, AFTER = 256, 128
CREATE = f"spanbench baseline create --config model.toml --tokens {N} --span 8 --out counts.jsonl"
LESS = LAYERS * 4 * N * D * (BEFORE - AFTER)
"""FLOP that the dense arm's MLPs save: 2 matrices of D x F, 2 FLOP a multiply-accumulate, N rows, every layer."""


@dataclass(frozen=True)
class Repository:
    """A folder under git, and a shell in it as GitHub's runner starts one."""

    folder: Path
    summary: Path

    def check(self, arguments: str) -> Ran:
        """Do what the action does: its script with its inputs, as `shell: bash` runs it."""
        script = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"][-1]["run"]
        return self.shell(f"export BASELINE=counts.jsonl ARGUMENTS={arguments}\nset -eo pipefail\n{script}")

    def shell(self, command: str) -> Ran:
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
        author = {f"GIT_{who}_{what}": "someone@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(self.summary), "GITHUB_WORKSPACE": str(self.folder)}
        env = {**os.environ, **author, **github, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def does(self, command: str) -> str:
        ran = self.shell(command)
        assert ran.code == 0, ran
        return ran.out

    def rows(self) -> list[dict[str, Any]]:
        lines = (self.folder / "counts.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A project whose model and baseline are committed, and a branch on which the MLP ratio is half of what it was."""
    made = Repository(tmp_path / "project", tmp_path / "summary.md")
    made.folder.mkdir()
    (made.folder / "model.toml").write_text(MODEL, encoding="utf-8")
    made.does("git init --quiet --initial-branch main")
    made.does(CREATE)
    made.does("git add . && git commit --quiet --message baseline && git switch --quiet --create narrow")
    (made.folder / "model.toml").write_text(MODEL.replace(str(BEFORE), str(AFTER)), encoding="utf-8")
    made.does("git commit --quiet --all --message 'halve the MLP'")
    return made


@pytest.mark.parametrize("form", ["--closed-form", pytest.param("", marks=pytest.mark.slow)])
def test_a_pull_request_is_red_tells_where_and_is_green_once_accepted(repository: Repository, form: str) -> None:
    red = repository.check(form)
    assert red.code == 1, red
    before = repository.rows()
    lines = {row.get("arm"): number for number, row in enumerate(before, start=1)}
    annotations = [line for line in red.err.splitlines() if line.startswith("::error ")]
    assert [line.split(",title")[0] for line in annotations] == [
        f"::error file=counts.jsonl,line={lines[arm]}" for arm in ("token", "latent")
    ]
    assert "first differs in score, layers, from layer 0: FLOP" in annotations[0]
    assert f"(-{LESS:,}, " in annotations[0]
    assert "first differs in score, encoder, from layer 0: FLOP" in annotations[1]
    summary = repository.summary.read_text(encoding="utf-8")
    assert "changed, fewer FLOPs: 2 of 2 rows" in summary
    assert f"(-{LESS:,}, " in summary

    accept = next(line for line in red.out.splitlines() if line.startswith("spanbench baseline update "))
    assert accept in summary
    repository.does(accept)
    green = repository.check(form)
    assert (green.code, "::error" in green.err) == (0, False), green
    assert "unchanged: 2 rows" in green.out
    assert repository.does("git diff --name-only").split() == ["counts.jsonl"]
    now = repository.rows()
    assert [(row.get("point"), row.get("arm")) for row in now] == [(row.get("point"), row.get("arm")) for row in before]
    assert {key for key in {**before[0], **now[0]} if before[0].get(key) != now[0].get(key)} == {"reason"}
    flops = [row["counts"]["score"]["total"]["flops"] for row in (before[1], now[1])]
    assert flops[0] - flops[1] == LESS
    repository.does("git commit --quiet --all --message 'accept the counts'")
    assert repository.does("git status --porcelain") == ""
