"""Sessions saved at any point and loaded again say what they would have said, for random models, lengths and temperatures."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.model.pair import Model
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.request import Request
from spanbench.run.generated import speak_from
from spanbench.run.resumed import Anew, Beginning, KeptSampler, Loading, Prefixes, Saving, check_writable_folder, load_kept, recipe_of
from tests.model.exact import arms, double_points, random_ids
from tests.store.disk.records import Child


def speaks(beginning: Beginning, model: Model, tokens: int, temperature: float, saving: Saving | None = None) -> list[list[int]]:
    """Let a model say tokens, and have it kept."""
    sampler = beginning.sampler("token", model, KeptSampler(temperature, 7))
    said, session = speak_from(model, beginning.begin("token", model, tokens), tokens, sampler, lambda _: None, warm=beginning.warm)
    if saving is not None:
        saving.keep("token", model, session, said, sampler)
    return said.ids


def saving_of(folder: str, point: Point, tokens: int) -> Saving:
    point = replace(point, generate=tokens)
    return Saving(folder, recipe_of(Request(), point, 0.0, None), point.to_json())


@settings(max_examples=25)
@given(double_points(), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 0.7]))
def test_a_break_anywhere_changes_no_token(point: Point, before: int, behind: int, temperature: float) -> None:
    ids = random_ids(point).tolist()
    for model in arms(point).values():  # either arm under one name: what is kept does not depend on it
        whole = speaks(Anew(ids), model, before + behind, temperature)
        with TemporaryDirectory() as folder:
            with saving_of(folder, point, before) as saving:
                first = speaks(Anew(ids), model, before, temperature, saving)
                saving.commit()
            assert saving.failure is None
            kept = load_kept(folder)
            assert kept.tokens == point.tokens + before
            then = speaks(Loading(folder, kept), model, behind, temperature)
        assert [[*one, *two] for one, two in zip(first, then, strict=True)] == whole


@settings(max_examples=20)
@given(double_points(), st.data())
def test_a_known_prefix_changes_no_token(point: Point, data: st.DataObject) -> None:
    ids = random_ids(point).tolist()
    known = data.draw(st.integers(1, point.tokens))
    lanes = data.draw(st.integers(1, len(ids)))
    for model in arms(point).values():
        with TemporaryDirectory() as folder:
            speaks(Prefixes(folder, [lane[:known] for lane in ids[:lanes]]), model, 2, 0.0)
            prefixes = Prefixes(folder, ids)
            assert speaks(prefixes, model, 9, 0.7) == speaks(Anew(ids), model, 9, 0.7)
            reused = [known * (lane[:known] in [one[:known] for one in ids[:lanes]]) for lane in ids]
            assert prefixes.told("token", point) == {"reused": reused, "read": [point.tokens - one for one in reused], "damaged": []}


def test_a_process_that_dies_at_any_sync_of_a_save_leaves_the_old_sessions_or_the_new_ones(tmp_path: Path) -> None:
    point = Point(resolve("tiny", "lean", {}, 4), 9, 4, dtype="float64")
    model, ids, folder = arms(point)["latent"], torch.arange(9).view(1, 9).tolist(), str(tmp_path)

    def saves(before: int) -> list[list[int]]:
        with saving_of(folder, point, before) as saving:
            said = speaks(Anew(ids), model, before, 0.0, saving)
            saving.commit()
        return said

    whole, done = speaks(Anew(ids), model, 9, 0.0)[0], 0
    for last in range(1, 20):
        saves(2)
        done = Child(dying(last, lambda: saves(5))).said()[1]
        kept = load_kept(folder)
        said = kept.tokens - point.tokens
        assert said in ({5} if done == 0 else {2, 5})
        assert speaks(Loading(folder, kept), model, 9 - said, 0.0)[0] == whole[said:]
        if done == 0:
            break
    assert (last, done) == (5, 0)  # two files, and the folder after each


def dying(last: int, work: Callable[[], object]) -> Callable[[object], None]:
    """Return work of a process that ends as if killed at its n-th sync."""
    syncs = itertools.count(1)

    def sync(_: object) -> None:
        if next(syncs) == last:
            os._exit(9)

    standing_in: Callable[..., None] = sync

    def worked(_: object) -> None:
        os.fsync = standing_in
        work()

    return worked


def test_without_a_commit_nothing_stays(tmp_path: Path) -> None:
    point = Point(resolve("tiny", "lean", {}, 4), 9, 4, dtype="float64")
    ids = torch.arange(9).view(1, 9).tolist()
    with saving_of(str(tmp_path), point, 2) as saving:
        speaks(Anew(ids), arms(point)["latent"], 2, 0.0, saving)
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_chance_of_another_kind_of_device_is_refused_unless_nothing_is_drawn(tmp_path: Path) -> None:
    point = Point(resolve("tiny", "lean", {}, 4), 9, 4, dtype="float64")
    model, ids = arms(point)["token"], torch.arange(9).view(1, 9).tolist()
    with saving_of(str(tmp_path), point, 2) as saving:
        speaks(Anew(ids), model, 2, 0.0, saving)
        saving.commit()
    kept = load_kept(str(tmp_path))
    foreign = replace(kept, arms={arm: replace(one, chance="00" * 16) for arm, one in kept.arms.items()})  # as long as a GPU's
    assert speaks(Loading(str(tmp_path), foreign), model, 3, 0.0) == speaks(Loading(str(tmp_path), kept), model, 3, 0.0)
    with pytest.raises(UsageError, match="--device cpu: what is drawn was begun on cpu; take --device cpu, or --temperature 0"):
        speaks(Loading(str(tmp_path), foreign), model, 3, 0.5)


def test_files_of_a_save_that_was_killed_do_not_make_a_folder_foreign(tmp_path: Path) -> None:
    for name in ("token-0123456789abcdef.safetensors", ".latent-0123456789abcdef.safetensors.x1y2", ".sessions.json.abc"):
        (tmp_path / name).write_text("")
    check_writable_folder("--save", str(tmp_path), own=True)
    (tmp_path / "token-0.safetensors").write_text("")
    with pytest.raises(UsageError, match=r"something other than kept sessions \(token-0\.safetensors\)"):
        check_writable_folder("--save", str(tmp_path), own=True)
