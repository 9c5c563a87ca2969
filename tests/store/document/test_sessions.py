"""A session on stored latents or mixer rows is the session of a prefill, over every option of the pair."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.model.latent import Latent
from spanbench.model.layers import Layout
from spanbench.model.stack import Fresh
from spanbench.point import Point
from spanbench.store.disk import SpaceMismatch, Store
from spanbench.store.document import Edited, Library, MissingLatents, NotThisModel
from spanbench.store.keys import chain_keys
from spanbench.store.spans import span_keys
from tests.model.exact import double_points
from tests.model.speak.lanes import apart, held, prefilled, tensors
from tests.store.shelves import latent_of, library, relative, text, tiny

SPAN = 4
MODEL = tiny(SPAN)
VOCAB = 257


def prefill(model: Latent, ids: list[int]) -> torch.Tensor:
    return prefilled(model, torch.tensor([ids]))[0]


@settings(max_examples=25)
@given(double_points(), st.integers(0, 14))
def test_a_session_from_either_kind_of_record_is_that_of_a_prefill_and_reads_on(point: Point, more: int) -> None:
    model = latent_of(point)
    ids = text(point.tokens + more, point.shape.vocab, point.seed)
    with library(model, state=True) as books:
        books.add("d", ids[: point.tokens])
        for use in ("u", "state"):
            session, logits = books.session("d", more, use=use)
            assert apart(logits, prefill(model, ids[: point.tokens])) <= 1e-12
            if more:
                with torch.inference_mode():
                    logits = session.read(torch.tensor([ids[point.tokens :]]))
            wanted, state = prefilled(model, torch.tensor([ids]))
            assert apart(logits, wanted) <= 1e-12
            for (place, ours), (there, theirs) in zip(tensors(held(session, 0)), tensors(state), strict=True):
                assert place == there
                assert apart(ours, theirs) <= 1e-12, place


def encoded(model: Latent, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        latents: torch.Tensor = model.encoder(model.encoder_embedding(torch.tensor(ids)))
    return latents


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_what_is_read_back_equals_a_fresh_encoding_of_each_span_alone(dtype: str, tolerance: float) -> None:
    model, ids = tiny(SPAN, dtype=dtype), text(40, VOCAB)
    with library(model, dtype) as books:
        books.add("d", ids)
        u = books.latents("d")
    assert u.dtype == getattr(torch, dtype)
    for span in range(10):
        assert relative(u[span : span + 1], encoded(model, ids[span * SPAN : (span + 1) * SPAN])) <= tolerance


def test_what_is_read_back_is_bit_for_bit_what_was_stored() -> None:
    """The whole document is one batch to the encoder, here and when it was stored: not a bit may differ."""
    for dtype in ("float32", "float64", "bfloat16"):
        model, ids = tiny(SPAN, dtype=dtype), text(40, VOCAB)
        with library(model, dtype) as books:
            books.add("d", ids)
            assert torch.equal(books.latents("d"), encoded(model, ids))


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 11), ("bfloat16", 8)])
def test_narrowing_is_rounding_and_its_error_is_stated(dtype: str, bits: int) -> None:
    model, ids = tiny(SPAN, dtype="float32"), text(40, VOCAB)
    with library(model, dtype) as books:
        lost = books.add("d", ids).narrowed
        exact, kept = encoded(model, ids), books.latents("d")
        assert torch.equal(kept, exact.to(getattr(torch, dtype)).float())
        assert books.manifest("d").narrowed == lost
    error = (kept.double() - exact.double()).abs()
    assert lost.max_abs == error.max().item()
    assert lost.rms == pytest.approx(error.square().mean().sqrt().item())
    assert lost.relative is not None
    assert 0 < lost.relative <= 2.0**-bits
    assert lost.values == exact.numel()


def test_an_edit_adds_the_error_of_what_it_encodes_to_the_document_s() -> None:
    with library(tiny(SPAN, dtype="float32"), "float16") as books:
        first = books.add("d", text(40, VOCAB)).narrowed
        then = books.replace("d", 5, text(1, VOCAB, seed=9)).narrowed
        assert books.manifest("d").narrowed == first + then
        assert (first + then).values == 11 * 64


def test_a_value_that_the_type_cannot_hold_is_refused() -> None:
    model = tiny(SPAN, dtype="float32")
    for weight in model.encoder.pool.parameters():
        weight.mul_(1e6)
    with library(model, "float16") as books:
        with pytest.raises(UsageError, match="--dtype float16: cannot hold a value of"):
            books.add("d", text(8, VOCAB))
        assert books.store.documents() == []


def test_documents_are_composed_from_latents_that_are_there() -> None:
    """Whole spans of the first, all of the second: as if they were one text."""
    one, two = text(8, VOCAB), text(11, VOCAB, seed=1)
    with library(MODEL) as books:
        books.add("one", [*one, 3, 3])
        books.add("two", two)
        composed = books.compose(["one", "two"], 4)
        assert (composed.spans, composed.left_out) == (4, 2)
        assert relative(composed.logits_1xV, prefill(MODEL, one + two)) <= 1e-12
        again = books.compose(["one"], 4)
        assert relative(again.logits_1xV, prefill(MODEL, [*one, 3, 3])) <= 1e-12


def test_a_composed_session_reads_on() -> None:
    one, two, more = text(8, VOCAB), text(11, VOCAB, seed=1), text(6, VOCAB, seed=2)
    with library(MODEL) as books, torch.inference_mode():
        books.add("one", one)
        books.add("two", two)
        logits = books.compose(["one", "two"], 6).session.read(torch.tensor([more]))
        assert relative(logits, prefill(MODEL, one + two + more)) <= 1e-12


def test_keeping_some_latents_is_reading_the_text_of_those_spans() -> None:
    ids = text(22, VOCAB)
    with library(MODEL) as books:
        books.add("d", ids)
        _, logits = books.session("d", 1, keep=[3, 1])
        shorter = [*ids[4:8], *ids[12:16], *ids[20:]]
        assert relative(logits, prefill(MODEL, shorter)) <= 1e-12
        _, everything = books.session("d", 1, keep=range(5))
        assert relative(everything, prefill(MODEL, ids)) <= 1e-12


def test_refined_rows_are_those_of_the_mixer_run_over_its_own_outputs() -> None:
    """In a store that was edited in between, only the rows behind the edit are computed."""
    ids = text(22, VOCAB)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        assert books.refine("d", 2) == 2 * 5
        assert books.manifest("d").passes == 2
        assert books.refine("d", 2) == 0
        session, _ = books.session("d", 1, use="state", passes=2)
        c = encoded(MODEL, ids[:20])
        with torch.inference_mode():
            for _ in range(3):
                c = mixed(c)
        assert relative(session.latent_BxZ, c[-1:]) <= 1e-12
        books.replace("d", 13, [(ids[13] + 1) % VOCAB])
        assert books.manifest("d").passes == 0
        with pytest.raises(MissingLatents, match="only the first 3 of its 5 mixer rows of extra pass 1"):
            books.session("d", 1, use="state", passes=1)
        assert books.refine("d", 2) == 2 * 2


def mixed(u_KxZ: torch.Tensor) -> torch.Tensor:
    c_KxZ: torch.Tensor = MODEL.mixer(u_KxZ, Fresh(Layout(((1, len(u_KxZ)),))))
    return c_KxZ


def test_evicted_latents_are_missed_by_name_and_made_again_only_when_asked() -> None:
    ids = text(22, VOCAB)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        assert books.store.delete(books.u_space, span_keys(ids, SPAN)[1:3]) == 2
        assert books.missing("d") == [1, 2]
        with pytest.raises(MissingLatents, match="2 of its 5 latents are not in the store; spanbench store edit STORE d --restore makes"):
            books.session("d", 1)
        restored = books.restore("d")
        assert (restored.encoded, restored.kept, restored.mixed, books.missing("d")) == (2, 3, 0, [])
        assert relative(books.session("d", 1)[1], prefill(MODEL, ids)) <= 1e-12


def test_state_that_was_never_stored_is_not_made_unasked() -> None:
    with library(MODEL) as books:
        books.add("d", text(22, VOCAB))
        with pytest.raises(
            MissingLatents, match=r"only the first 0 of its 5 mixer rows are in the store; .* edit STORE d --restore --state makes"
        ):
            books.session("d", 1, use="state")


@pytest.mark.parametrize("other", [tiny(SPAN, seed=1), tiny(2), tiny(SPAN, dtype="float32")], ids=["weights", "span", "dtype"])
def test_a_store_of_another_encoder_is_refused(other: Latent) -> None:
    with library(MODEL) as books:
        books.add("d", text(22, VOCAB))
        with pytest.raises(SpaceMismatch) as raised:
            Library(books.store, other, "float64")
        assert raised.value.exit_code == 3


def test_a_document_of_another_encoder_is_refused_where_the_store_holds_both() -> None:
    """Documents without a complete span leave no record that a store could tell by."""
    with library(MODEL) as books:
        books.add("d", [1, 2])
        other = Library(books.store, tiny(SPAN, seed=1), "float64")
        with pytest.raises(NotThisModel, match="document 'd': was written with encoder") as raised:
            other.append("d", [1])
        assert raised.value.exit_code == 3


def test_a_model_with_another_mixer_reads_the_latents_but_not_the_mixer_rows() -> None:
    ids, other = text(22, VOCAB), tiny(SPAN)
    next(other.mixer.parameters()).mul_(2)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        theirs = Library(books.store, other, "float64")
        assert relative(theirs.session("d", 1)[1], prefill(other, ids)) <= 1e-12
        with pytest.raises(NotThisModel, match="its mixer rows were made by mixer"):
            theirs.session("d", 1, use="state")
        with pytest.raises(NotThisModel):
            theirs.refine("d", 1)
        with pytest.raises(SpaceMismatch):
            Library(books.store, other, "float64", state=True)


def test_no_edit_puts_rows_of_another_mixer_beside_those_that_are_there() -> None:
    """Also where the library was opened for latents alone, and where the rows themselves are gone by now."""
    ids, other = text(22, VOCAB), tiny(SPAN)
    next(other.mixer.parameters()).mul_(2)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        Library(books.store, MODEL, "float64").add("plain", ids)
        held = books.manifest("d")
        theirs = Library(books.store, other, "float64")
        theirs.state = True
        edits: list[Callable[[], Edited]] = [
            lambda: theirs.append("d", [1]),
            lambda: theirs.restore("d"),
            lambda: theirs.replace("d", 0, [1]),
        ]
        for edit in edits:
            with pytest.raises(NotThisModel, match="its mixer rows were made by mixer") as raised:
                edit()
            assert raised.value.exit_code == 3
        with pytest.raises(SpaceMismatch):
            theirs.restore("plain")
        books.store.delete(books.state_space, chain_keys(ids, SPAN))
        for edit in edits:
            with pytest.raises(NotThisModel):
                edit()
        assert books.manifest("d") == held
        theirs.state = False
        assert (theirs.append("d", [1]).mixed, theirs.manifest("d").mixer) == (0, None)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@settings(max_examples=8)
@given(st.lists(st.integers(1, 30), max_size=4), st.integers(0, 2**32))
def test_a_narrow_row_is_the_same_whatever_it_was_made_together_with(dtype: str, pieces: list[int], seed: int) -> None:
    """A document that grew in pieces, and one written at once: the same bytes under the same key."""
    model, ids = tiny(2, dtype="float32"), text(46, VOCAB, seed)
    with library(model, dtype, state=True) as once, library(model, dtype, state=True) as grown:
        once.add("d", ids)
        grown.add("d", ids[:1])
        for end in [*itertools.accumulate(pieces, initial=1), 46]:
            held = len(grown.manifest("d").ids)
            if held < min(end, 46):
                grown.append("d", ids[held : min(end, 46)])
        assert torch.equal(once.latents("d"), grown.latents("d"))
        keys = chain_keys(ids, 2)
        assert once.store.get(once.state_space, keys) == grown.store.get(grown.state_space, keys)


def test_a_narrow_row_is_mixed_behind_rows_as_they_are_read_back() -> None:
    """What it says is what a session of the model's own type says, but for the rounding."""
    model, ids = tiny(2, dtype="float32"), text(46, VOCAB)
    with library(model, "float16", state=True) as books:
        books.add("d", ids)
        narrow, _ = books.session("d", 1, use="state")
        exact, _ = books.session("d", 1)
        assert 0 < relative(narrow.latent_BxZ, exact.latent_BxZ) <= 2e-3


def test_a_key_or_value_that_the_type_cannot_hold_is_refused() -> None:
    model = tiny(SPAN, dtype="float32")
    for block in model.mixer.blocks:
        for weight in block.parameters():
            weight.mul_(1e5)
    with library(model, "float16", state=True) as books:
        with pytest.raises(UsageError, match="--dtype float16: cannot hold a value of"):
            books.add("d", text(8, VOCAB))
        assert books.store.documents() == []


def test_a_limit_never_costs_a_document_spans_of_its_own_that_it_found(tmp_path: Path) -> None:
    """Those that were there already were used longest ago, and count as used now."""
    ids = text(240, VOCAB)
    with library(MODEL, folder=tmp_path / "s") as books:
        books.add("old", ids)
        books.add("newer", text(240, VOCAB, seed=1))
        full = books.store.stats().disk_bytes
    with Store.open(tmp_path / "s", limit_bytes=full - 4096) as store:
        books = Library(store, MODEL, "float64")
        assert books.add("new", [*ids, 1, 2, 3, 4]).found == 60
        assert set(books.incomplete()) == {"newer"}


def test_documents_that_miss_latents_are_counted_whoever_wrote_them() -> None:
    ids = text(22, VOCAB)
    with library(MODEL) as books:
        books.add("whole", text(13, VOCAB, seed=1))
        books.add("d", ids)
        assert books.incomplete() == {}
        books.store.delete(books.u_space, span_keys(ids, SPAN)[1:3])
        books.add("shares", ids[4:8])
        books.store.delete(books.u_space, span_keys(ids, SPAN)[1:2])
        assert books.incomplete() == {"d": 2, "shares": 1}


def test_a_model_with_another_decoder_reads_the_same_latents() -> None:
    ids, other = text(22, VOCAB), tiny(SPAN)
    other.head.weight.mul_(-1)
    with library(MODEL, state=True) as books:
        books.add("d", ids)
        both = Library(books.store, other, "float64", state=True)
        for use in ("u", "state"):
            assert relative(both.session("d", 1, use=use)[1], prefill(other, ids)) <= 1e-12
            assert relative(both.session("d", 1, use=use)[1], -prefill(MODEL, ids)) <= 1e-12


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"keep": [5]}, r"cannot keep spans \[5\] of 5; take at least one of 0 \.\. 4"),
        ({"keep": []}, r"cannot keep spans \[\] of 5"),
        ({"keep": [0], "use": "state"}, "have read all spans"),
        ({"passes": 1}, "take use='state'"),
        ({"use": "kv"}, "use"),
    ],
    ids=str,
)
def test_a_session_that_cannot_be_is_one_line(options: dict[str, object], says: str) -> None:
    with library(MODEL, state=True) as books:
        books.add("d", text(22, VOCAB))
        with pytest.raises(UsageError, match=says):
            books.session("d", 1, **options)  # type: ignore[arg-type]  # options of several types


def test_too_short_a_document_cannot_be_refined_and_no_document_cannot_be_composed() -> None:
    with library(MODEL, state=True) as books:
        books.add("d", [1, 2])
        with pytest.raises(UsageError, match="has no complete span to refine"):
            books.refine("d", 1)
        with pytest.raises(UsageError, match="cannot refine by 0 passes"):
            books.refine("d", 0)
        with pytest.raises(UsageError, match="no document; name at least one"):
            books.compose([], 1)
