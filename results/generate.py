"""Write what is derived from the records beside this file: CSV, pictures, page, results/README.md, and the output in the project's README.

    python results/generate.py            write
    python results/generate.py --check    exit 1 where a committed file is not what the records give

Nothing is timed: the same records give the same bytes. (The counts at other sizes that `compare` shows beside a record are counted anew.)
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from interpret import interpreted  # beside this script

from spanbench.cli.main import main as command_line
from spanbench.cli.points import document_scale, doubled
from spanbench.record import Record, read
from spanbench.request import Request, point_of
from spanbench.show.compare import Compared, render_compare
from spanbench.show.report.sections.build import summarise

RESULTS = Path(__file__).resolve().parent
ROOT = RESULTS.parent
MAIN_JOB = "small_xeon-2c_202611.jsonl"
"""Whose last record of the default point is the output in the project's README."""
FORMATS = "wide,markdown,svg,html"
"""All but the tidy CSV, which repeats each record's point in every row and would be three times as large as the records."""
BLOCK = re.compile(r"(<!-- output: begin -->\n```text\n).*?(```\n<!-- output: end -->)", re.DOTALL)
GENERATED = re.compile(r"(<!-- generated: begin -->\n).*?(<!-- generated: end -->)", re.DOTALL)


def shown() -> str:
    """Return `compare`'s table of the committed record of the default point."""
    request = Request()
    point, prompt, convention = point_of(request)
    record = [one for one in read(RESULTS / MAIN_JOB) if (one.point, one.convention) == (point.to_json(), convention)][-1]
    reference, why = document_scale(request, prompt)
    return render_compare(Compared(record, reference, doubled(request, prompt), why))


def records() -> dict[str, list[Record]]:
    """Return all committed records by file."""
    return {path.name: read(path) for path in sorted(RESULTS.glob("*.jsonl"))}


def described() -> str:
    """Return the generated part of results/README.md: what is here, and what it says of the documents' claims."""
    found = records()
    sections = summarise([record for held in found.values() for record in held]).sections
    return "\n".join([*_files(found), "", *interpreted(sections)])


def _files(found: dict[str, list[Record]]) -> Iterator[str]:
    yield "| file | records | preset, allocations | tokens | spans | regimes | timed |"
    yield "|---|---|---|---|---|---|---|"
    for name, held in found.items():
        yield f"| `{name}` | {len(held)} | {_row(held)} |"


def _row(held: list[Record]) -> str:
    points = [record.point for record in held]
    names = ", ".join(sorted({str(point["preset"]) for point in points})) + ": " + ", ".join(sorted({str(p["allocation"]) for p in points}))
    tokens, spans = (sorted({int(str(point[key])) for point in points}) for key in ("tokens", "span"))
    regimes = Counter(regime for record in held for regime in dict.fromkeys(row.regime for row in record.measures))
    timed = sum(any(row.quantity == "seconds" for row in record.measures) for record in held)
    return f"{names} | {tokens[0]:,} – {tokens[-1]:,} | {', '.join(map(str, spans))} | {', '.join(regimes)} | {timed}"


def by_preset() -> dict[str, list[Path]]:
    """Return the files of each preset, which have a report of their own: one page has no room for all."""
    found: dict[str, list[Path]] = {}
    for path in sorted(RESULTS.glob("*.jsonl")):
        found.setdefault(re.split("[-_]", path.name)[0], []).append(path)
    return found


def report(preset: str, files: list[Path], folder: Path) -> int:
    """Write the report on the files of a preset; return the exit code."""
    print(f"{preset}:")
    return command_line(["report", *map(str, files), "--out", str(folder), "--formats", FORMATS])


def main() -> int:
    """Write, or compare what would be written with what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = {
        ROOT / "README.md": BLOCK.sub(lambda found: found[1] + shown() + found[2], (ROOT / "README.md").read_text(encoding="utf-8")),
        RESULTS / "README.md": GENERATED.sub(
            lambda found: found[1] + described() + "\n" + found[2], (RESULTS / "README.md").read_text(encoding="utf-8")
        ),
    }
    stale = [path for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    if not check:
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
        shutil.rmtree(RESULTS / "report", ignore_errors=True)  # a plot that is drawn no more must not stay
        return max(report(preset, files, RESULTS / "report" / preset) for preset, files in by_preset().items())
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not what the records give: python results/generate.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
