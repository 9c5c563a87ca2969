"""How long counting and reporting take: one counted point, a sweep of 99 of them, and a report on 10,000 records.

    python benchmarks/counting.py [--only point|sweep|report] [--records FILE] [--count 10000]

Seconds of CPU time, children included, and of the clock beside them: on a busy machine the first says more. Nothing is
remembered from before: the witnesses' cache is a new folder. The report's records are those of a file (default: the
documents' scale in results/), again and again under other seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from spanbench.record.models import record_id

RESULTS = Path(__file__).parents[1] / "results" / "document_meta_202611.jsonl"
SPANBENCH = (sys.executable, "-m", "spanbench")
GRID = ("--preset", "document", "--tokens", "24,64..16384", "--span", "8,16,32", "--allocation", "lean,block,megabyte")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    wall, before = time.perf_counter(), os.times()
    yield
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    print(f"| {what} | {cpu:.2f} | {time.perf_counter() - wall:.2f} |", flush=True)


def quiet(*command: str) -> None:
    """Run spanbench and throw away what it says."""
    subprocess.run((*SPANBENCH, *command), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own


def points() -> None:
    """Count points at the documents' scale in this process, for the first time, again, and with every stack whole."""
    from spanbench import run
    from spanbench.request import Request, point_of

    request = Request(preset="document", allocation="lean", tokens=2048, span=32)
    run.count(*point_of(replace(request, preset="tiny", tokens=64)))  # torch's own first time is no part of it
    everything = replace(request, regimes=("score", "prefill", "decode", "decode_worst", "request"))
    for what, asked in (("score and prefill", request), ("all five regimes", replace(everything, tokens=4096))):
        for when in ("first", "again"):
            with timed(f"a point, {what}, {when}"):
                run.count(*point_of(asked))
        with timed(f"a point, {what}, --verify"):
            run.count(*point_of(asked), verify=True)


def swept(folder: Path) -> None:
    """Count 99 points as `sweep` does."""
    with timed("sweep of 99 points"):
        quiet("sweep", *GRID, "--no-run", "--out", str(folder / "swept.jsonl"))


def many(source: Path, count: int, target: Path) -> None:
    """Write `count` records, those of a file under other seeds."""
    records = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    with target.open("w", encoding="utf-8") as file:
        for index in range(count):
            record = dict(records[index % len(records)])
            record["point"] = record["point"] | {"seed": index // len(records)}
            record["id"] = record_id(record["point"], record["convention"])
            file.write(json.dumps(record, separators=(",", ":")) + "\n")


def reported(source: Path, count: int, folder: Path) -> None:
    """Report on many records: printed, and as files."""
    target = folder / "many.jsonl"
    many(source, count, target)
    size = f"{count:,} records of {target.stat().st_size / count / 1000:.0f} kB"
    with timed(f"report, {size}, printed"):
        quiet("report", str(target))
    with timed(f"report, {size}, usual files"):
        quiet("report", str(target), "--out", str(folder / "report"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("point", "sweep", "report"))
    parser.add_argument("--records", type=Path, default=RESULTS)
    parser.add_argument("--count", type=int, default=10_000)
    given = parser.parse_args(arguments)
    print("| what | CPU s | clock s |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        os.environ["SPANBENCH_CACHE"] = name
        if given.only in (None, "point"):
            points()
        if given.only in (None, "sweep"):
            swept(Path(name))
        if given.only in (None, "report"):
            reported(given.records, given.count, Path(name))


if __name__ == "__main__":
    main()
