"""`spanbench verify`: records held against themselves, and every count derived again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import progress, put
from spanbench.errors import NothingMeasured

if TYPE_CHECKING:
    from spanbench.count.recorded import Ledger
    from spanbench.record.findings import FileAudit

__all__ = ["verify"]

DEFAULT_PATH = "results"

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH]...", show_default=False, help=f"Files of records, or folders of them [default: {DEFAULT_PATH}]"),
]
Deep = Annotated[bool, typer.Option("--deep", help="Run the ledger again on the meta device, too")]
Prompts = Annotated[
    list[str] | None,
    typer.Option("--prompt", metavar="FILE", help="A text that records were made with, beside the built-in one; may be repeated"),
]
Tokenizer = Annotated[
    str | None, typer.Option(metavar="FILE", help="Hugging Face tokenizer.json that the texts were read with [default: bytes]")
]


def verify(paths: Paths = None, deep: Deep = False, prompts: Prompts = None, tokenizer: Tokenizer = None, fmt: Format = "table") -> None:
    """Check files of records: ids, environment, units, ratios, sums, intervals, and every count derived again from its point."""
    from spanbench.count.recorded import Texts, audit_file
    from spanbench.record.lines import record_files
    from spanbench.show.verify import render_verify

    texts, files = Texts.load(prompts or [], tokenizer), record_files(paths or [DEFAULT_PATH])
    ledger, found = _ledger() if deep else None, []
    with progress() as tell:
        for done, path in enumerate(files):
            tell("checking records", done, len(files))
            found.append(audit_file(path, texts, ledger))
    put(render_verify, found, fmt)
    _refuse(found)


def _ledger() -> Ledger:
    from spanbench.run.verifying import audit_ledger

    return audit_ledger


def _refuse(files: Sequence[FileAudit]) -> None:
    """Raise what the exit code says: a wrong figure before a line that is no record, and both before nothing at all.

    Raises:
        WrongFigure, SchemaMismatch, NothingMeasured: what is wrong.
    """
    from spanbench.record import SchemaMismatch
    from spanbench.record.findings import FORM, WrongFigure
    from spanbench.show.verify import sentence

    if not any(file.audits for file in files):
        raise NothingMeasured(f"verify: no record in {len(files)} file(s); give files of records, or folders of them")
    told = [(finding.check in FORM, f"{file.name}, {sentence(finding)}") for file in files for finding in file.findings]
    figures, forms = ([text for is_form, text in told if is_form == form] for form in (False, True))
    if figures:
        raise WrongFigure(f"verify: {len(figures)} wrong; {figures[0]}")
    if forms:
        raise SchemaMismatch(f"verify: {len(forms)} not as the schema says; {forms[0]}")
