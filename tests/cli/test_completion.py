"""What a shell offers when Tab is pressed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def offered(words: str) -> list[str]:
    """Ask for completions as the script does that `--show-completion` prints for bash."""
    code = "import sys; sys.argv[0] = 'spanbench'; from spanbench.cli.main import main; sys.exit(main())"
    asked = {"_SPANBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("spanbench co", ["compare", "count"]),
        ("spanbench count --preset ", ["tiny", "small", "gpt2", "llama-7b", "document"]),
        ("spanbench count --allocation m", ["mixer-only", "megabyte"]),
        ("spanbench count --regime score,p", ["score,prefill"]),
        ("spanbench count --set decoder.k", ["decoder.kv_heads="]),
        ("spanbench compare --meter ", ["auto", "nvml", "nvml-power", "rapl", "codecarbon", "model", "none"]),
        ("spanbench tables --format ", ["table", "json", "csv", "markdown"]),
        ("spanbench presets --dtype b", ["bfloat16", "bf16"]),
    ],
)
def test_names_are_completed(words: str, names: list[str]) -> None:
    assert offered(words) == names
