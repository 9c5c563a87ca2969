"""The lines above every view of a record (what was run, on what) and the notes below it."""

from __future__ import annotations

from collections.abc import Iterator

from spanbench.record import Record
from spanbench.show.blocks import Text
from spanbench.show.reading import Reading, named

__all__ = ["convention_note", "heading", "no_span_note", "notes"]

_ATTENTION = {
    "dense": "all attention cells",
    "useful": "attention cells that the mask lets through",
    "causal-half": "half the cells of causal self-attention, all others",
}


def heading(reading: Reading, title: str) -> list[Text]:
    """Return title, sizes, and where and on what the point ran."""
    point, windows = reading.record.point, reading.windows
    sizes = (
        f"{windows.tokens:,} tokens in spans of {windows.span:,}: {windows.complete:,} complete {_spans(windows.complete)}, "
        f"{windows.open:,} open {_tokens(windows.open)} · batch {reading.size('batch'):,}"
    )
    where = f"{point['device']}, {point['dtype']} · prompt {_prompt(reading.record)}, tokenizer {named(point['tokenizer'])}"
    weights = f"random weights, seed {point['seed']}"
    return [
        Text(f"{title} · preset {point['preset']}, allocation {point['allocation']} · {weights}", "title"),
        *([Text(f"changed: {', '.join(reading.changed)}", hang=2)] if reading.changed else []),
        Text(sizes),
        Text(where, hang=2),
        *([Text(no_span_note(reading), hang=2)] if not windows.complete else []),
    ]


def _spans(count: int) -> str:
    return "span" if count == 1 else "spans"


def _tokens(count: int) -> str:
    return "token" if count == 1 else "tokens"


def _prompt(record: Record) -> str:
    digest = str(record.point.get("prompt") or "")
    return str(record.environment.get("prompt") or (f"sha256 {digest[:12]}" if digest else "unknown"))


def no_span_note(reading: Reading) -> str:
    """Return what it means that no span is complete."""
    windows = reading.windows
    return (
        f"No span is complete ({windows.tokens:,} {_tokens(windows.tokens)}, span {windows.span:,}): there is no latent, nothing is "
        "encoded or mixed. The latent arm is its decoder alone on the open tokens, so the ratios say nothing about latents."
    )


def convention_note(record: Record) -> str:
    """Return what a FLOP is in this record."""
    return f"Convention {record.convention}: 2 FLOP a multiply-accumulate, {_ATTENTION[record.convention]}, look-ups 0."


def notes(reading: Reading, reasons: list[str]) -> list[Text]:
    """Return the notes below a view: missing figures, the convention, checks, estimates and the run's own warnings."""
    return [Text(line, "note", hang=2) for line in (*reasons, *_notes(reading.record))]


def _notes(record: Record) -> Iterator[str]:
    yield convention_note(record)
    if record.verified:
        yield f"Checked, tolerance 0: {', '.join(record.verified)}."
    estimates = sorted({m.by for m in record.measures if m.source == "estimated" and "joules" in m.quantity and m.value is not None})
    if estimates and not any("[energy-estimated]" in warning for warning in record.warnings):
        yield f"Joules are estimated ({', '.join(estimates)}): they mostly restate the time."
    yield from record.warnings
