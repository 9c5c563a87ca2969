"""`check` and `baseline` as a user runs them: exit codes, what is said, and what is written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from spanbench.cli.main import main
from tests.cli.running import Cli, python

POINT = ("--preset", "tiny", "--tokens", "10", "--span", "4", "--regime", "prefill")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a small baseline, counted once for all tests."""
    file = tmp_path_factory.mktemp("made") / "baseline.jsonl"
    assert main(["baseline", "create", *POINT, "--out", str(file)]) == 0
    return file.read_text(encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path, made: str) -> Path:
    file = tmp_path / "base line.jsonl"
    file.write_text(made, encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def no_github(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


def other(file: Path) -> None:
    """Give the file the counts of another model: the MLP of a stack is wider."""
    plain = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for row in plain[1:]:
        for stages in row["counts"].values():
            for stage in ("layers" if row["arm"] == "token" else "mixer", "total"):
                stages[stage]["flops"] += 4096
    file.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in plain), encoding="utf-8")


def test_a_baseline_that_was_just_made_is_unchanged_by_both_ways_of_counting(cli: Cli, file: Path) -> None:
    assert "unchanged: 2 rows" in cli.data("check", file)
    assert "counted by closed form" in cli.data("check", file, "--closed-form")


def test_a_file_is_not_replaced_unless_it_is_forced(cli: Cli, file: Path, made: str) -> None:
    file.write_text("mine", encoding="utf-8")
    assert "is there already" in cli.fails("baseline", "create", *POINT, "--out", file)
    assert file.read_text() == "mine"
    assert cli("baseline", "create", *POINT, "--out", file, "--force").code == 0
    assert file.read_text() == made


def test_a_change_is_exit_1_names_row_and_file_and_is_accepted_by_the_command_that_is_printed(cli: Cli, file: Path, made: str) -> None:
    other(file)
    ran = cli("check", file, "--closed-form", "--format", "json")
    told = json.loads(ran.out)
    assert (ran.code, told["changed"], len(told["changes"])) == (1, True, 2)
    assert f"{file}:2: tiny lean, 10 tokens in spans of 4, prefill, token" in ran.err
    words = shlex.split(told["accept"])
    assert words[:4] == ["spanbench", "baseline", "update", str(file)]
    assert cli(*words[1:]).code == 0
    assert cli("check", file, "--closed-form").code == 0
    header, *rows = file.read_text(encoding="utf-8").splitlines()
    assert (json.loads(header)["reason"], rows) == ("…", made.splitlines()[1:])


def test_an_update_without_a_change_writes_nothing(cli: Cli, file: Path) -> None:
    before = file.stat()
    ran = cli("baseline", "update", file, "--reason", "none")
    assert (ran.code, "nothing changed" in ran.err) == (0, True)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_update_needs_a_reason(cli: Cli, file: Path, reason: str) -> None:
    assert "--reason: say why" in cli.fails("baseline", "update", file, "--reason", reason)


def test_an_update_mends_rows_that_cannot_be_read_and_says_so(cli: Cli, file: Path, made: str) -> None:
    lines = made.splitlines()
    file.write_text("\n".join([lines[0], "<<<<<<< ours", lines[1], "=======", lines[1], ">>>>>>> theirs", "{", ""]), encoding="utf-8")
    assert "a merge conflict" in cli.fails("check", file, "--closed-form", code=3)
    ran = cli("baseline", "update", file, "--reason", "merged", "--format", "json")
    assert (ran.code, sum("counted anew" in note for note in json.loads(ran.out)["notes"])) == (0, 5)
    assert file.read_text(encoding="utf-8").splitlines()[1:] == lines[1:]


def test_an_update_is_refused_while_the_ways_of_counting_disagree(cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spanbench.count.formula import latent

    plain = latent._mixer
    monkeypatch.setattr(latent, "_mixer", lambda plan: plain(plan) + plain(plan))
    before = file.read_bytes()
    for arguments in (["check", str(file)], ["baseline", "update", str(file), "--reason", "no"]):
        ran = cli(*arguments)
        assert ran.code == 3
        assert "closed form says" in ran.err
    assert file.read_bytes() == before


def test_two_files_are_compared_without_counting(cli: Cli, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    assert cli("baseline", "diff", file, copy).code == 0
    other(copy)
    ran = cli("baseline", "diff", file, copy)
    assert (ran.code, "2 of 2 rows" in ran.out) == (1, True)


def test_files_of_two_conventions_cannot_be_compared(cli: Cli, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_text(file.read_text(encoding="utf-8").replace('"dense"', '"useful"'), encoding="utf-8")
    assert "their FLOPs are not alike" in cli.fails("baseline", "diff", file, copy, code=3)


def test_a_changed_config_is_seen_and_rows_name_it(cli: Cli, tmp_path: Path) -> None:
    config, file = tmp_path / "model.toml", tmp_path / "sub" / "baseline.jsonl"
    file.parent.mkdir()
    config.write_text('preset = "tiny"\n[shape]\nmlp = 256\n', encoding="utf-8")
    assert cli("baseline", "create", "--config", config, "--tokens", "10", "--span", "4", "--regime", "prefill", "--out", file).code == 0
    assert json.loads(file.read_text().splitlines()[0])["points"][0]["config"] == "../model.toml"
    assert cli("check", file, "--closed-form").code == 0
    config.write_text('preset = "tiny"\n[shape]\nmlp = 512\n', encoding="utf-8")
    ran = cli("check", file, "--closed-form")
    assert ran.code == 1
    assert "../model.toml, 10 tokens in spans of 4, prefill, token: first differs in prefill, layers, from layer 0" in ran.err
    config.unlink()
    assert "line 1, point 1" in cli.fails("check", file, "--closed-form", code=3)


def test_a_row_order_of_another_hand_is_fine_and_told(cli: Cli, file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([lines[0], lines[2], lines[1]]), encoding="utf-8")
    ran = cli("check", file, "--closed-form")
    assert (ran.code, "stand in another order" in ran.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give the file of a baseline"),
        (("FILE", "--preset", "tiny"), "--preset: belongs to --against"),
        (("FILE", "--dirty"), "--dirty: belongs to --against"),
        (("FILE", "--against", "HEAD"), "FILE: belongs to the check of a baseline"),
        (("--against", "HEAD", "--closed-form"), "--closed-form: belongs to the check of a baseline"),
        (("nothing.jsonl",), "there is no such baseline"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(cli: Cli, file: Path, arguments: tuple[str, ...], told: str) -> None:
    assert told in cli.fails("check", *(file if one == "FILE" else one for one in arguments))


def test_points_that_cannot_be_are_left_out_with_a_note_and_refused_where_there_is_no_other(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "baseline.jsonl"
    ran = cli("baseline", "create", *POINT, "--allocation", "lean,block", "--span", "7", "--out", file)
    assert (ran.code, "was left out" in ran.err) == (0, True)
    assert "needs a span that divides" in cli.fails(
        "baseline", "create", *POINT, "--allocation", "block", "--span", "7", "--out", f"{file}2"
    )
    assert "depends on the machine's memory" in cli.fails("baseline", "create", *POINT, "--batch", "max", "--out", f"{file}3")


def test_in_a_job_lines_are_annotated_and_a_summary_is_written(
    cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, bench = tmp_path / "summary.md", tmp_path / "bench.json"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    other(file)
    ran = cli("check", file, "--closed-form", "--format", "json", "--benchmark", bench)
    json.loads(ran.out)  # annotations are not among the data
    assert (ran.code, ran.err.count("::error file=")) == (1, 2)
    assert "changed" in summary.read_text(encoding="utf-8")
    assert {entry["unit"] for entry in json.loads(bench.read_text(encoding="utf-8"))} == {"FLOP"}
    assert "::error" not in cli("check", file, "--closed-form", "--no-github").err


def test_the_formulas_are_checked_without_torch(file: Path) -> None:
    code = "import sys; from spanbench.cli.main import main; code = main(sys.argv[1:]); assert 'torch' not in sys.modules; sys.exit(code)"
    ran = python(code, "check", str(file), "--closed-form")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_any_number_of_threads_writes_the_same_bytes(made: str, tmp_path: Path, threads: str) -> None:
    out = tmp_path / "baseline.jsonl"
    code = f"import torch; torch.set_num_threads({threads}); import sys; from spanbench.cli.main import main; sys.exit(main(sys.argv[1:]))"
    ran = python(code, "baseline", "create", *POINT, "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    assert out.read_text(encoding="utf-8") == made


def test_a_check_without_an_answer_is_shown_where_a_job_is_looked_at(
    cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([lines[0], "<<<<<<< HEAD", *lines[1:]]), encoding="utf-8")
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    ran = cli("check", file, "--closed-form")
    assert ran.code == 3
    assert ",line=2,title=spanbench check%3A nothing was compared::" in ran.err
    assert "a merge conflict" in summary.read_text(encoding="utf-8")
