"""`spanbench reuse`: what it costs to ask a document again, counted at any size and measured where it fits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanbench.cli import timing as options
from spanbench.cli.options import Format, takes_request, without
from spanbench.cli.output import check_out, progress, put
from spanbench.cli.scratch import scratch_folder
from spanbench.cli.values import whole
from spanbench.errors import SpanbenchError, UsageError
from spanbench.files import why
from spanbench.request import Request

if TYPE_CHECKING:
    from spanbench.judge.reuse import Reuse
    from spanbench.run.reuse import Asked

__all__ = ["reuse"]

DEFAULT_QUERIES = "1,10,100"
DEFAULT_DOCUMENTS = "1,2,4"
DEFAULT_QUERY_TOKENS = 64
MOST_QUERIES = 10**12
MOST_DOCUMENTS = 10**4


def numbers(option: str, most: int, such_as: str) -> Any:
    """Return a parser of whole numbers 'a,b,c', each from 1 to `most` and given once, which come out in ascending order."""
    one = whole(option)

    def parse(given: str | Sequence[int]) -> tuple[int, ...]:
        if not isinstance(given, str):
            return tuple(given)
        parts = [part.strip() for part in given.split(",")]
        values = tuple(one(part) for part in parts) if all(parts) else ()
        if not values or min(values) < 1 or max(values) > most:
            raise UsageError(f"{option} {given!r}: must be whole numbers from 1 to {most:,} with a comma between two, such as {such_as}")
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise UsageError(f"{option} {given!r}: {twice:,} is given twice; give each number once")
        return tuple(sorted(values))

    return parse


queries_of = numbers("--queries", MOST_QUERIES, DEFAULT_QUERIES)
documents_of = numbers("--documents", MOST_DOCUMENTS, DEFAULT_DOCUMENTS)


def rate(given: str | float) -> float:
    """Read FLOP/s, as 1.5e13."""
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 1e24:
        raise UsageError(f"--flops-per-second {given!r}: must be a number of FLOP/s from 1 to 1e24, such as 9.9e14")
    return value


Queries = Annotated[
    Any,
    typer.Option("--queries", metavar="Q[,Q]", parser=queries_of, show_default=False, help=f"Queries summed [default: {DEFAULT_QUERIES}]"),
]
QueryTokens = Annotated[
    int,
    typer.Option(
        "--query-tokens", metavar="N", parser=whole("--query-tokens"), show_default=False,
        help=f"Tokens of a query, behind the document [default: {DEFAULT_QUERY_TOKENS}]",
    ),
]  # fmt: skip
Documents = Annotated[
    Any,
    typer.Option(
        "--documents", metavar="D[,D]", parser=documents_of, show_default=False,
        help=f"Documents composed from stored latents [default: {DEFAULT_DOCUMENTS}]",
    ),
]  # fmt: skip
FlopsPerSecond = Annotated[
    float | None,
    typer.Option("--flops-per-second", metavar="RATE", parser=rate, help="Rate for crossover bandwidths [default: measured, where run]"),
]
Run = Annotated[
    bool | None, typer.Option("--run/--no-run", help="Run and time every strategy, or only count [default: run where it fits in memory]")
]
Plot = Annotated[str | None, typer.Option("--plot", metavar="FILE", help="Draw cumulative cost against queries: FILE.svg or FILE.png")]
KvHeads = Annotated[
    int | None, typer.Option("--kv-heads", metavar="G", parser=whole("--kv-heads"), help="Key-value heads, as --set kv_heads=G")
]


@without(regimes=["prefill"], generate=None, batch=None)
@takes_request
def reuse(
    request: Request,
    queries: Queries = DEFAULT_QUERIES,
    query_tokens: QueryTokens = DEFAULT_QUERY_TOKENS,
    documents: Documents = DEFAULT_DOCUMENTS,
    kv_heads: KvHeads = None,
    run: Run = None,
    max_time: options.MaxTime = options.DEFAULT_SECONDS,
    meter: options.Meter = options.METERS[0],
    flops_per_second: FlopsPerSecond = None,
    plot: Plot = None,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Append the result to FILE, as one JSON line")] = None,
    fmt: Format = "table",
) -> None:
    """Set both arms' ways to answer many queries about one document side by side: caches, stored latents, disk and RAM."""
    request = _with_heads(request, kv_heads)
    queries, documents = queries_of(queries), documents_of(documents)
    _check_files(out, plot)
    from spanbench.cli.guard import check_device
    from spanbench.measure.energy import get_meter

    asked = _asked(request, query_tokens, queries, documents, flops_per_second)
    if run is not False:
        check_device(asked.point.device)
        get_meter(meter)  # an unknown name is refused before any work is done
    from spanbench.run.reuse import count_reuse, run_reuse, why_not_run
    from spanbench.run.timing import meter_of
    from spanbench.show.reuse import Shown, data, render_reuse

    with progress() as tell:
        refusal = why_not_run(asked, must_run=run is True) if run is not False else None
        tell("counting", 0, 1)
        found = count_reuse(asked)
        if run is not False and refusal is None:
            with scratch_folder("reuse") as folder:
                found = run_reuse(asked, found, meter_of(meter, asked.point), max_time, folder, progress=tell)
        elif refusal is not None:
            found = replace(found, notes=(*found.notes, refusal))
        reference, why = _document_scale(replace(asked, rate=found.rate), request)
    shown = Shown(found, reference, why)
    _append(out, data(shown))
    _draw(plot, found)
    put(render_reuse, shown, fmt)


def _with_heads(request: Request, kv_heads: int | None) -> Request:
    """Take --kv-heads for --set kv_heads, which wins where both are given."""
    if kv_heads is None:
        return request
    from spanbench.presets import check_override

    return replace(request, shape={"kv_heads": check_override("kv_heads", kv_heads, "--kv-heads"), **request.shape})


def _asked(
    request: Request, query_tokens: int, queries: tuple[int, ...], documents: tuple[int, ...], flops_per_second: float | None
) -> Asked:
    """Refuse whatever cannot be, before anything is counted."""
    from spanbench.cli.guard import checked_point
    from spanbench.judge.reuse.result import Rate
    from spanbench.run.reuse import Asked, drawn

    if query_tokens < 1:
        raise UsageError(f"--query-tokens {query_tokens}: must be at least 1")
    if request.batch != 1 or request.largest:
        raise UsageError(f"--batch {request.batch}: reuse reads one document at a time; leave it out")
    longest = max(documents) + (query_tokens - 1) // (request.row_tokens or query_tokens) + 1
    checked_point(request)
    try:
        point, prompt, convention = checked_point(request, times=longest)
    except SpanbenchError as error:
        if max(documents) < longest // 2:
            raise
        raise UsageError(f"--documents {max(documents):,}: so many documents together cannot be counted ({error})") from None
    if request.prompt is None and prompt.repeats > 1:
        prompt = drawn(prompt, prompt.vocab - 1, request.seed, query_tokens)
        point = replace(point, prompt=prompt.digest)
    rate = Rate(flops_per_second, "--flops-per-second") if flops_per_second is not None else None
    return Asked(point, prompt, query_tokens, queries, documents, convention, rate)


def _document_scale(asked: Asked, request: Request) -> tuple[Reuse | None, str | None]:
    """Count the documents' sizes on the same ids; nothing where that is the point itself, or why they cannot be built."""
    from spanbench.presets import PRESETS
    from spanbench.request import point_of
    from spanbench.run.reuse import count_reuse

    if request.preset == "document" and not request.shape:
        return None, None
    shape = {} if request.tokenizer is None else {"vocab": PRESETS["document"].vocab}
    try:
        point, prompt, _ = point_of(replace(request, preset="document", shape=shape), asked.prompt)
    except UsageError as error:
        return None, f"The documents' scale is not shown: {error}."
    return count_reuse(replace(asked, point=point, prompt=prompt)), None


def _check_files(out: str | None, plot: str | None) -> None:
    """Refuse files that cannot be written, before any work is done."""
    check_out(out)
    if plot is None:
        return
    from spanbench.show.reuse import plot_format

    plot_format(plot)
    new = not Path(plot).exists()
    try:
        with Path(plot).open("ab"):
            pass
        if new:  # a command that fails later leaves none
            Path(plot).unlink()
    except (OSError, ValueError) as error:
        raise UsageError(f"--plot {plot!r}: cannot be written ({why(error)}); name a file you may write") from None


def _append(out: str | None, document: dict[str, Any]) -> None:
    """Append the result as one line.

    Raises:
        UsageError: the file cannot be written.
    """
    if out is None:
        return
    try:
        with Path(out).open("a", encoding="utf-8") as file:
            file.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise UsageError(f"--out {out!r}: cannot be written ({why(error)})") from None


def _draw(plot: str | None, found: Reuse) -> None:
    if plot is None:
        return
    from spanbench.show.reuse import plot_files

    for path, content in plot_files(found, plot):
        try:
            path.write_bytes(content)
        except OSError as error:
            raise UsageError(f"--plot {str(path)!r}: cannot be written ({why(error)})") from None
        typer.echo(f"drew {path}", err=True)
