"""Arguments and options that the commands of `spanbench store` share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import typer

from spanbench.cli.values import completed, whole
from spanbench.errors import UsageError
from spanbench.point import DTYPE_BYTES, check_choice
from spanbench.request import DTYPE_ALIASES, DTYPES

__all__ = ["Doc", "Folder", "Kept", "Limit", "Name", "State", "Text", "Weights", "position", "readable", "size"]

_SIZE = re.compile(r"([0-9]{1,15})\s*(?:([KMGT])(i?)B?|B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size(given: str | int) -> int:
    """Read a number of bytes: 1048576, 500MB (powers of 1000), 1GiB (powers of 1024).

    Raises:
        UsageError: it is none.
    """
    match = _SIZE.fullmatch(str(given).strip())
    if match is None:
        raise UsageError(f"--limit {str(given)!r}: must be a number of bytes, such as 500MB or 1GiB")
    number, prefix, binary = match.groups()
    scale: int = (1024 if binary else 1000) ** _POWERS[(prefix or "").upper()]
    return int(number) * scale


def kept_dtype(name: str) -> str:
    """Check the name of an element type, and return it in full."""
    check_choice("--store-dtype", name, DTYPES)
    return DTYPE_ALIASES.get(name, name)


def readable(option: str, *, filled: bool = False) -> Callable[[str], str]:
    """Return a parser of text that names its option where the bytes that were given are no text; `filled` refuses blanks, too."""

    def parse(given: str) -> str:
        if any("\ud800" <= character <= "\udfff" for character in given):  # how Python hands on bytes that it cannot decode
            raise UsageError(f"{option} {given!a}: is no text in this terminal's encoding; give UTF-8, or a file by --prompt")
        if filled and not given.strip():
            raise UsageError(f"{option} {given!r}: is empty; give a name of at least one character")
        return given

    return parse


def position(option: str, text: str) -> typer.models.OptionInfo:
    """Return an option that takes a position in a document, or a count of its tokens."""
    info: typer.models.OptionInfo = typer.Option(option, metavar="P", parser=whole(option), show_default=False, help=text)
    return info


Folder = Annotated[str, typer.Argument(metavar="STORE", show_default=False, help="The store's folder")]
Doc = Annotated[str, typer.Argument(metavar="DOC", parser=readable("DOC", filled=True), show_default=False, help="A document's name")]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="DOC",
        parser=readable("--name", filled=True),
        show_default=False,
        help="The document's name [default: that of the text's file]",
    ),
]
Text = Annotated[
    str | None,
    typer.Option(metavar="TEXT", parser=readable("--text"), show_default=False, help="The text itself, instead of --prompt FILE"),
]
Weights = Annotated[
    str | None, typer.Option(metavar="FILE", help="Trained weights of both arms, a safetensors file [default: random weights]")
]
Kept = Annotated[
    str | None,
    typer.Option(
        "--store-dtype",
        metavar="NAME",
        parser=kept_dtype,
        autocompletion=completed(DTYPES),
        show_default=False,
        help=f"Element type of what is kept: {', '.join(DTYPE_BYTES)} [default: the model's]",
    ),
]
State = Annotated[
    bool | None,
    typer.Option(
        "--state/--no-state",
        show_default=False,
        help="Keep or use mixer keys and values beside the latents [default: as the document has it]",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="BYTES", parser=size, show_default=False, help="Evict what was used longest ago beyond this: 500MB, 1GiB"
    ),
]
