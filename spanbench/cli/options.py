"""Options that several commands share, and how they become one request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from spanbench.errors import UsageError
from spanbench.point import DTYPE_BYTES, POOLS, REGIMES
from spanbench.presets import ALLOCATIONS, DEFAULT_ALLOCATION, DEFAULT_PRESET, PRESETS
from spanbench.request import DEFAULT_SPAN, DEFAULT_TOKENS, Request, parse_overrides, read_toml
from spanbench.tally import CONVENTIONS

__all__ = ["Format", "Out", "Verify", "takes_request"]

FORMATS = ("table", "json", "csv", "markdown")


def _format(value: str) -> str:
    if value not in FORMATS:
        raise UsageError(f"--format: unknown value {value!r} — known: {', '.join(FORMATS)}")
    return value


Format = Annotated[str, typer.Option("--format", callback=_format, metavar="NAME", help=f"How to print: {', '.join(FORMATS)}.")]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Append the record to FILE, one JSON line.")]
Verify = Annotated[bool, typer.Option("--verify", help="Run every witness again, even where they agreed before.")]


def _names(items: list[str] | None) -> tuple[str, ...] | None:
    """Read names given as 'a,b' or by repeating the option."""
    return tuple(name.strip() for item in items for name in item.split(",") if name.strip()) if items else None


def _request(
    preset: Annotated[str | None, typer.Option(metavar="NAME", help=f"{', '.join(PRESETS)} [default: {DEFAULT_PRESET}]")] = None,
    allocation: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"{', '.join(ALLOCATIONS)} [default: {DEFAULT_ALLOCATION}]")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(metavar="N", help=f"Take the first N tokens [default: all of --prompt, else {DEFAULT_TOKENS}]")
    ] = None,
    span: Annotated[int | None, typer.Option(metavar="S", help=f"Tokens a span, one latent each [default: {DEFAULT_SPAN}]")] = None,
    batch: Annotated[int | None, typer.Option(metavar="B", help="Prompts at a time [default: 1]")] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help=f"Change a size: layers=12, decoder.layers=2, pool={POOLS[1]}, carry=8 … (repeatable)"),
    ] = None,
    regimes: Annotated[
        list[str] | None, typer.Option("--regime", metavar="NAME[,NAME]", help=f"{', '.join(REGIMES)} [default: all]")
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="TOML file with any of these options; flags win.")] = None,
    prompt: Annotated[str | None, typer.Option(metavar="FILE", help="Text file, or - for standard input [default: built in]")] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="FILE", help="Hugging Face tokenizer.json [default: bytes]")] = None,
    seed: Annotated[int | None, typer.Option(metavar="INT", help="Seed of the random weights [default: 0]")] = None,
    dtype: Annotated[str | None, typer.Option(metavar="NAME", help=f"{', '.join(DTYPE_BYTES)} [default: float32]")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:N [default: cpu]")] = None,
    convention: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"How attention FLOPs are expressed: {', '.join(CONVENTIONS)} [default: dense]")
    ] = None,
) -> Request:
    """Build the request of flags and file."""
    flags = {
        "preset": preset, "allocation": allocation, "tokens": tokens, "span": span, "batch": batch, "shape": parse_overrides(shape or []),
        "regimes": _names(regimes), "prompt": prompt, "tokenizer": tokenizer, "seed": seed, "dtype": dtype, "device": device,
        "convention": convention,
    }  # fmt: skip
    base = Request() if config is None else read_toml(config)
    return base.with_flags(**flags)


def takes_request(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `request` first all options of a request; its own options follow."""
    shared = inspect.signature(_request, eval_str=True).parameters
    own = [p for name, p in inspect.signature(command, eval_str=True).parameters.items() if name != "request"]

    @wraps(command)
    def wrapper(**values: Any) -> None:
        request = _request(**{name: values.pop(name) for name in shared})
        command(request, **values)

    parameters = [*shared.values(), *own]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads the options from here
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper
