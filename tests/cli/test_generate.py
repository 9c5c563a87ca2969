"""`spanbench generate`: what both models say, where it goes, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from spanbench.model.pair import build_pair
from spanbench.model.weights import save
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.prompt import BUILT_IN
from spanbench.show.generate import visible
from tests.cli.running import SECONDS, Cli

SPEAK = ("generate", "--preset", "tiny", "--tokens", "42", "--span", "8", "--dtype", "fp64", "--generate", "20")
ARMS = ("token", "latent")


def point(seed: int = 0) -> Point:
    return Point(resolve("tiny", "lean", {}, 8), tokens=42, span=8, seed=seed, dtype="float64")


def document(cli: Cli, *more: str | Path) -> dict[str, Any]:
    """Return the JSON document of a run."""
    data: dict[str, Any] = json.loads(cli.data(*SPEAK, "--format", "json", *more))
    return data


def ids(cli: Cli, *more: str | Path) -> dict[str, list[list[int]]]:
    """Return what both arms said."""
    data = document(cli, *more)
    return {arm: data[arm]["ids"] for arm in ARMS}


def test_json_holds_the_likeliest_tokens_and_their_text(cli: Cli) -> None:
    data = document(cli, "--batch", "2")
    assert list(data) == ["token", "latent", "point", "temperature", "weights"]
    assert (data["point"]["generate"], data["point"]["regimes"], data["weights"]) == (20, ["request"], "random")
    text_BxN = torch.tensor([list((BUILT_IN * 2).encode()[start : start + 42]) for start in (0, 42)])
    for arm, model in build_pair(point()).arms().items():
        read_BxN = text_BxN
        with torch.inference_mode():
            for _ in range(20):
                read_BxN = torch.cat([read_BxN, model(read_BxN)[:, -1].argmax(-1, keepdim=True)], 1)
        assert data[arm]["ids"] == read_BxN[:, 42:].tolist()
        assert 256 not in read_BxN
        assert data[arm]["text"] == [bytes(row).decode(errors="replace") for row in data[arm]["ids"]]
        assert data[arm]["first_token_seconds"] > 0
        assert data[arm]["tokens_per_second"] > 0


def test_text_goes_to_standard_output_and_all_else_to_standard_error(cli: Cli) -> None:
    data, ran = document(cli), cli(*SPEAK)
    assert ran.out == "".join(f"== {arm} ==\n{visible(data[arm]['text'][0])}\n" for arm in ARMS)
    note, *rates = ran.err.splitlines()
    assert note == "Weights are random (seed 0), and so is the text; --weights FILE loads trained ones."
    assert [line.split(" after ")[0] for line in rates] == ["token: first token", "latent: first token"]
    assert all(line.endswith(" tokens/s in all") for line in rates)


def test_each_prompt_of_a_batch_is_answered_under_its_heading(cli: Cli) -> None:
    texts = document(cli, "--batch", "2", "--arm", "latent")
    assert "token" not in texts
    first, second = (visible(text) for text in texts["latent"]["text"])
    printed = cli.data(*SPEAK, "--batch", "2", "--arm", "latent")
    assert printed == f"== latent, prompt 1 of 2 ==\n{first}\n== latent, prompt 2 of 2 ==\n{second}\n"


def test_control_characters_do_not_reach_a_terminal() -> None:
    every = "".join(map(chr, range(0x120)))
    shown = visible(every)
    assert len(shown) == len(every)
    assert [c for c in shown if not (c.isprintable() or c in "\n\t" or c in "\xa0\xad")] == []
    assert visible("plain ünïcode €\n\t") == "plain ünïcode €\n\t"


def test_csv_has_a_row_a_text_with_the_same_ids(cli: Cli) -> None:
    said = ids(cli, "--batch", "2")
    rows = list(csv.DictReader(io.StringIO(cli.data(*SPEAK, "--batch", "2", "--format", "csv"), newline="")))
    assert [(row["arm"], row["prompt"]) for row in rows] == [("token", "0"), ("token", "1"), ("latent", "0"), ("latent", "1")]
    assert [[int(token) for token in row["ids"].split()] for row in rows] == [*said["token"], *said["latent"]]


def test_markdown_fences_what_was_said(cli: Cli) -> None:
    text = visible(document(cli, "--arm", "token")["token"]["text"][0])
    printed = cli.data(*SPEAK, "--arm", "token", "--format", "markdown")
    assert printed.startswith("## spanbench generate · preset tiny")
    assert f"```text\n{text}\n```\n" in printed
    assert "| token |" in printed


def test_one_seed_says_the_same_and_another_something_else(cli: Cli) -> None:
    drawn = ids(cli, "--temperature", "1", "--seed", "3")
    assert ids(cli, "--temperature", "1", "--seed", "3") == drawn
    for other in (("--temperature", "1", "--seed", "4"), ("--temperature", "0.3", "--seed", "3"), ("--seed", "3")):
        said = ids(cli, *other)
        assert all(said[arm] != drawn[arm] for arm in ARMS)
    assert ids(cli, "--seed", "3", "--temperature", "1e-6") == ids(cli, "--seed", "3")


def test_weights_of_a_file_speak_in_place_of_random_ones(cli: Cli, tmp_path: Path) -> None:
    trained, kept = ids(cli, "--seed", "5"), tmp_path / "pair.safetensors"
    save(build_pair(point(seed=5)), kept)
    assert ids(cli) != trained
    assert ids(cli, "--weights", kept) == trained
    ran = cli(*SPEAK, "--weights", kept)
    assert "random" not in ran.err
    assert document(cli, "--weights", kept)["weights"] == str(kept)


def test_sampling_from_a_file_depends_on_the_seed_alone(cli: Cli, tmp_path: Path) -> None:
    save(build_pair(point(seed=5)), tmp_path / "pair.safetensors")
    drawn = [ids(cli, "--weights", tmp_path / "pair.safetensors", "--temperature", "1", "--seed", seed) for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_tokenizer_decodes_what_was_said(cli: Cli, tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    data = document(cli, "--tokenizer", tmp_path / "tokenizer.json")
    for arm in ARMS:
        assert data[arm]["text"] == [tokenizer.decode(row) for row in data[arm]["ids"]]


def test_it_says_when_the_latent_arm_never_has_a_latent(cli: Cli) -> None:
    assert "No span of 64 tokens is ever complete" in cli(*SPEAK, "--span", "64", "--generate", "22").err
    assert "is ever complete" not in cli(*SPEAK, "--span", "64", "--generate", "23").err


def test_as_many_prompts_as_fit_are_answered(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--batch max` finds is not refused afterwards, and is told; here some memory of a small machine is free."""
    for module in ("spanbench.run.fit", "spanbench.run.generated", "spanbench.cli.guard"):
        monkeypatch.setattr(f"{module}.available_bytes", lambda *_: 480 * 2**20)
    ran = cli(*SPEAK, "--batch", "max", "--format", "json")
    assert ran.code == 0, ran
    assert len(json.loads(ran.out)["token"]["text"]) > 1
    assert "Batch max: " in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--generate", "0"), ("--generate 0", "at least 1")),
        (("--generate", "-3"), ("--generate -3", "at least 1")),
        (("--generate", "many"), ("--generate 'many'", "whole number")),
        (("--generate", "1000000000000"), ("--generate 1000000000000", "not enough memory", "PiB", "are free", "fewer tokens")),
        (("--batch", "1000000000000"), ("--batch 1000000000000", "are free")),
        (("--arm", "tokn"), ("--arm", "'tokn'", "did you mean 'token'")),
        (("--temperature", "-1"), ("--temperature '-1'", "must be 0", "at least")),
        (("--temperature", "nan"), ("--temperature 'nan'", "must be 0")),
        (("--temperature", "1e-300"), ("--temperature '1e-300'", "at least 1e-06")),
        (("--temperature", "warm"), ("--temperature 'warm'", "must be 0")),
        (("--format", "jsn"), ("--format", "did you mean 'json'")),
        (("--regime", "score"), ("--regime", "No such option")),
        (("--weights", "nowhere.safetensors"), ("--weights 'nowhere.safetensors'", "no such file", "give a safetensors file")),
        (("--weights", "."), ("--weights '.'", "is a folder")),
        (("--weights", __file__), (f"--weights {__file__!r}", "is not a safetensors file")),
    ],
)
def test_a_wrong_value_is_named(cli: Cli, arguments: tuple[str, ...], said: tuple[str, ...]) -> None:
    line = cli.fails(*SPEAK, *arguments)
    assert [part for part in said if part not in line] == [], line


def test_an_empty_prompt_says_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    assert "is empty" in cli.fails(*SPEAK, "--prompt", tmp_path / "empty.txt")


def test_weights_of_another_shape_are_refused(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "pair.safetensors"
    save(build_pair(point()), kept)
    line = cli.fails(*SPEAK, "--set", "vocab=300", "--weights", kept)
    assert "tensor 'token.embedding.weight' is 257 × 64, must be 300 × 64" in line
    assert "has type float64, must be float32; take --dtype float64" in cli.fails(*SPEAK, "--dtype", "fp32", "--weights", kept)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_keeps_what_was_said() -> None:
    command = [sys.executable, "-m", "spanbench", *SPEAK, "--generate", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        begun = process.stdout.read(len("== token ==\n") + 30)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=SECONDS)
    assert begun.startswith(b"== token ==\n")
    assert rest.endswith(b"\n")
    assert b"== latent ==" not in rest
    assert process.returncode == 130
    assert err.decode().splitlines()[-1].startswith("spanbench: error: interrupted; ")
