"""kill -9 of a sweep at any time: nothing that was finished is lost, nothing is done twice but what was being done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.sweep.killing import POINTS, Rounds, counts

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent ended")


def check(folder: Path, kills: int, *, light: bool) -> None:
    """Kill sweeps until there were so many kills, each finished by a last start, and hold them against an undisturbed one."""
    rounds = Rounds(folder, light)
    rounds.finish()
    undisturbed = counts(rounds.records())
    assert len(undisturbed) == POINTS
    number, done = 0, 0
    while done < kills:
        number += 1
        rounds.fresh(number)
        while done + rounds.kills < kills and rounds.kill():
            pass
        rounds.finish()
        done += rounds.kills
        found = rounds.records()
        assert len(found) == POINTS, "an id twice, or none"
        assert counts(found) == undisturbed
        assert rounds.count() <= POINTS + rounds.kills * rounds.workers, "more than the points in work were lost"


def test_after_20_kills_each_id_is_there_once_with_the_counts_of_an_undisturbed_run(tmp_path: Path) -> None:
    check(tmp_path, 20, light=True)


@pytest.mark.slow
def test_after_200_kills_with_the_real_child(tmp_path: Path) -> None:
    check(tmp_path, 200, light=False)


def test_a_half_written_last_line_is_told_kept_on_disk_and_done_again(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, light=True)
    rounds.finish()
    whole = rounds.out.read_bytes()
    undisturbed, torn = counts(rounds.records()), whole[: len(whole) - 300]
    rounds.out.write_bytes(torn)
    assert f"line {POINTS} is half-written and was left out" in rounds.finish()
    assert rounds.out.read_bytes().startswith(torn + b"\n")
    assert counts(rounds.records()) == undisturbed
    assert len(rounds.records()) == POINTS
    assert "0 points to run" in rounds.finish(), "a line that is left out in the middle stops no later start"
