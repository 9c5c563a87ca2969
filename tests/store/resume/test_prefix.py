"""A prefix cache reads from the longest known prefix on, and says what reading everything says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.model.pair import Model
from spanbench.point import Point
from spanbench.store.document import NotThisModel
from spanbench.store.resume import PrefixCache
from tests.model.exact import arms, double_points
from tests.model.speak.lanes import apart, prefilled
from tests.store.resume.breaking import ids_of, model_of

ARMS = ["token", "latent"]


def expected(model: Model, ids: list[int]) -> torch.Tensor:
    return prefilled(model, torch.tensor([ids]))[0]


@settings(max_examples=25)
@given(double_points(), st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 20))
def test_a_text_is_read_from_its_longest_known_prefix_on(point: Point, known: list[int], tokens: int) -> None:
    generator = torch.Generator().manual_seed(point.seed)
    ids = torch.randint(point.shape.vocab, (20,), generator=generator).tolist()
    for model in arms(point).values():
        cache = PrefixCache(model)
        for length in known:
            read = cache.read(ids[:length], 2)
            cache.put(ids[:length], read.session, read.logits_1xV)
        assert cache.known(ids[:tokens]) == max((length for length in known if length <= tokens), default=0)
        read = cache.read(ids[:tokens], 2)
        assert read.reused == cache.known(ids[:tokens])
        assert apart(read.logits_1xV, expected(model, ids[:tokens])) <= 1e-12
        with torch.inference_mode():
            following = read.session.step(torch.tensor([ids[0]]))
        assert apart(following, expected(model, [*ids[:tokens], ids[0]])) <= 1e-12


@pytest.mark.parametrize("arm", ARMS)
def test_another_beginning_is_no_prefix(arm: str) -> None:
    model, ids = model_of(arm, "plain"), ids_of(20)
    cache = PrefixCache(model)
    read = cache.read(ids, 2)
    cache.put(ids, read.session, read.logits_1xV)
    assert cache.known([ids[0] + 1, *ids[1:], 1, 2]) == 0
    assert cache.known([*ids[:19], (ids[19] + 1) % 257, 5]) == 0
    assert cache.known([*ids, 5]) == 20


@pytest.mark.parametrize("arm", ARMS)
def test_using_a_prefix_leaves_it_as_it_was(arm: str) -> None:
    model, ids = model_of(arm, "plain"), ids_of(30)
    cache = PrefixCache(model)
    read = cache.read(ids[:11], 19)
    cache.put(ids[:11], read.session, read.logits_1xV)
    with torch.inference_mode():
        read.session.read(torch.tensor([ids[11:]]))
    for _ in range(2):
        assert torch.equal(cache.read(ids[:20], 4).logits_1xV, cache.read(ids[:20], 4).logits_1xV)
        assert apart(cache.read(ids[:20], 4).logits_1xV, expected(model, ids[:20])) <= 1e-12


def test_the_least_recently_used_goes_first_past_the_limit() -> None:
    model, ids = model_of("token", "plain"), ids_of(40)
    one = PrefixCache(model)
    read = one.read(ids[:10], 2)
    one.put(ids[:10], read.session, read.logits_1xV)
    cache = PrefixCache(model, limit_bytes=3 * one.nbytes)
    texts = [[token, *ids[1:10]] for token in range(4)]
    for text in texts[:3]:
        read = cache.read(text, 2)
        cache.put(text, read.session, read.logits_1xV)
    assert cache.nbytes == cache.limit
    cache.read(texts[0], 2)
    read = cache.read(texts[3], 2)
    cache.put(texts[3], read.session, read.logits_1xV)
    assert [cache.known(text) for text in texts] == [10, 0, 10, 10]


@pytest.mark.parametrize("arm", ARMS)
def test_a_folder_keeps_prefixes_for_a_new_cache(arm: str, tmp_path: Path) -> None:
    model, ids = model_of(arm, "plain"), ids_of(30)
    first = PrefixCache(model, folder=tmp_path / "kept")
    read = first.read(ids[:21], 2)
    first.put(ids[:21], read.session, read.logits_1xV)
    new = PrefixCache(model, folder=tmp_path / "kept")
    read = new.read(ids, 2)
    assert read.reused == 21
    assert apart(read.logits_1xV, expected(model, ids)) <= 1e-12
    assert torch.equal(new.read(ids[:21], 2).logits_1xV, first.read(ids[:21], 2).logits_1xV)


def test_a_session_of_another_text_is_not_kept_under_this_one() -> None:
    cache = PrefixCache(model_of("token", "plain"))
    read = cache.read([1, 2, 3], 2)
    with pytest.raises(ValueError, match="has read"):
        cache.put([1, 2], read.session, read.logits_1xV)


@pytest.mark.parametrize("harm", ["changed", "cut", "gone", "empty"])
def test_a_prefix_whose_file_is_damaged_is_passed_over_and_kept_anew(harm: str, tmp_path: Path) -> None:
    model, ids = model_of("latent", "plain"), ids_of(30)
    first = PrefixCache(model, folder=tmp_path)
    for length in (11, 21):
        read = first.read(ids[:length], 2)
        first.put(ids[:length], read.session, read.logits_1xV)
    [longest] = tmp_path.glob("prefix-21-*")
    whole = longest.read_bytes()
    content = {"changed": whole[:-1] + bytes([whole[-1] ^ 1]), "cut": whole[:-7], "empty": b"", "gone": whole}[harm]
    longest.unlink() if harm == "gone" else longest.write_bytes(content)
    new = PrefixCache(model, folder=tmp_path)
    read = new.read(ids, 2)
    assert read.reused == 11
    assert [longest.stem in why for why in read.damaged] == ([] if harm == "gone" else [True])
    assert apart(read.logits_1xV, expected(model, ids)) <= 1e-12
    again = new.read(ids[:21], 2)
    new.put(ids[:21], again.session, again.logits_1xV)
    mended = PrefixCache(model, folder=tmp_path).read(ids, 2)
    assert (mended.reused, mended.damaged) == (21, ())


def test_a_text_of_which_every_prefix_is_damaged_is_read_anew(tmp_path: Path) -> None:
    model, ids = model_of("token", "plain"), ids_of(12)
    first = PrefixCache(model, folder=tmp_path)
    read = first.read(ids, 2)
    first.put(ids, read.session, read.logits_1xV)
    next(tmp_path.iterdir()).write_bytes(b"x")
    read = PrefixCache(model, folder=tmp_path).read(ids, 2)
    assert (read.reused, len(read.damaged)) == (0, 1)
    assert apart(read.logits_1xV, expected(model, ids)) <= 1e-12


def test_another_model_s_prefixes_are_refused_and_not_passed_over(tmp_path: Path) -> None:
    first, ids = PrefixCache(model_of("token", "plain"), folder=tmp_path), ids_of(12)
    read = first.read(ids, 2)
    first.put(ids, read.session, read.logits_1xV)
    with pytest.raises(NotThisModel):
        PrefixCache(model_of("latent", "plain"), folder=tmp_path).read(ids, 2)


def test_less_than_no_room_is_refused() -> None:
    with pytest.raises(UsageError, match="room -1: a session cannot have room for fewer than 0 more tokens"):
        PrefixCache(model_of("token", "plain")).read([1, 2, 3], -1)
