"""`spanbench generate` goes on from what was kept: sessions of an earlier process, and prefixes of a prompt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spanbench.cli.main import main
from spanbench.model.pair import build_pair
from spanbench.model.weights import save
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.run.resumed.kept import MANIFEST
from tests.cli.running import Cli, python

ARMS = ("token", "latent")
MODEL = ("--preset", "tiny", "--span", "8", "--dtype", "fp64")
TEXT = "A text of 42 bytes, which both models read"
FULL_DISK = """
import resource, sys
from spanbench.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(sys.argv[1:]))
"""


def document(cli: Cli, *arguments: str | Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(cli.data("generate", *arguments, "--format", "json"))
    return data


def said(data: dict[str, Any]) -> dict[str, list[list[int]]]:
    return {arm: data[arm]["ids"] for arm in ARMS if arm in data}


def refused(cli: Cli, *arguments: str | Path, code: int = 2) -> str:
    """Return the one line of an error; notes may stand before it, and nothing was said."""
    ran = cli("generate", *arguments)
    assert (ran.code, ran.out) == (code, ""), ran
    return ran.err.splitlines()[-1].removeprefix("spanbench: error: ")


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    (tmp_path / "d.txt").write_text(TEXT + TEXT[::-1])
    return tmp_path / "d.txt"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions of both arms that have read the prompt's 84 tokens, and said 5."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "d.txt").write_text(TEXT + TEXT[::-1])
    assert main(["generate", *MODEL, "--prompt", str(folder / "d.txt"), "--generate", "5", "--save", str(folder / "kept")]) == 0
    return folder / "kept"


@pytest.fixture
def kept(once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(once, tmp_path / "kept")


# ---- saved and loaded -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [(), ("--temperature", "0.8", "--seed", "3")])
def test_what_is_said_behind_a_break_is_what_is_said_without_one(cli: Cli, tmp_path: Path, prompt: Path, how: tuple[str, ...]) -> None:
    run: tuple[str | Path, ...] = (*MODEL, "--prompt", prompt, "--tokens", "42", "--batch", "2", *how)
    whole = said(document(cli, *run, "--generate", "20"))
    parts = [said(document(cli, *run, "--generate", "8", "--save", tmp_path / "f"))]
    parts += [said(document(cli, "--load", tmp_path / "f", "--save", tmp_path / "f", "--generate", count)) for count in ("1", "11")]
    for arm in ARMS:
        assert [[token for part in parts for token in part[arm][lane]] for lane in range(2)] == whole[arm]
    assert len({tuple(lane) for lane in whole["token"] + whole["latent"]}) == 4


def test_another_process_goes_on(cli: Cli, prompt: Path, kept: Path) -> None:
    whole = said(document(cli, *MODEL, "--prompt", prompt, "--generate", "12"))
    program = "import sys; from spanbench.cli.main import main; sys.exit(main(sys.argv[1:]))"
    ran = python(program, "generate", "--load", str(kept), "--generate", "7", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    assert said(json.loads(ran.stdout)) == {arm: [whole[arm][0][5:]] for arm in ARMS}


def test_what_was_kept_and_what_was_not_read_again_is_told(cli: Cli, tmp_path: Path, prompt: Path) -> None:
    data = document(cli, *MODEL, "--prompt", prompt, "--generate", "5", "--save", tmp_path / "f")
    assert list(data) == ["token", "latent", "point", "temperature", "weights", "saved"]
    shape, files = resolve("tiny", "lean", {}, 8), {path.name.split("-")[0]: path for path in (tmp_path / "f").glob("*.safetensors")}
    rows, logits = {"token": 89, "mixer": 11, "window": shape.prefix + 1}, 8 * shape.vocab
    stacks = {"token": shape.token, "mixer": shape.mixer, "window": shape.decoder}
    sizes = {name: 2 * 8 * rows[name] * stack.layers * stack.kv_width for name, stack in stacks.items()}
    assert data["saved"]["token"]["bytes"] == {"layers": sizes["token"], "logits": logits}
    latent = {"mixer": sizes["mixer"], "window": sizes["window"], "latent": 8 * shape.mixer.width, "ids": 8, "logits": logits}
    assert data["saved"]["latent"]["bytes"] == latent
    assert {arm: data["saved"][arm]["file_bytes"] for arm in ARMS} == {arm: path.stat().st_size for arm, path in files.items()}
    loaded = document(cli, "--load", tmp_path / "f")
    assert list(loaded) == ["token", "latent", "point", "temperature", "weights", "loaded"]
    assert (loaded["point"]["tokens"], len(loaded["token"]["ids"][0])) == (89, 5)
    counted = json.loads(cli.data("count", *MODEL, "--tokens", "89", "--regime", "prefill", "--format", "json"))["measures"]
    prefill = {one["arm"]: one["value"] for one in counted if (one["quantity"], one["stage"]) == ("flops", "total")}
    assert loaded["loaded"] == {
        "folder": str(tmp_path / "f"),
        **{arm: {"tokens": 89, "read": 0, "flops_not_computed": prefill[arm]} for arm in ARMS},
    }
    shown = cli("generate", "--load", tmp_path / "f", "--save", tmp_path / "g")
    assert "token: 89 tokens were read before and none of them again" in shown.err
    assert "latent: kept 94 tokens in " in shown.err
    assert "mixer keys and values" in shown.err
    marked = cli.data("generate", "--load", tmp_path / "f", "--format", "markdown")
    assert "latent: 89 tokens were read before" in " ".join(marked.split())


def test_a_prompt_is_read_behind_what_was_kept(cli: Cli, tmp_path: Path, prompt: Path, kept: Path) -> None:
    first = said(document(cli, *MODEL, "--prompt", prompt, "--generate", "5"))
    (tmp_path / "more.txt").write_text("And the next 17 b")
    data = document(cli, "--load", kept, "--prompt", tmp_path / "more.txt", "--generate", "6")
    pair = build_pair(Point(resolve("tiny", "lean", {}, 8), tokens=42, span=8, dtype="float64"))
    for arm, model in pair.arms().items():
        read_1xN = torch.tensor([[*(TEXT + TEXT[::-1]).encode(), *first[arm][0], *b"And the next 17 b"]])
        with torch.inference_mode():
            for _ in range(6):
                read_1xN = torch.cat([read_1xN, model(read_1xN)[:, -1].argmax(-1, keepdim=True)], 1)
        assert data[arm]["ids"] == [read_1xN[0, -6:].tolist()]
        assert (data["loaded"][arm]["tokens"], data["loaded"][arm]["read"]) == (89, 17)
    assert data["point"]["tokens"] == 89 + 17


def test_one_arm_of_two_goes_on_and_options_that_are_as_they_were_may_be_given(cli: Cli, tmp_path: Path, kept: Path) -> None:
    alone = document(cli, "--load", kept, "--arm", "latent", *MODEL, "--set", "vocab=257", "--seed", "0")
    both = document(cli, "--load", kept)
    assert said(alone) == {"latent": said(both)["latent"]}
    (tmp_path / "run.toml").write_text('preset = "tiny"\nspan = 8\ngenerate = 3\n')
    assert said(document(cli, "--load", kept, "--config", tmp_path / "run.toml"))["token"] == [both["token"]["ids"][0][:3]]
    (tmp_path / "run.toml").write_text('dtype = "float32"\n')
    assert "--dtype float32: the sessions in" in refused(cli, "--load", kept, "--config", tmp_path / "run.toml")


def test_trained_weights_are_found_again_and_others_refused(
    cli: Cli, tmp_path: Path, prompt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = Point(resolve("tiny", "lean", {}, 8), tokens=42, span=8, dtype="float64", seed=5)
    save(build_pair(point), tmp_path / "pair.safetensors")
    save(build_pair(Point(point.shape, 42, 8, dtype="float64", seed=6)), tmp_path / "other.safetensors")
    monkeypatch.chdir(tmp_path)
    run = (*MODEL, "--prompt", prompt, "--weights", "pair.safetensors")
    whole = said(document(cli, *run, "--generate", "9"))
    document(cli, *run, "--generate", "5", "--save", "f")
    monkeypatch.chdir(tmp_path.parent)
    assert said(document(cli, "--load", tmp_path / "f", "--generate", "4")) == {arm: [whole[arm][0][5:]] for arm in ARMS}
    line = refused(cli, "--load", tmp_path / "f", "--weights", tmp_path / "other.safetensors", code=3)
    assert "was saved by model" in line
    (tmp_path / "pair.safetensors").unlink()
    assert "pair.safetensors': there is no such file" in refused(cli, "--load", tmp_path / "f")


def test_saving_again_leaves_one_set_of_files(cli: Cli, kept: Path) -> None:
    for _ in range(2):
        cli.data("generate", "--load", kept, "--save", kept)
        assert sorted(path.name.split("-")[0] for path in kept.iterdir()) == ["latent", MANIFEST, "token"]
    assert document(cli, "--load", kept)["loaded"]["token"]["tokens"] == 84 + 5 * 3


def test_what_was_kept_stays_and_the_text_is_printed_where_the_disk_is_full(cli: Cli, prompt: Path, kept: Path) -> None:
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    arguments = ("generate", *MODEL, "--prompt", str(prompt), "--generate", "5")
    ran = python(FULL_DISK, *arguments, "--save", str(kept), "--format", "json")
    assert (ran.returncode, ran.stderr.splitlines()[-1].count("cannot be written to")) == (2, 1), ran
    assert said(json.loads(ran.stdout)) == said(document(cli, *arguments[1:]))
    assert "saved" not in json.loads(ran.stdout)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (("--span", "4"), "--span 4: the sessions in {} were saved with --span 8; leave it out, or read the prompt anew"),
        (("--preset", "small"), "--preset small: the sessions in {} were saved with --preset tiny"),
        (("--dtype", "fp32"), "--dtype float32: the sessions in {} were saved with --dtype float64"),
        (("--seed", "1"), "--seed 1: the sessions in {} were saved with --seed 0"),
        (("--set", "layers=1"), "--set layers=1: the sessions in {} were saved with other sizes"),
        (("--tokens", "42"), "--tokens: does not go with --load"),
        (("--batch", "2"), "--batch: does not go with --load"),
        (("--prefix-cache", "p"), "--prefix-cache: does not go with --load"),
        (("--generate", "0"), "--generate 0: must be at least 1"),
        (("--prompt", "nowhere.txt"), "--prompt 'nowhere.txt': there is no such file"),
        (("--tokenizer", "nowhere.json"), "--tokenizer 'nowhere.json': there is no such file"),
        (("--tokenizer", __file__), "were saved with bytes, without a tokenizer; take that"),
    ],
)
def test_an_option_that_does_not_fit_what_was_kept_is_named(cli: Cli, kept: Path, option: tuple[str, ...], why: str) -> None:
    assert why.format(repr(str(kept))) in refused(cli, "--load", kept, *option)


def test_an_arm_that_was_not_kept_is_refused_only_where_it_is_asked_for(cli: Cli, tmp_path: Path, prompt: Path) -> None:
    cli.data("generate", *MODEL, "--prompt", prompt, "--arm", "latent", "--save", tmp_path / "f", "--generate", "2")
    assert list(said(document(cli, "--load", tmp_path / "f"))) == ["latent"]
    for arm in ("both", "token"):
        assert f"--arm {arm}: " in (line := refused(cli, "--load", tmp_path / "f", "--arm", arm))
        assert "keeps no session of arm token; take --arm latent" in line


def test_a_folder_that_keeps_nothing_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, why in (("empty", "holds no kept sessions"), ("nowhere", "there is no such folder"), ("file", "is a file")):
        assert f"{why}; give a folder of generate --save" in refused(cli, "--load", tmp_path / name)
    (tmp_path / "empty" / MANIFEST).write_text('{"something": "else"}')
    assert "is not of spanbench" in refused(cli, "--load", tmp_path / "empty", code=3)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("what", ["token-*", "latent-*", MANIFEST])
def test_a_damaged_file_is_refused_before_anything_is_said(cli: Cli, kept: Path, what: str, damage: Callable[[Path], None]) -> None:
    damage(next(kept.glob(what)))
    assert "what was written" in (line := refused(cli, "--load", kept, code=3)) or "damaged" in line


def test_a_session_that_is_gone_or_another_models_is_refused(cli: Cli, tmp_path: Path, prompt: Path, kept: Path) -> None:
    cli.data("generate", *MODEL, "--seed", "1", "--prompt", prompt, "--save", tmp_path / "other", "--generate", "2")
    ours, theirs = (next(folder.glob("latent-*")) for folder in (kept, tmp_path / "other"))
    shutil.copy(theirs, ours)
    assert "was saved by model" in refused(cli, "--load", kept, code=3)
    ours.unlink()
    assert "there is none in" in refused(cli, "--load", kept)


@pytest.mark.parametrize("option", ["--save", "--prefix-cache"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(cli: Cli, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("x")
    assert cli.fails("generate", *MODEL, option, tmp_path / "file").endswith("file': is a file; give a folder")
    assert "(Not a directory)" in cli.fails("generate", *MODEL, option, tmp_path / "file" / "below")
    if not Path("/proc/version").exists():
        return
    assert "cannot be written" in cli.fails("generate", *MODEL, option, "/proc/nothing")


def test_a_folder_of_other_things_is_not_saved_to(cli: Cli, prompt: Path) -> None:
    line = cli.fails("generate", *MODEL, "--prompt", prompt, "--save", prompt.parent)
    assert "holds something other than kept sessions (d.txt); give a new or empty folder" in line
    assert [path.name for path in prompt.parent.iterdir()] == ["d.txt"]


# ---- prefixes -------------------------------------------------------------------------------------------------------


def test_a_prompt_that_was_read_before_is_read_from_there_on(cli: Cli, tmp_path: Path, prompt: Path) -> None:
    run = (*MODEL, "--prompt", prompt, "--generate", "9")
    cached = (*run, "--prefix-cache", tmp_path / "p")
    for tokens, reused in ((42, 0), (42, 42), (60, 42), (50, 42), (84, 60), (41, 0)):
        data = document(cli, *cached, "--tokens", str(tokens))
        assert said(data) == said(document(cli, *run, "--tokens", str(tokens)))
        assert data["reused"] == {
            "folder": str(tmp_path / "p"),
            **{arm: {"reused": [reused], "read": [tokens - reused], "damaged": []} for arm in ARMS},
        }
    ran = cli("generate", *cached, "--tokens", "84")
    assert "token: 84 of 84 prompt tokens reused, 0 read" in ran.err
    other = document(cli, *cached, "--tokens", "84", "--seed", "1")
    assert other["reused"]["latent"] == {"reused": [0], "read": [84], "damaged": []}
    narrower = document(cli, *cached, "--tokens", "84", "--span", "4")
    assert [narrower["reused"][arm]["reused"] for arm in ARMS] == [[84], [0]]


def test_each_prompt_of_a_batch_has_its_own_prefix_and_is_kept_with_its_session(cli: Cli, tmp_path: Path, prompt: Path) -> None:
    run = (*MODEL, "--prompt", prompt, "--batch", "2", "--tokens", "42", "--generate", "9", "--temperature", "1")
    document(cli, *MODEL, "--prompt", prompt, "--tokens", "42", "--generate", "1", "--prefix-cache", tmp_path / "p")
    whole = said(document(cli, *run))
    for reused in ([42, 0], [42, 42]):
        data = document(cli, *run, "--prefix-cache", tmp_path / "p", "--save", tmp_path / "f")
        assert said(data) == whole
        assert data["reused"]["token"]["reused"] == data["reused"]["latent"]["reused"] == reused
    longer = said(document(cli, *run[:-4], "--generate", "14", "--temperature", "1"))
    assert said(document(cli, "--load", tmp_path / "f", "--generate", "5")) == {arm: [lane[9:] for lane in longer[arm]] for arm in ARMS}


def test_a_damaged_prefix_is_passed_over_told_and_kept_anew(cli: Cli, tmp_path: Path, prompt: Path) -> None:
    run = (*MODEL, "--prompt", prompt, "--prefix-cache", tmp_path / "p", "--generate", "2")
    whole = said(document(cli, *run))
    flip(next((tmp_path / "p").glob("latent-*/prefix-84-*")))
    told = cli("generate", *run).err.splitlines()[-1]
    assert "latent: 0 of 84 prompt tokens reused, 84 read; passed over: " in told
    assert "does not hold what was written" in told
    again = document(cli, *run)
    assert said(again) == whole
    assert again["reused"]["latent"] == {"reused": [84], "read": [0], "damaged": []}
