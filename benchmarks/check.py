"""How long `spanbench check` takes on 100 points, by the ledger and by the closed form alone.

    python benchmarks/check.py [--points 100] [--cold]

The points are tiny and small ones. The whole command is timed, from the start of Python to its end; CPU seconds are of all
its processes, and say more than the clock where the machine is shared. `--cold` forgets which witnesses agreed before.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice, product
from pathlib import Path

from spanbench.cli.baseline import closed
from spanbench.judge.baseline.asked import asked_of
from spanbench.judge.baseline.file import Baseline, Header

AXES = {"preset": ("tiny", "small"), "allocation": ("lean", "megabyte"), "span": (4, 8, 16, 32, 64), "tokens": (24, 64, 128, 256, 512)}


def written(folder: Path, points: int) -> Path:
    """Write a baseline of some points by the closed form, which is quick."""
    file = folder / "baseline.jsonl"
    asked = [asked_of(dict(zip(AXES, values, strict=True))) for values in islice(product(*AXES.values()), points)]
    header = Header("dense", tuple(asked))
    file.write_text(Baseline.text(header, closed(str(file), header)), encoding="utf-8")
    return file


def timed(what: str, *arguments: str) -> None:
    """Run the command, and print its seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "spanbench", "check", *arguments, "--format", "csv"]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # this Python, and spanbench itself
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{what}: {seconds:.2f} s, {cpu:.2f} CPU-s")


def main() -> None:
    """Time both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--cold", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.cold:
            os.environ["SPANBENCH_CACHE"] = folder
        file = str(written(Path(folder), given.points))
        timed(f"{given.points} points, closed form", file, "--closed-form")
        timed(f"{given.points} points, both models executed on meta", file)


if __name__ == "__main__":
    main()
