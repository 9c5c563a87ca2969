"""Large files read in pieces, by several processes, give what one process gives that reads them line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.record import SchemaMismatch, read
from spanbench.show.report.reading import readers
from spanbench.show.report.reading.digest import Digest, Wanted
from spanbench.show.report.reading.loading import load
from spanbench.show.report.reading.pieces import Piece, Reading, pieces_of, read_piece
from spanbench.show.report.reading.readers import HELPER, read_pieces
from tests.show.report.records import counted, measured, series
from tests.waiting import until

EVERYTHING = Wanted(tidy=True, wide=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def cut(path: Path, size: int) -> list[Piece]:
    return list(pieces_of(path, size))


def content(path: Path, piece: Piece) -> bytes:
    return path.read_bytes()[piece.start : piece.end]


@pytest.mark.parametrize("end", [b"", b"\n"])
@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 60), min_size=1, max_size=40), size=st.integers(1, 200))
def test_pieces_are_the_file_in_order_cut_at_the_ends_of_lines(
    tmp_path_factory: pytest.TempPathFactory, end: bytes, lengths: list[int], size: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "lines"
    path.write_bytes(b"\n".join(b"x" * length for length in lengths) + end)
    parts = [content(path, piece) for piece in cut(path, size)]
    assert b"".join(parts) == path.read_bytes()
    assert all(part.endswith(b"\n") for part in parts[:-1])
    assert all(len(part) <= size + 61 for part in parts[:-1])


def test_what_has_no_length_is_one_piece() -> None:
    assert cut(Path("/dev/null"), 1) == [Piece("/dev/null")]


def side_by_side(monkeypatch: pytest.MonkeyPatch, size: int, processes: int = 3) -> None:
    """Have any file read in pieces of `size` bytes by so many processes."""
    monkeypatch.setattr("spanbench.show.report.reading.loading.pieces_of", lambda path: pieces_of(path, size))
    monkeypatch.setattr(readers, "_processes", lambda pieces: min(processes, pieces))


def loaded(*paths: Path, wanted: Wanted = EVERYTHING) -> tuple[list[Digest], list[str]]:
    notes: list[str] = []
    return load(paths, wanted, notes.append), notes


@pytest.mark.parametrize("wanted", [EVERYTHING, Wanted()])
def test_several_processes_read_what_one_reads(monkeypatch: pytest.MonkeyPatch, path: Path, wanted: Wanted) -> None:
    records = [*series(), *(counted(n) for n in (32, 1024, 2048)), measured(512)]
    torn = counted(96).to_line()[:700]
    lines = [record.to_line() for record in records]
    path.write_text("".join([*lines[:5], torn + "\n", "\n", *lines[5:], torn]), encoding="utf-8")
    alone = loaded(path, path, wanted=wanted)
    side_by_side(monkeypatch, 10_000)
    assert len(cut(path, 10_000)) > 3
    assert loaded(path, path, wanted=wanted) == alone
    assert alone[1][:2] == [f"{path}: line {n} is half-written and was left out" for n in (6, 11)]
    assert {one.id for one in alone[0]} == {record.id for record in read(path, alone[1].append)}


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("12\n", UsageError, "line 7: not a spanbench record"),
        (json.dumps(counted().to_json() | {"schema": 2}) + "\n", SchemaMismatch, "line 7: schema 2"),
    ],
)
def test_an_error_in_a_helpers_part_names_the_files_own_line(
    monkeypatch: pytest.MonkeyPatch, path: Path, wrong: str, error: type[Exception], message: str
) -> None:
    lines = [record.to_line() for record in (*series(), counted(32), counted(2048))]
    path.write_text("".join([*lines, wrong]), encoding="utf-8")
    side_by_side(monkeypatch, 10_000)
    with pytest.raises(error, match=message):
        loaded(path)


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="no name for standard input here")
def test_a_name_that_is_another_file_in_another_process_is_read_here(path: Path) -> None:
    path.write_text("".join(record.to_line() for record in series()), encoding="utf-8")
    program = (
        "from pathlib import Path\n"
        "from spanbench.show.report.reading import loading, readers\n"
        "from spanbench.show.report.reading.digest import Wanted\n"
        "from spanbench.show.report.reading.pieces import pieces_of\n"
        "loading.pieces_of = lambda path: pieces_of(path, 5_000)\n"
        "readers._processes = lambda pieces: 3\n"
        "print(len(loading.load([Path('/dev/stdin')], Wanted(), print)))\n"
    )
    with path.open("rb") as given:
        ran = subprocess.run([sys.executable, "-c", program], stdin=given, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.stdout, ran.returncode) == ("4\n", 0), ran.stderr


def test_a_file_that_is_replaced_between_two_pieces_is_refused(path: Path) -> None:
    path.write_text("".join(record.to_line() for record in series()), encoding="utf-8")
    last = cut(path, 5_000)[-1]
    path.with_name("new").write_bytes(path.read_bytes())
    path.with_name("new").replace(path)
    with pytest.raises(UsageError, match="changed while it was read"):
        read_piece(last, EVERYTHING)


def test_a_record_in_another_form_of_json_is_the_same_record(path: Path) -> None:
    plain = counted(64).to_json()
    again = {key: plain[key] for key in reversed(plain)}
    path.write_text("".join([counted(64).to_line(), json.dumps(plain) + "\n", json.dumps(again) + "\n"]), encoding="utf-8")
    assert [len(part) for part in loaded(path)] == [1, 1]


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["-c", ""],
        ["-c", "raise SystemExit(3)"],
        ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"],
        ["-c", "print('no pickle')"],
        ["-c", "print('\\x80\\x05')"],
    ],
)
def test_the_work_of_a_helper_that_fails_is_done_here(monkeypatch: pytest.MonkeyPatch, path: Path, command: list[str]) -> None:
    path.write_text("".join(record.to_line() for record in series()), encoding="utf-8")
    monkeypatch.setattr(readers, "_processes", lambda _pieces: 3)
    pieces = cut(path, 5_000)
    found = read_pieces(pieces, EVERYTHING, [sys.executable, *command] if command else ["/nowhere/at/all"])
    assert [(piece, reading.digests) for piece, reading in found] == [(piece, read_piece(piece, EVERYTHING).digests) for piece in pieces]


def test_a_helper_that_dies_half_way_keeps_what_it_answered(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    path.write_text("".join(record.to_line() for record in series((32, 64, 128, 256, 512, 1024))), encoding="utf-8")
    read_here: list[Piece] = []

    def noted(piece: Piece, wanted: Wanted, before: int = 0) -> Reading:
        if not read_here:  # the other process has answered, and is gone
            until(said.exists)
        read_here.append(piece)
        return read_piece(piece, wanted, before)

    monkeypatch.setattr(readers, "_processes", lambda _pieces: 2)
    monkeypatch.setattr(readers, "read_piece", noted)
    said = path.with_name("said")
    dies = (
        "import os, pathlib, spanbench.show.report.reading.helper as helper\n"
        "real, done = helper.read_piece, []\n"
        "def read_piece(*given):\n"
        "    if done:\n"
        f"        pathlib.Path({str(said)!r}).touch()\n"
        "        os._exit(1)\n"
        "    done.append(1)\n"
        "    return real(*given)\n"
        "helper.read_piece = read_piece\n"
        "helper.main()\n"
    )
    pieces = cut(path, 10_000)
    found = list(read_pieces(pieces, EVERYTHING, [sys.executable, "-c", dies]))
    assert [(piece, reading.digests) for piece, reading in found] == [(piece, read_piece(piece, EVERYTHING).digests) for piece in pieces]
    assert len(read_here) == len(pieces) - 1


def test_a_file_that_is_small_starts_no_process(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    path.write_text("".join(record.to_line() for record in series()), encoding="utf-8")
    monkeypatch.setattr(readers, "_Helper", None)
    assert len(loaded(path)[0]) == 4


def test_the_helper_needs_no_torch_and_leaves_no_process(path: Path) -> None:
    path.write_text("".join(record.to_line() for record in series()), encoding="utf-8")
    program = (
        "import spanbench.show.report.reading.helper, sys; sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    held = readers._Helper(deque(enumerate(cut(path, 5_000))), {}, EVERYTHING, HELPER)
    with held:
        held.join()
    assert len(held._found) == len(cut(path, 5_000))
    assert held._process.returncode is not None
