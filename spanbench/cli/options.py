"""Options that several commands share, and how they become one request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanbench.cli.values import completed, completed_list, format_name, whole
from spanbench.errors import UsageError
from spanbench.point import ALL_REGIMES, DTYPE_BYTES, REGIMES
from spanbench.presets import ALLOCATIONS, DEFAULT_ALLOCATION, DEFAULT_PRESET, PRESETS, override_keys
from spanbench.request import DEFAULT_GENERATE, DEFAULT_SPAN, DEFAULT_TOKENS, DTYPES, MAX, Request, parse_overrides, read_toml
from spanbench.show.formats import FORMATS
from spanbench.tally import CONVENTIONS

if TYPE_CHECKING:
    from spanbench.record import Record

__all__ = ["Format", "Out", "Verify", "format_option", "given_flags", "settled", "takes_request", "with_note", "without"]


def format_option(default: str) -> Any:
    """Return the option that chooses a view's form."""
    return typer.Option(
        "--format",
        metavar="NAME",
        parser=format_name,
        autocompletion=completed(FORMATS),
        show_default=False,
        help=f"{', '.join(FORMATS)} [default: {default}]",
    )


Format = Annotated[str, format_option(FORMATS[0])]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Append the record to FILE, as one JSON line")]
Verify = Annotated[bool, typer.Option("--verify", help="Run every witness again, even where they agreed before")]


def _name(known: tuple[str, ...], text: str, default: str) -> Any:
    return typer.Option(metavar="NAME", autocompletion=completed(known), help=f"{text} [default: {default}]")


def _number(option: str, metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, parser=whole(option), help=text)


def batch_size(given: str | int) -> int | str:
    """Read a whole number, or the word for the largest batch that fits."""
    return MAX if given == MAX else _BATCH(given)


_BATCH = whole("--batch")


def _request(
    preset: Annotated[str | None, _name(tuple(PRESETS), ", ".join(PRESETS), DEFAULT_PRESET)] = None,
    allocation: Annotated[str | None, _name(tuple(ALLOCATIONS), ", ".join(ALLOCATIONS), DEFAULT_ALLOCATION)] = None,
    tokens: Annotated[
        int | None, _number("--tokens", "N", f"Take the first N tokens [default: all of --prompt; {DEFAULT_TOKENS} without it]")
    ] = None,
    span: Annotated[int | None, _number("--span", "S", f"Tokens in a span; a span has one latent [default: {DEFAULT_SPAN}]")] = None,
    batch: Annotated[
        Any,
        typer.Option(
            metavar="B",
            parser=batch_size,
            autocompletion=completed((MAX,)),
            show_default=False,
            help=f"Prompts at a time, each the next N tokens; {MAX}: as many as fit in memory [default: 1]",
        ),
    ] = None,
    generate: Annotated[
        int | None, _number("--generate", "G", f"Tokens that a request says after the prompt [default: {DEFAULT_GENERATE}]")
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            autocompletion=completed(f"{key}=" for key in override_keys()),
            help="Change a size: layers=12, decoder.layers=2, pool=mean, carry=8 …; may be repeated",
        ),
    ] = None,
    regimes: Annotated[
        list[str] | None,
        typer.Option(
            "--regime",
            metavar="NAME[,NAME]",
            autocompletion=completed_list(ALL_REGIMES),
            help=f"{', '.join(ALL_REGIMES)} [default: {','.join(REGIMES)}]",
        ),
    ] = None,
    prompt: Annotated[str | None, typer.Option(metavar="FILE", help="Text file, or - for standard input [default: built in]")] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="FILE", help="Hugging Face tokenizer.json [default: bytes]")] = None,
    seed: Annotated[int | None, _number("--seed", "INT", "Seed of the random weights [default: 0]")] = None,
    dtype: Annotated[str | None, _name(DTYPES, ", ".join(DTYPE_BYTES), "float32")] = None,
    device: Annotated[str | None, _name(("cpu", "cuda"), "cpu, cuda, cuda:N", "cpu")] = None,
    convention: Annotated[
        str | None, _name(CONVENTIONS, f"How FLOPs of attention are expressed: {', '.join(CONVENTIONS)}", "dense")
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="TOML file of the options above, and a [shape] table for --set; flags win")
    ] = None,
) -> Request:
    """Build the request of flags and file."""
    flags = {
        "preset": preset, "allocation": allocation, "tokens": tokens, "span": span, "batch": batch, "generate": generate,
        "shape": parse_overrides(shape or []),
        "regimes": _names(regimes), "prompt": prompt, "tokenizer": tokenizer, "seed": seed, "dtype": dtype, "device": device,
        "convention": convention,
    }  # fmt: skip
    base = Request() if config is None else read_toml(config)
    request = base.with_flags(**flags)
    return settled(request)


def settled(request: Request) -> Request:
    """Put the largest batch that fits in place of the word for it. Its size is that of the prompt, so the prompt is read here too.

    Raises:
        UsageError: the prompt comes from standard input, which can be read only once, and its length was not given.
    """
    if not request.largest:
        return request
    if request.prompt == "-" and request.tokens is None:
        raise UsageError(f"--batch {MAX}: needs the prompt's length before standard input is read; give --tokens")
    from spanbench.cli.guard import check_device, checked_point
    from spanbench.run.fit import largest_batch

    check_device(request.device)
    point, _, _ = checked_point(replace(request, largest=False, prompt=None if request.prompt == "-" else request.prompt))
    found = largest_batch(point)
    return request.with_batch(found.batch, found.why)


def given_flags(context: typer.Context) -> set[str]:
    """Return the names of the parameters that stood on the command line, whatever their defaults are."""
    return {name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"}


def with_note(record: Record, request: Request) -> Record:
    """Return the record with the request's note in front of its warnings."""
    return record.model_copy(update={"warnings": [request.note, *record.warnings]}) if request.note else record


def _names(items: list[str] | None) -> tuple[str, ...] | None:
    """Read names given as 'a,b' or by repeating the option."""
    return tuple(name.strip() for item in items for name in item.split(",") if name.strip()) if items else None


def takes_request(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `request` first all options of a request; its own options follow."""
    shared = inspect.signature(_request, eval_str=True).parameters
    own = [p for name, p in inspect.signature(command, eval_str=True).parameters.items() if name != "request"]

    @wraps(command)
    def wrapper(**values: Any) -> None:
        request = _request(**{name: values.pop(name) for name in shared})
        command(request=request, **values)

    parameters = sorted([*shared.values(), *own], key=lambda p: p.default is not p.empty)  # the parser's context has no default
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads the options from here
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def without(**values: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Leave out options of a request that are no choice of a command, which gets these values instead."""

    def shorten(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def wrapper(**chosen: Any) -> None:
            command(**values, **chosen)

        parameters = [p for name, p in inspect.signature(command).parameters.items() if name not in values]
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads the options from here
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return shorten
