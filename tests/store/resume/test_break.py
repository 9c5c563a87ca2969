"""Read a document, save, end the process, load in a new one, go on: the same tokens and logits as without the break."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

READS = """
import json, sys
from spanbench.store.resume import save
from tests.store.resume.breaking import model_of, said, start

texts = []
for case in sys.argv[2:]:
    session, logits = start(model_of(*case.split("-")), 30)
    save(session, sys.argv[1], case, logits=logits)
    texts.append(said(session, logits, 24))
print(json.dumps(texts))
"""

GOES_ON = """
import json, sys
from spanbench.store.resume import load_with_logits
from tests.store.resume.breaking import model_of, said

loaded = (load_with_logits(model_of(*case.split("-")), sys.argv[1], case, 30) for case in sys.argv[2:])
print(json.dumps([said(session, logits, 24) for session, logits in loaded]))
"""

ROOT = Path(__file__).parents[3]

Text = list[tuple[int, list[float]]]
"""Tokens, each with the logits that it was chosen from."""


def run(program: str, *arguments: str) -> list[Text]:
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    texts: list[Text] = json.loads(done.stdout)
    return texts


def assert_goes_on(folder: Path, *cases: str) -> None:
    unbroken, resumed = run(READS, str(folder), *cases), run(GOES_ON, str(folder), *cases)
    assert len(unbroken) == len(resumed) == len(cases)
    for ours, theirs in zip(resumed, unbroken, strict=True):
        assert len(ours) == 24
        assert [token for token, _ in ours] == [token for token, _ in theirs]
        for (_, one), (_, other) in zip(ours, theirs, strict=True):
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 1e-12 * max(map(abs, other))


def test_a_new_process_goes_on_with_the_same_tokens_and_logits(tmp_path: Path) -> None:
    assert_goes_on(tmp_path, "token-plain", "latent-plain")


@pytest.mark.slow
def test_it_does_with_every_option(tmp_path: Path) -> None:
    assert_goes_on(tmp_path, "latent-carry", "latent-cross", "latent-flat")
