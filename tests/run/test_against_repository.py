"""Real repositories in temporary folders: what is refused, in which words, and that nothing stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from spanbench.errors import UsageError
from spanbench.request import Request
from spanbench.run.against.asked import asked_of
from spanbench.run.against.check import Ask, against, meter_for
from spanbench.run.against.process import Worker, WorkerFailed
from spanbench.run.against.repository import Repository, open_repository
from tests.waiting import gone

ROOT = Path(__file__).parents[2]
POINT = Request(preset="tiny", tokens=16, span=8, regimes=("prefill",))
CONFIG = 'preset = "tiny"\ntokens = 16\nspan = 8\nregime = "prefill"\n[shape]\nlayers = 2\n'


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def committed(folder: Path, text: str = CONFIG) -> str:
    """Write a project's one file and commit it; return the hash."""
    (folder / "model.toml").write_text(text, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "--allow-empty", "-m", "a change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    committed(folder)
    return folder


def refused(folder: Path, ref: str = "HEAD", request: Request = POINT, config: Path | None = None) -> str:
    """Run what must be refused in one line; return the line. Nothing stays behind."""
    with pytest.raises(UsageError) as caught:
        against(ref, asked_of(request, str(config) if config else None), Ask(max_seconds=1), folder=folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_a_folder_in_no_repository_is_refused_by_name(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(tmp_path)
    assert "not in a git repository" in refused(tmp_path)


@pytest.mark.parametrize("ref", ["nowhere", "", "-q", "--all", "HEAD~7", "HEAD^{tree}", "a b", "HEAD:model.toml"])
def test_what_names_no_commit_is_refused_by_name(project: Path, ref: str) -> None:
    message = refused(project, ref)
    assert f"--against {ref!r}: there is no such commit" in message
    assert "fetch-depth" not in message


def test_in_a_shallow_clone_a_missing_commit_is_refused_with_what_fetches_it(project: Path, tmp_path: Path) -> None:
    committed(project)
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project}", "shallow")
    assert "fetch-depth: 0" in refused(tmp_path / "shallow", "HEAD~1")


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert "no such commit" in refused(tmp_path)


def test_uncommitted_changes_are_refused_and_the_first_file_is_named(project: Path) -> None:
    (project / "model.toml").write_text(CONFIG + "# more\n", encoding="utf-8")
    message = refused(project)
    assert "first model.toml" in message
    assert "--dirty" in message


def test_a_file_that_git_does_not_know_is_no_change(project: Path) -> None:
    (project / "notes.txt").write_text("", encoding="utf-8")
    assert open_repository(project).changed() is None


def test_without_git_a_check_is_refused_with_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "git is not installed" in refused(project)


def test_a_project_from_which_nothing_is_timed_is_refused(project: Path) -> None:
    assert "base and head are the same" in refused(project)


def test_a_prompt_from_standard_input_is_refused() -> None:
    with pytest.raises(UsageError, match="standard input can be read only once"):
        asked_of(Request(prompt="-", tokens=16))


def test_the_dearest_step_alone_is_refused_and_beside_others_left_out() -> None:
    with pytest.raises(UsageError, match="--regime decode"):
        asked_of(Request(preset="tiny", tokens=16, span=8, regimes=("decode_worst",)))
    assert asked_of(Request(preset="tiny", tokens=16, span=8, regimes=("decode_worst", "decode"))).regimes == ("decode",)


def test_energy_that_is_not_measured_never_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    from spanbench.measure.energy import NullMeter

    monkeypatch.setattr("spanbench.run.against.check.best_meter", lambda _target: NullMeter())
    with pytest.raises(UsageError, match="estimated energy never gates"):
        meter_for("joules", POINT)
    assert meter_for("seconds", POINT) is None


def test_a_point_of_which_four_processes_do_not_fit_is_refused_before_anything_starts(project: Path) -> None:
    message = refused(project, request=Request(preset="document", tokens=2048, span=32, dtype="float64", batch=4096))
    assert "4 processes with preset 'document' need about" in message


# ---- what the base cannot do ----------------------------------------------------------------------------------------


def test_a_base_without_the_config_is_refused_and_named(project: Path) -> None:
    (project / "new.toml").write_text(CONFIG, encoding="utf-8")
    committed(project)
    message = refused(project, "HEAD~1", config=project / "new.toml")
    assert "the base 'HEAD~1' cannot run this point" in message
    assert "there is no such file" in message


def test_a_base_without_the_preset_says_so_in_its_own_words(project: Path) -> None:
    package = project / "spanbench"
    shutil.copytree(ROOT / "spanbench", package, ignore=shutil.ignore_patterns("__pycache__"))
    presets = package / "presets.py"
    text = presets.read_text(encoding="utf-8")
    assert '"tiny"' in text
    presets.write_text(text.replace('"tiny"', '"smallest"'), encoding="utf-8")
    committed(project)
    presets.write_text(text, encoding="utf-8")
    committed(project)
    message = refused(project, "HEAD~1")
    assert "the base 'HEAD~1' cannot run this point: --preset: unknown value 'tiny'" in message


@pytest.mark.parametrize(("code", "told"), [("raise ImportError('no such luck')", "no such luck"), ("", "ModuleNotFoundError")])
def test_a_base_whose_package_cannot_be_imported_is_refused_and_named(project: Path, code: str, told: str) -> None:
    (project / "spanbench").mkdir()
    (project / "spanbench" / "__init__.py").write_text(code, encoding="utf-8")
    committed(project)
    message = refused(project)
    assert "the base 'HEAD' is older than --against needs, or lacks a package" in message
    assert told in message


def test_a_worker_that_dies_tells_how(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    try:
        with pytest.raises(WorkerFailed, match="KeyError"):
            worker.run("token", "prefill", 1)
        worker._process.kill()
        with pytest.raises(WorkerFailed, match="killed by SIGKILL"):
            worker.run("token", "prefill", 1)
    finally:
        worker.stop()


# ---- the question ---------------------------------------------------------------------------------------------------


def test_flags_win_in_both_versions_and_the_rest_is_each_ones_own(project: Path) -> None:
    config = project / "model.toml"
    from spanbench.request import read_toml

    request = read_toml(str(config)).with_flags(tokens=24, shape={"mlp": 128})
    asked = asked_of(request, str(config))
    assert asked.flags == {"tokens": 24, "shape": {"mlp": 128}, "regimes": ["prefill"]}
    job = asked.job(project.resolve(), Path("elsewhere").resolve(), None)
    assert job["config"] == str(Path("elsewhere").resolve() / "model.toml")


def test_a_config_outside_the_repository_is_the_same_for_both(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.toml"
    outside.write_text(CONFIG, encoding="utf-8")
    asked = asked_of(POINT, str(outside))
    assert asked.job(project.resolve(), tmp_path / "tree", None)["config"] == str(outside.resolve())


# ---- what stays behind ----------------------------------------------------------------------------------------------


def worktrees(project: Path) -> int:
    return git(project, "worktree", "list", "--porcelain").count("worktree ")


def test_a_worktree_has_the_commits_files_and_goes_again(project: Path) -> None:
    before = git(project, "rev-parse", "HEAD")
    committed(project, CONFIG + "# later\n")
    with open_repository(project).worktree(before) as tree:
        assert (tree / "model.toml").read_text(encoding="utf-8") == CONFIG
        assert worktrees(project) == 2
    assert not tree.exists()
    assert not tree.parent.exists()
    assert worktrees(project) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_a_worktree_goes_however_the_block_ends(project: Path, error: type[BaseException]) -> None:
    trees: list[Path] = []
    repository = open_repository(project)

    def fail(repository: Repository) -> None:
        with repository.worktree("HEAD") as tree:
            trees.append(tree)
            (tree / "left.txt").write_text("", encoding="utf-8")
            raise error

    with pytest.raises(error):
        fail(repository)
    assert not trees[0].exists()
    assert worktrees(project) == 1


def test_a_projects_hooks_do_not_run(project: Path) -> None:
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    with open_repository(project).worktree("HEAD") as tree:
        assert (tree / "model.toml").exists()


def test_within_a_hook_the_folder_decides_which_repository_it_is(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another"))
    assert open_repository(project).top == project.resolve()


def is_worker(process: psutil.Process) -> bool:
    try:
        return any("worker.py" in part for part in process.cmdline())
    except psutil.Error:  # a git that has just ended
        return False


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_cancelled_job_take_the_worktree_and_the_workers_with_it(project: Path, signal_number: int) -> None:
    command = [sys.executable, "-m", "spanbench", "check", "--against", "HEAD", "--config", "model.toml", "--max-time", "600"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(command, cwd=project, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)
    workers: list[psutil.Process] = []
    try:
        while child.poll() is None and not workers:
            time.sleep(0.05)
            workers = [one for one in psutil.Process(child.pid).children() if is_worker(one)]
        child.send_signal(signal_number)
        _, said = child.communicate(timeout=120)
    finally:
        child.kill()
        child.communicate()
    assert (child.returncode, "interrupted" in said, "Traceback" in said) == (130, True, False)
    assert worktrees(project) == 1
    assert workers
    assert all(gone(worker) for worker in workers)
