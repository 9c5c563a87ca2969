"""The workflow to copy and the composite action: short, without a secret, and made of commands that there are."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import python

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "actions" / "check"
EXAMPLE = (FOLDER / "example.yml").read_text(encoding="utf-8")
ACTION = (FOLDER / "action.yml").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
USES = re.compile(r"uses: \S+/spanbench/\.github/actions/check@\S+")

yaml: Any = importlib.import_module("yaml")  # comes with fvcore; it brings no types


def workflows() -> dict[str, str]:
    """Return the example, and every workflow that a page shows."""
    found = {"example.yml": EXAMPLE}
    for page in PAGES:
        for match in re.finditer(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            if "jobs:" in match[1]:
                found[f"{page.name}:{match.start()}"] = match[1]
    return found


def commands(steps: list[dict[str, Any]]) -> list[list[str]]:
    """Return the words of every call of spanbench in the steps' scripts."""
    lines = [line.strip() for step in steps for line in step.get("run", "").splitlines()]
    return [line.split() for line in lines if line.startswith("spanbench ")]


@pytest.mark.parametrize("text", workflows().values(), ids=list(workflows()))
def test_a_workflow_to_copy_is_short_reads_only_and_holds_no_secret(text: str) -> None:
    flow = yaml.safe_load(text)
    assert len(text.splitlines()) <= 15
    assert flow["permissions"] == {"contents": "read"}
    assert flow[True] == "pull_request"  # YAML 1.1 reads the key `on` as true; `pull_request_target` would lend the base's rights
    assert not re.search(r"secrets|token", text, re.IGNORECASE)
    assert [job["runs-on"] for job in flow["jobs"].values()] == ["ubuntu-latest"]


@pytest.mark.parametrize("text", workflows().values(), ids=list(workflows()))
def test_a_workflow_to_copy_gives_the_action_inputs_that_it_has(text: str) -> None:
    steps = [step for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]]
    ours = [step for step in steps if "/actions/check" in step.get("uses", "")]
    inputs = yaml.safe_load(ACTION)["inputs"]
    assert ours or commands(steps)
    for step in ours:
        assert USES.fullmatch(f"uses: {step['uses']}")
        assert set(step["with"]) <= set(inputs)
        assert {name for name, what in inputs.items() if what.get("required")} <= set(step["with"])


def test_the_pages_show_the_example_as_it_is() -> None:
    assert any(f"```yaml\n{EXAMPLE}```" in page.read_text(encoding="utf-8") for page in PAGES)


def test_the_action_needs_no_secret_and_runs_no_text_that_a_pull_request_wrote() -> None:
    action = yaml.safe_load(ACTION)
    assert action["runs"]["using"] == "composite"
    assert not re.search(r"secrets|token", ACTION, re.IGNORECASE)
    scripts = [step for step in action["runs"]["steps"] if "run" in step]
    assert all(step["shell"] == "bash" and "${{" not in step["run"] for step in scripts)
    used = set(re.findall(r"inputs\.([\w-]+)", ACTION))
    assert used == set(action["inputs"])


def test_the_action_installs_the_checkout_that_it_came_with() -> None:
    assert "github.action_path }}/../../.." in ACTION
    assert (FOLDER / "../../.." / "constraints.txt").resolve() == ROOT / "constraints.txt"
    assert (ROOT / "constraints.txt").exists()


def test_the_commands_of_the_action_exist() -> None:
    steps = yaml.safe_load(ACTION)["runs"]["steps"]
    assert commands(steps) == [["spanbench", "check", '"$BASELINE"', "$ARGUMENTS"]]
    options = re.findall(r"--[\w-]+", yaml.safe_load(ACTION)["inputs"]["arguments"]["description"])
    done = python("from spanbench.cli.main import main; raise SystemExit(main(['check', '--help']))")
    assert done.returncode == 0, done.stderr
    assert [option for option in options if option not in done.stdout] == []
