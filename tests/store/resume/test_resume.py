"""Sessions saved and loaded, bit for bit and lane for lane; files that are damaged, foreign or of another model."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spanbench.errors import SpanbenchError, UsageError
from spanbench.model.pair import build_pair
from spanbench.model.speak import Session, start_session
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.store.disk import CorruptStore, NewerStore, NoStore
from spanbench.store.document import NotThisModel
from spanbench.store.keys import arm_fingerprint
from spanbench.store.resume import load, load_with_logits, restore, save, snapshot
from tests.model.exact import arms, double_points
from tests.oracle.points import tiny_point
from tests.store.resume.breaking import model_of, start

ARMS = ["token", "latent"]


CROSS = replace(tiny_point(72), dtype="float64")
"""Cross-attention in two layers, before the first span."""


def test_less_than_no_room_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    model = model_of("latent", "plain")
    session, _ = start(model, 9)
    with pytest.raises(UsageError, match="room -1: a session cannot have room for fewer than 0 more tokens"):
        load(model, tmp_path, "none", -1)
    with pytest.raises(UsageError, match="room -2: "):
        restore(model, snapshot(session), -2)
    save(session, tmp_path, "s")
    assert snapshot(load(model, tmp_path, "s", 0)).lengths == (9,)


@st.composite
def ragged(draw: st.DrawFn) -> tuple[Point, list[int], int]:
    """Draw a point, a length for each lane, and how many steps are taken before the break."""
    point = draw(double_points())
    lengths = draw(st.lists(st.integers(1, 2 * point.span + 1), min_size=1, max_size=3))
    return point, lengths, draw(st.integers(0, point.span + 1))


@settings(max_examples=30)
@given(ragged())
@example((CROSS, [1], 0))  # layers that share a tensor would take the last one's rows
def test_a_session_restored_anywhere_goes_on_bit_for_bit(case: tuple[Point, list[int], int]) -> None:
    """The copied session goes on too, and neither moves the other: the copy is the copy."""
    point, lengths, steps = case
    generator = torch.Generator().manual_seed(point.seed)
    prompts = [torch.randint(point.shape.vocab, (length,), generator=generator).tolist() for length in lengths]
    said = torch.randint(point.shape.vocab, (steps + point.span + 2, len(lengths)), generator=generator)
    for model in arms(point).values():
        with torch.inference_mode():
            session, _ = start_session(model, prompts, len(said))
            for ids in said[:steps]:
                session.step(ids)
            kept = snapshot(session)
            others = [restore(model, kept, len(said) - steps) for _ in range(2)]
            whole = [session.step(ids) for ids in said[steps:]]
            for other in others:
                assert all(torch.equal(other.step(ids), wanted) for ids, wanted in zip(said[steps:], whole, strict=True))
                assert other.kept() == session.kept()


@pytest.mark.parametrize("arm", ARMS)
def test_what_is_read_back_is_bit_for_bit_what_was_saved(arm: str, tmp_path: Path) -> None:
    model = model_of(arm, "plain")
    session, logits = start(model, 30)
    save(session, tmp_path, "d", logits=logits)
    loaded, said = load_with_logits(model, tmp_path, "d", 30)
    assert said is not None
    assert torch.equal(said, logits)
    ours, theirs = snapshot(loaded), snapshot(session)
    assert ours.lengths == theirs.lengths == (30,)
    assert ours.tensors.keys() == theirs.tensors.keys()
    assert all(torch.equal(tensor, theirs.tensors[name]) for name, tensor in ours.tensors.items())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("arm", ARMS)
def test_every_element_type_is_saved_as_it_is(arm: str, dtype: str, tmp_path: Path) -> None:
    point = Point(resolve("tiny", "lean", {}, 8), 9, 8, dtype=dtype)
    model = build_pair(point).arms()[arm]
    with torch.inference_mode():
        session, _ = start_session(model, [[1, 2, 3, 4, 5, 6, 7, 8, 9]], 4)
        save(session, tmp_path, "d")
        loaded, nothing = load_with_logits(model, tmp_path, "d", 4)
        assert nothing is None
        assert torch.equal(loaded.step(torch.tensor([1])), session.step(torch.tensor([1])))


def saved(arm: str, folder: Path) -> tuple[Session, Path]:
    session, logits = start(model_of(arm, "plain"), 30)
    return session, save(session, folder, "d", logits=logits)


@pytest.mark.parametrize("arm", ARMS)
def test_another_model_is_refused(arm: str, tmp_path: Path) -> None:
    saved(arm, tmp_path)
    other = model_of(arm, "plain")
    other.head.weight[3, 3] += 1e-9
    with pytest.raises(NotThisModel, match="session 'd': was saved by model") as raised:
        load(other, tmp_path, "d", 4)
    assert raised.value.exit_code == 3
    with pytest.raises(NotThisModel):
        load(model_of(ARMS[arm == "token"], "plain"), tmp_path, "d", 4)


def test_a_file_cut_or_changed_at_any_byte_is_never_read_as_a_session(tmp_path: Path) -> None:
    """Every byte of the header, and some of the tensors."""
    model, (_, path) = model_of("latent", "plain"), saved("latent", tmp_path)
    content, fingerprint = path.read_bytes(), arm_fingerprint(model)
    header = 8 + int.from_bytes(content[:8], "little")
    for at in [*range(header), *range(header, len(content), len(content) // 20)]:
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises((CorruptStore, NewerStore, NotThisModel)) as raised:
                load(model, tmp_path, "d", 4, fingerprint=fingerprint)
            assert raised.value.exit_code == 3


def test_writing_over_a_session_leaves_the_old_one_where_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, path = saved("latent", tmp_path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"session 'd': cannot be written to .* \(No space left on device\)"):
        save(session, tmp_path, "d")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_session_that_is_not_there_and_a_folder_that_is_a_file_are_one_line(tmp_path: Path) -> None:
    model, (session, path) = model_of("token", "plain"), saved("token", tmp_path)
    with pytest.raises(NoStore, match="session 'e': there is none in"):
        load(model, tmp_path, "e", 4)
    with pytest.raises(SpanbenchError, match="session 'd':"):
        load(model, path, "d", 4)
    with pytest.raises(NoStore, match="session 'd': cannot be written to"):
        save(session, path, "d")


@pytest.mark.parametrize("name", ["", "a/b", "../d", ".", "a\0b"])
def test_a_name_is_no_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give one without slashes"):
        load(model_of("token", "plain"), tmp_path, name, 4)
