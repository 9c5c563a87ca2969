"""`spanbench store adapt` and `edit --refine`: latents for another model, and latents mixed again, through the command line."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from spanbench.model.pair import build_pair
from spanbench.model.stack import Fresh, Resumed
from spanbench.model.weights import save
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.store.disk import Entry, RawTensor, Space, Store
from spanbench.store.spans import span_keys
from tests.cli.running import Cli

MODEL = ("--preset", "tiny", "--span", "8")
TEXT = "".join(random.Random(0).choices("abcdefghij klmnopqr", k=8 * 200 + 2))  # noqa: S311 - a text, not a secret
"""200 spans of 8, and 2 open."""


def data(cli: Cli, *arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli.data("store", *arguments, "--format", "json"))
    return found


def refused(cli: Cli, *arguments: str | Path, code: int = 2) -> str:
    """Return the one line of an error; notes may stand before it."""
    ran = cli("store", *arguments)
    assert (ran.code, ran.out) == (code, ""), ran
    return ran.err.splitlines()[-1].removeprefix("spanbench: error: ")


def add(cli: Cli, folder: Path, *model: str | Path, text: str = TEXT, name: str = "d") -> Path:
    data(cli, "add", folder, "--name", name, *MODEL, *model, "--text", text)
    return folder


def noise(folder: Path) -> Path:
    """Make a store with a latent of chance for each span of the text."""
    keys = list(dict.fromkeys(span_keys(list(TEXT.encode()), 8)))
    values = torch.randn(len(keys), 5, generator=torch.Generator().manual_seed(0))
    entries = [Entry(key, {"u": RawTensor("F32", (5,), row.numpy().tobytes())}) for key, row in zip(keys, values, strict=True)]
    with Store.open(folder, create=True) as held:
        held.put(Space("u", "f" * 64, 8, "float32"), entries)
    return folder


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    """Weights of the model of seed 0, its latents turned by a rotation."""
    pair = build_pair(Point(resolve("tiny", "lean", {}, 8), 8, 8))
    with torch.no_grad():
        weight = next(pair.latent.encoder.pool.parameters())
        weight.copy_(torch.linalg.qr(torch.randn(len(weight), len(weight), generator=torch.Generator().manual_seed(1))).Q @ weight)
    save(pair, tmp_path / "turned.safetensors")
    return tmp_path / "turned.safetensors"


def test_a_rotation_of_the_latents_is_found_and_written_to_a_file(cli: Cli, tmp_path: Path, turned: Path) -> None:
    one, other = add(cli, tmp_path / "a"), add(cli, tmp_path / "b", "--weights", turned)
    before = [data(cli, "list", folder) for folder in (one, other)]
    found = data(cli, "adapt", one, other, "--ridge", "1e-9", "--out", tmp_path / "map.safetensors")
    assert (found["source"], found["verdict"]) == ("measured", "nearly-exact")
    assert (found["pairs"], found["fitted"], found["held_out"]) == (200, 150, 50)
    assert found["r2"] > 0.9999
    assert max(found["zero"], found["shuffled"]) < 0.2
    assert [data(cli, "list", folder) for folder in (one, other)] == before
    raw = (tmp_path / "map.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    body = json.loads(header["__metadata__"]["body"])
    assert header["weight"]["shape"] == [64, 64]
    assert (body["ridge"], body["r2"], body["pairs"]) == (1e-9, found["r2"], 200)
    assert [body[name]["fingerprint"] for name in ("from", "to")] == [found[name]["encoder"] for name in ("from", "to")]
    assert "is there already" in refused(cli, "adapt", one, other, "--out", tmp_path / "map.safetensors")


def test_latents_of_chance_are_told_to_be_no_better_than_the_controls(cli: Cli, tmp_path: Path) -> None:
    found = data(cli, "adapt", add(cli, tmp_path / "a"), noise(tmp_path / "n"), "--ridge", "1")
    assert found["r2"] < 0
    assert (found["from"]["values"], found["to"]["values"]) == (64, 5)
    assert found["verdict"] in {"chance", "below-mean"}
    table = " ".join(cli.data("store", "adapt", tmp_path / "a", tmp_path / "n", "--ridge", "1").split())
    assert "does not beat its controls" in table or "it is of no use" in table


def test_a_map_needs_two_encoders_and_one_in_each_store(cli: Cli, tmp_path: Path) -> None:
    one, other = add(cli, tmp_path / "a"), add(cli, tmp_path / "b", "--seed", "1")
    assert "there is nothing to adapt" in refused(cli, "adapt", one, one)
    [shard] = other.glob("*.safetensors")
    shutil.copy(shard, one)
    (one / "index.sqlite").unlink()  # a rebuilt index takes in every shard that it finds
    cli("store", "verify", one, "--repair")
    assert "adapt needs a store of one encoder" in refused(cli, "adapt", one, other, code=3)


def test_too_few_pairs_to_determine_a_map_are_told_beside_it(cli: Cli, tmp_path: Path) -> None:
    one, other = (add(cli, tmp_path / seed, "--seed", seed, text=TEXT[:160]) for seed in ("0", "1"))
    table = " ".join(cli.data("store", "adapt", one, other).split())
    assert "Fitted on 15 pairs, which do not determine maps of 64 values" in table
    assert "15 pairs of spans do not determine 64 values" in refused(cli, "adapt", one, other, "--ridge", "0")
    assert "leave fewer than 2 on a side" in refused(cli, "adapt", one, other, "--held-out", "0.95")


def test_what_has_no_pairs_is_one_line_with_its_exit_code(cli: Cli, tmp_path: Path) -> None:
    one, other = add(cli, tmp_path / "a"), add(cli, tmp_path / "b", "--seed", "1", text=TEXT[1:])
    (tmp_path / "file").write_text("x")
    short = tmp_path / "short"
    assert cli("store", "add", short, *MODEL, "--span", "4", "--text", TEXT).code == 0
    assert "have no span in common" in refused(cli, "adapt", one, other, code=5)
    assert "holds no latents" in refused(cli, "adapt", one, add(cli, tmp_path / "e", text="abc"), code=5)
    assert "spans of 8 and of 4 tokens" in refused(cli, "adapt", one, short, code=3)
    assert "there is no such folder" in refused(cli, "adapt", one, tmp_path / "none")
    assert "is a file" in refused(cli, "adapt", tmp_path / "file", one)
    assert not (tmp_path / "none").exists()


def test_a_damaged_record_is_named_and_not_fitted_on(cli: Cli, tmp_path: Path) -> None:
    one, other = add(cli, tmp_path / "a"), add(cli, tmp_path / "b", "--seed", "1")
    [shard] = other.glob("*.safetensors")
    whole = bytearray(shard.read_bytes())
    whole[-1] ^= 1
    shard.write_bytes(whole)
    assert "is not what was written" in refused(cli, "adapt", one, other, code=3)


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--ridge", "-1", "--ridge '-1': must be a number of 0 or more"),
        ("--ridge", "nan", "must be a number of 0 or more"),
        ("--ridge", "some", "must be a number of 0 or more"),
        ("--held-out", "1", "must lie between"),
        ("--seed", "x", "must be a whole number"),
        ("--out", "no/such/folder/m.safetensors", "there is no folder"),
    ],
)
def test_a_wrong_option_is_refused_before_any_store_is_read(cli: Cli, option: str, value: str, why: str) -> None:
    assert why in refused(cli, "adapt", "none", "nowhere", option, value)


# ---- refined --------------------------------------------------------------------------------------------------------


def said(passes: int, text: str, question: str, tokens: int) -> list[int]:
    """Return what the model says where its mixer ran `passes` extra times over the document, and the question closes no span."""
    model = build_pair(Point(resolve("tiny", "lean", {}, 8), 8, 8)).latent
    once = model.mixer.forward

    def again(x_RxD: torch.Tensor, how: Fresh | Resumed) -> torch.Tensor:
        assert isinstance(how, Fresh)
        for _ in range(passes):
            x_RxD = once(x_RxD, Fresh(how.layout))
        return once(x_RxD, how)

    model.mixer.forward = again  # type: ignore[method-assign]  # the oracle is the model itself, mixed more than once
    ids = list((text + question).encode())
    with torch.inference_mode():
        for _ in range(tokens):
            ids.append(int(model.prefill(torch.tensor([ids]))[0].argmax()))
    return ids[-tokens:]


def test_a_query_goes_on_from_refined_rows_and_says_what_more_mixing_would(cli: Cli, tmp_path: Path) -> None:
    text = TEXT[:98]
    add(cli, tmp_path / "s", text=text)
    assert data(cli, "query", tmp_path / "s", "d", *MODEL, "--text", "ab", "--generate", "4")["passes"] == 0
    done = data(cli, "edit", tmp_path / "s", "d", *MODEL, "--refine", "2")
    assert (done["passes"], done["rows"], done["mixed"]) == (2, 36, 36)
    answers = []
    for wanted, given in ((2, ()), (2, ("--passes", "2")), (1, ("--passes", "1")), (0, ("--passes", "0"))):
        asked = data(cli, "query", tmp_path / "s", "d", *MODEL, "--text", "ab", "--generate", "4", *given)
        assert (asked["passes"], asked["rows_found"], asked["rows_mixed"]) == (wanted, 12, 0)
        assert asked["ids"] == said(wanted, text, "ab", 4)
        answers.append(asked["ids"])
    assert answers[0] != answers[3]
    assert "extra pass 2" in cli.data("store", "query", tmp_path / "s", "d", *MODEL, "--text", "ab", "--generate", "1")


def test_refining_computes_only_rows_that_are_not_there(cli: Cli, tmp_path: Path) -> None:
    add(cli, tmp_path / "s", "--state", text=TEXT[:98])
    first = data(cli, "edit", tmp_path / "s", "d", *MODEL, "--refine", "1")
    assert (first["rows"], first["mixed"]) == (24, 12)
    assert first["flops_mixer"] * 2 == first["flops_mixer_anew"]
    assert data(cli, "edit", tmp_path / "s", "d", *MODEL, "--refine", "2")["mixed"] == 12
    again = data(cli, "edit", tmp_path / "s", "d", *MODEL, "--refine", "2")
    assert (again["mixed"], again["flops_mixer"]) == (0, 0)
    ran = cli("store", "edit", tmp_path / "s", "d", *MODEL, "--replace", "64", "--text", "ZZ")
    assert "--refine 2 makes them again" in ran.err
    assert data(cli, "query", tmp_path / "s", "d", *MODEL, "--text", "ab", "--generate", "1")["passes"] == 0
    behind = data(cli, "edit", tmp_path / "s", "d", *MODEL, "--refine", "2")
    assert behind["mixed"] == 2 * 4
    assert 0 < behind["flops_mixer"] < behind["flops_mixer_anew"]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("edit", "d", "--refine", "0"), 2, "--refine 0: must be at least 1 extra pass"),
        (("edit", "d", "--refine", "1", "--text", "x"), 2, "--refine: takes no text"),
        (("edit", "d", "--refine", "1", "--append"), 2, "--refine and --append was given"),
        (("edit", "d", "--refine", "1", "--no-state"), 2, "leave --no-state out"),
        (("edit", "e", "--refine", "1"), 2, "has no document 'e'"),
        (("edit", "d", "--refine", "1", "--seed", "1"), 3, "asked for was u of"),
        (("query", "d", "--text", "x", "--passes", "1"), 2, "--passes 1: extra passes are mixer state"),
        (("query", "d", "--text", "x", "--state", "--passes", "1"), 3, "rows of extra pass 1 are in the store"),
        (("query", "d", "--text", "x", "--passes", "-1"), 2, "--passes -1: must be 0 or more"),
    ],
)
def test_passes_that_cannot_be_are_one_line(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, why: str) -> None:
    add(cli, tmp_path / "s", text=TEXT[:98])
    assert why in refused(cli, arguments[0], tmp_path / "s", *arguments[1:], *MODEL, code=code)


def test_both_views_come_in_every_format_at_80_columns(cli: Cli, tmp_path: Path) -> None:
    one, other = add(cli, tmp_path / "a"), add(cli, tmp_path / "b", "--seed", "1")
    for command in (("adapt", one, other), ("edit", one, "d", *MODEL, "--refine", "1")):
        table = cli.data("store", *command)
        assert max(len(line) for line in table.splitlines()[1:]) <= 80
        assert cli.data("store", *command, "--format", "markdown").startswith("## spanbench store")
        assert len(cli.data("store", *command, "--format", "csv").splitlines()) == 2
