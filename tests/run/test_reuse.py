"""Reuse executed: what both arms do is what was counted, and every strategy says what reading anew says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor

from spanbench.count.reuse import Extent
from spanbench.count.reuse.counted import counted_reuse
from spanbench.count.reuse.edits import edits
from spanbench.errors import CountMismatch
from spanbench.judge.reuse import Reuse
from spanbench.judge.stats import Estimate
from spanbench.measure.energy import NullMeter
from spanbench.model.pair import Pair, build_pair
from spanbench.model.speak import start_session
from spanbench.model.speak.latent import LatentSession
from spanbench.point import Point
from spanbench.presets import ALLOCATIONS, resolve
from spanbench.prompt import load_prompt
from spanbench.run.reuse import Asked, count_reuse, drawn, run_reuse
from spanbench.run.reuse.checked import held, holds_extension, holds_from_u, work_of_reading
from spanbench.run.reuse.clocked import _joules, time_once
from spanbench.run.reuse.faults import DifferentAnswers
from spanbench.run.reuse.reading import read_from_u
from spanbench.run.reuse.shaped import kv_file_bytes
from spanbench.run.reuse.timed import check_answers
from spanbench.run.reuse.ways import Way, ways_of
from spanbench.show.reuse.verdict import sentences
from spanbench.store import keys
from spanbench.store.disk import Store
from spanbench.store.document import Library
from spanbench.store.resume import save
from tests.shapes import kinds, seeded_ids, seeded_point

QUICK = range(40)
STRATEGIES = ["dense", "dense-kv-ram", "dense-kv-disk", "dense-tokens", "latent", "latent-u", "latent-state"]


def read_of(seed: int) -> int:
    random = Random(seed)  # noqa: S311 - a length, not a secret
    return random.choice((1, 2, 3, random.randint(1, 20)))


def texts_of(point: Point, read: int) -> list[list[int]]:
    return seeded_ids(replace(point, tokens=point.tokens + read))


def hold(seed: int) -> None:
    point, read = seeded_point(seed), read_of(seed)
    extent, texts = Extent(point, point.tokens, read), texts_of(point, read)
    pair = build_pair(point, "meta")
    holds_extension(pair, extent, texts)
    holds_from_u(pair, extent, texts)


@pytest.mark.parametrize("seeds", [QUICK[start : start + 20] for start in QUICK[::20]], ids=str)
def test_the_closed_form_of_extension_is_the_ledger_in_every_stage(seeds: range) -> None:
    for seed in seeds:
        hold(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(start, start + 100) for start in range(40, 1040, 100)], ids=str)
def test_the_closed_form_of_extension_is_the_ledger_for_a_thousand_points(seeds: range) -> None:
    for seed in seeds:
        hold(seed)


def test_the_points_hold_every_option_and_queries_that_close_none_one_and_more_spans() -> None:
    points = [seeded_point(seed) for seed in QUICK]
    assert len(kinds(points)) == 21
    closed = {min(Extent(point, point.tokens, read_of(seed)).closed, 2) for seed, point in zip(QUICK, points, strict=True)}
    assert closed == {0, 1, 2}


def test_a_form_that_is_one_off_is_refused() -> None:
    point = seeded_point(3)
    extent, texts = Extent(point, point.tokens, 2), texts_of(point, 2)
    model = build_pair(point, "meta").latent
    from spanbench.count.reuse import extension
    from spanbench.count.reuse.extent import extent_rows
    from spanbench.count.reuse.moved import moved_by_extension

    rows = extent_rows(extent, texts)
    counted = work_of_reading(model, extent, rows)
    form, moved = extension(point, point.tokens, 2)["latent"], moved_by_extension(extent, rows)["latent"]
    held(form, moved, counted, "as it is")
    with pytest.raises(CountMismatch, match="bytes_compulsory"):
        held(form, moved + 1, counted, "a byte more")
    with pytest.raises(CountMismatch, match="head matrix_flops"):
        held(form | {"head": replace(form["head"], matrix_flops=1)}, moved, counted, "another head")


@pytest.mark.parametrize("seed", range(24))
def test_a_query_from_u_says_what_a_prefill_of_the_whole_text_says(seed: int) -> None:
    point, read = replace(seeded_point(seed), dtype="float64"), read_of(seed)
    text = torch.tensor(texts_of(point, read))
    model, windows = build_pair(point).latent, point.windows
    spans = windows.complete * windows.span
    with torch.inference_mode():
        u_BxKxZ = text.new_empty(point.batch, 0, point.shape.mixer.width, dtype=torch.float64)
        if spans:
            u = model.encoder(model.encoder_embedding(text[:, :spans].flatten()))
            u_BxKxZ = u.unflatten(0, (point.batch, -1))
        session = LatentSession(model, [0] * point.batch, point.tokens + read)
        carried = point.shape.carry if spans else 0
        logits = read_from_u(session, u_BxKxZ, text[:, spans - carried : point.tokens], text[:, point.tokens :])
        expected, _ = model.prefill(text)
    assert_close(logits, expected)


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-12 * max(1.0, expected.abs().max().item())


def asked_of(allocation: str = "lean", tokens: int = 42, span: int = 8, query: int = 11, dtype: str = "float64") -> Asked:
    point = Point(resolve("tiny", allocation, {}, span), tokens, span, dtype=dtype)
    prompt = drawn(load_prompt(None, None, tokens, 1), 256, 0, query)
    return Asked(replace(point, prompt=prompt.digest), prompt, query, (1, 10), (1, 2))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Reuse:
    asked, folder = asked_of(), tmp_path_factory.mktemp("files")
    return run_reuse(asked, count_reuse(asked), NullMeter(), 0.5, folder, progress=lambda *_: None)


@pytest.mark.parametrize(("tokens", "query"), [(42, 11), (40, 3), (5, 2), (8, 1)])
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_all_strategies_of_an_arm_give_one_answer(allocation: str, tokens: int, query: int, tmp_path: Path) -> None:
    asked = asked_of(allocation, tokens, query=query)
    counted = counted_reuse(asked.point, asked.prompt.ids, asked.query(), asked.queries, asked.documents)
    apart: dict[str, float] = {}
    with torch.inference_mode():
        ways = ways_of(build_pair(asked.point), asked, tmp_path)
        for way in ways.values():
            if way.once is not None:
                way.once()
        for number in (0, 1, 0):
            apart = check_answers(ways, torch.tensor([asked.query(number)[0]]), counted, 1e-12)
    assert set(apart) == {"token", "latent"}


def test_a_strategy_that_read_another_document_is_refused(tmp_path: Path) -> None:
    asked = asked_of()
    other = replace(asked, prompt=drawn(asked.prompt, 256, 1, asked.query_tokens))
    counted, pair = count_reuse(asked), build_pair(asked.point)
    with torch.inference_mode():
        ways, others = (dict(ways_of(pair, one, tmp_path / str(at))) for at, one in enumerate((asked, other)))
        for name in ways:
            for way in (ways[name], others[name]):
                (tmp_path / "0").mkdir(exist_ok=True)
                (tmp_path / "1").mkdir(exist_ok=True)
                if way.once is not None:
                    way.once()
        ways["latent-u"] = others["latent-u"]
        with pytest.raises(DifferentAnswers, match="latent, u on disk"):
            check_answers(ways, torch.tensor([asked.query()[0]]), counted, 1e-3)


def test_a_run_measures_every_strategy_and_keeps_the_counts(found: Reuse) -> None:
    counted = count_reuse(asked_of())
    assert [one.name for one in found.strategies] == STRATEGIES
    for one, before in zip(found.strategies, counted.strategies, strict=True):
        seconds = one.query.seconds
        assert seconds.value is not None
        assert seconds.low is not None
        assert seconds.high is not None
        assert 0 < seconds.low <= seconds.value <= seconds.high
        assert (one.query.flops, one.once.flops, one.stored_bytes) == (before.query.flops, before.once.flops, before.stored_bytes)
        assert one.query.joules.value is None
        assert one.query.joules.reason
        assert (one.disk_bytes is None) == (one.disk_reason is not None)
    assert found.rate is not None
    assert found.rate.flops_per_second > 1e6
    assert len([one for one in found.break_even if one.quantity == "seconds"]) == len(found.break_even) // 2
    assert all(one.bytes_per_second for one in found.crossovers)


def test_files_hold_what_was_counted_and_little_more(found: Reuse) -> None:
    sizes = {one.name: (one.bytes, one.disk_bytes) for one in found.memory if one.disk_bytes is not None}
    assert set(sizes) == {"dense KV, MHA (4 heads)", "dense KV, GQA (1 head)", "mixer KV", "latents u", "tokens"}
    for counted, written in sizes.values():
        assert counted is not None
        assert written is not None
        assert counted <= written
    assert sizes["tokens"][0] == sizes["tokens"][1] == 84
    assert sizes["dense KV, MHA (4 heads)"][1] < 1.1 * 2 * 2 * 42 * 64 * 8
    grouped = sizes["dense KV, GQA (1 head)"][1]
    assert grouped is not None
    assert 2 * 2 * 42 * 16 * 8 <= grouped < 1.1 * 2 * 2 * 42 * 16 * 8


def test_a_file_of_a_caches_shape_is_as_large_as_the_file_of_the_model_that_has_it(tmp_path: Path) -> None:
    asked = asked_of(tokens=80)
    token = replace(asked.point.shape.token, kv_heads=2)
    grouped = replace(asked.point, shape=replace(asked.point.shape, token=token))
    with torch.inference_mode():
        session, _ = start_session(build_pair(grouped).token, [list(asked.prompt.ids[0])], 0)
        real = save(session, tmp_path, "document").stat().st_size
        shaped = kv_file_bytes(asked.point, 2, tmp_path)
    assert abs(real - shaped) <= 16  # the checksum's digits
    assert not list((tmp_path / "shaped").iterdir())


def test_reading_the_document_hashes_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of()
    with torch.inference_mode():
        ways = ways_of(build_pair(asked.point), asked, tmp_path)
        monkeypatch.setattr(keys, "_fingerprint", lambda *_: pytest.fail("weights are hashed where a strategy is timed"))
        for way in ways.values():
            if way.once is not None:
                way.once()
                way.once()
            way.ask(torch.tensor([asked.query()[0]]))


def test_a_query_from_u_reads_the_open_ids_from_the_store(tmp_path: Path) -> None:
    asked = asked_of()
    other = replace(asked, prompt=replace(asked.prompt, ids=((*asked.prompt.ids[0][:-1], (asked.prompt.ids[0][-1] + 1) % 256),)))
    query, pair = torch.tensor([asked.query()[0]]), build_pair(asked.point)
    with torch.inference_mode():
        ways = ways_of(pair, asked, tmp_path)
        once = ways["latent-u"].once
        assert once is not None
        once()
        before = ways["latent-u"].ask(query)
        with Store.open(tmp_path / "u" / "1") as store:
            Library(store, pair.latent, "float64").replace("document", 41, [other.prompt.ids[0][-1]])
        after = ways["latent-u"].ask(query)
        expected, _ = pair.latent.prefill(torch.cat((torch.tensor(other.prompt.ids), query), 1))
    assert not torch.equal(before, after)
    assert_close(after, expected)


def test_joules_of_fewer_than_three_windows_are_null_with_a_reason() -> None:
    rows = [(1.0, 5.0, ""), (1.0, 6.0, "")]
    few = _joules(rows, "")
    assert few.value is None
    assert few.reason
    assert "only 2 windows" in few.reason
    assert _joules([*rows, (1.0, 9.0, "")], "") == Estimate(6.0, 5.0, 9.0)
    assert _joules([(1.0, None, "asleep")] * 4, "").reason == "asleep"
    assert _joules([*rows] * 4, "too short").reason == "too short"


def test_a_document_is_read_at_least_twice_so_that_there_is_a_range() -> None:
    read: list[int] = []
    found = time_once(Way(lambda: read.append(1), lambda ids: ids), 3, 0.0)
    assert len(read) == 2
    assert found.value is not None
    assert time_once(Way(None, lambda ids: ids), 3, 0.0) == Estimate(0.0, 0.0, 0.0)


def test_reading_all_latents_changes_nothing_and_fewer_something(found: Reuse) -> None:
    *fewer, whole = found.choices
    assert whole.change == 0
    assert whole.same_choice
    assert all(choice.change is not None and choice.change > 0 and choice.kl is not None and choice.kl >= 0 for choice in fewer)


def test_a_query_that_closes_no_span_chooses_no_latents(tmp_path: Path) -> None:
    asked = asked_of(query=2)
    ran = run_reuse(asked, count_reuse(asked), NullMeter(), 0.1, tmp_path, progress=lambda *_: None)
    assert {choice.change for choice in ran.choices} == {None}
    assert not any("Reading" in line for line in sentences(ran))
    assert all(choice.reason and "closes no span" in choice.reason for choice in ran.choices)


def test_the_result_is_plain_json(found: Reuse) -> None:
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["queries"] == [1, 10]


def test_the_library_recomputes_what_the_closed_form_of_edits_says(tmp_path: Path) -> None:
    asked = asked_of(tokens=42)
    ids, pair = list(asked.prompt.ids[0]), build_pair(asked.point)
    new = iter(range(256))
    for number, edit in enumerate(edits(asked.point)):
        with Store.open(tmp_path / str(number), create=True) as store:
            did = _edited(Library(store, pair.latent, "float64", state=True), edit.name, edit.position, edit.tokens, ids, next(new))
        assert (did[0], did[1]) == (edit.encoded, edit.mixed), edit


def _edited(library: Library, name: str, position: int, tokens: int, ids: list[int], new: int) -> tuple[int, int]:
    library.add("text", ids)
    fresh = [(new + 7 * at + 1) % 251 for at in range(max(1, tokens - len(ids)))]
    if name.startswith("replace"):
        did = library.replace("text", position, [(ids[position] + 1) % 256])
    elif name.startswith("append"):
        did = library.append("text", fresh)
    else:
        did = library.insert("text", position, fresh)
    return did.encoded, did.mixed


def test_counts_are_checked_before_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of()
    assert count_reuse(asked).verified
    from spanbench.run.reuse import checked

    monkeypatch.setattr(checked, "build_pair", lambda point, _: _other_pair(point))
    with pytest.raises(CountMismatch):
        count_reuse(asked)


def _other_pair(point: Point) -> Pair:
    """Return a pair with one decoder layer more than the point says."""
    decoder = replace(point.shape.decoder, layers=point.shape.decoder.layers + 1)
    return build_pair(replace(point, shape=replace(point.shape, decoder=decoder)), "meta")


def test_a_drawn_text_has_different_spans_and_is_the_same_each_time() -> None:
    prompt = drawn(load_prompt(None, None, 2048, 1), 256, 0, 64)
    spans = {prompt.ids[0][at : at + 32] for at in range(0, 2048, 32)}
    assert len(spans) == 64
    assert prompt.ids == drawn(load_prompt(None, None, 2048, 1), 256, 0, 64).ids
    assert prompt.following(64)[0] != prompt.ids[0][:64]
