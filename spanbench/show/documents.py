"""The documents' own side-by-side table, filled with this run's counts, and the truth of each row beside it.

The documents compare what one layer *mixes*: 24 tokens against 3 latents, 24 × 24 against 3 × 3. Those figures are
true, and of the mixer alone; the indented rows below them say what the whole model does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from spanbench.point import SPOKEN
from spanbench.record import Measure, Record
from spanbench.show.blocks import Row, Table
from spanbench.show.reading import MISSING, Footnotes, Reading
from spanbench.units import ratio_text

__all__ = ["Mixed", "attention_size", "documents_table", "mixed", "mixing_rows"]

_MIXED = ("cells_dense", "mlp_rows")
COLUMNS = ("", "transformer", "latent", "ratio", "source")


@dataclass(frozen=True, slots=True)
class Mixed:
    """What one layer of each arm mixes in one prompt, derived from counts; None where the arm has no such layer."""

    cells: tuple[int | None, int | None]
    mlp_calls: tuple[int | None, int | None]


def mixed(reading: Reading) -> Mixed:
    """Return cells and MLP calls of one layer: counts of the token arm's layers and of the mixer, ÷ layers and batch."""
    cells, calls = ((_a_layer(reading, "token", "layers", name), _a_layer(reading, "latent", "mixer", name)) for name in _MIXED)
    return Mixed(cells, calls)


def _a_layer(reading: Reading, arm: str, stage: str, quantity: str) -> int | None:
    if reading.regimes[0] in SPOKEN:
        return None  # a sum over steps, no square of one layer
    layers = reading.stack("token" if arm == "token" else stage, "layers") * reading.size("batch")
    value = reading.number(arm, reading.regimes[0], quantity, stage)
    return int(value) // layers if value is not None and layers else None


def attention_size(cells: int | None) -> str:
    """Return a score matrix as rows × columns: 4096 cells are 64 × 64."""
    return MISSING if cells is None else f"{isqrt(cells)} × {isqrt(cells)}"


def mixing_rows(reading: Reading) -> list[Row]:
    """Return the three rows that the documents count: objects mixed, attention size, MLP calls."""
    found, windows = mixed(reading), reading.windows
    objects = (
        f"{windows.tokens:,} {'token' if windows.tokens == 1 else 'tokens'}",
        f"{windows.complete:,} {'latent' if windows.complete == 1 else 'latents'}",
    )
    mixing = _row("objects mixed", *objects, _quotient(windows.tokens, windows.complete), "counted")
    if reading.regimes[0] in SPOKEN:
        return [mixing]  # a step has one row, no square
    return [
        mixing,
        _row("attention size, each layer", *map(attention_size, found.cells), _quotient(*found.cells), "counted"),
        _row("MLP calls, each layer", *map(_whole, found.mlp_calls), _quotient(*found.mlp_calls), "counted"),
    ]


def documents_table(reading: Reading, doubled: Record | None, footnotes: Footnotes) -> Table:
    """Return the documents' five rows, each with its source; `doubled` is the same point at twice the tokens."""
    regime = reading.regimes[0]
    rows = [
        *mixing_rows(reading),
        _counted(reading, f"  all parts and layers, {regime}", regime, "mlp_rows", footnotes),
        _row("meaning reuse", "no", "yes", "", "documents"),
        *_kept(reading, footnotes),
        _row("scaling", "quadratic", "near-constant", "", "documents"),
        *(_growth(reading, Reading(doubled)) if doubled else []),
    ]
    return Table(COLUMNS, tuple(rows), f"1 · The documents' comparison: what one layer mixes{_of_one(reading)}", frozenset({0, 4}))


def _of_one(reading: Reading) -> str:
    return " of one prompt" if reading.size("batch") > 1 else ""


def _row(*texts: str) -> Row:
    return Row(texts)


def _whole(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"


def _quotient(token: int | None, latent: int | None) -> str:
    return ratio_text(token / latent) if token is not None and latent else MISSING


def _counted(reading: Reading, label: str, regime: str, quantity: str, footnotes: Footnotes) -> Row:
    token, latent, pair = (reading.measure(arm, regime, name) for arm, name in _trio(quantity))
    return Row((label, *(footnotes.cell(m) for m in (token, latent, pair)), _source(pair or token)))


def _trio(quantity: str) -> tuple[tuple[str, str], ...]:
    return ("token", quantity), ("latent", quantity), ("pair", f"ratio:{quantity}")


def _source(measure: Measure | None) -> str:
    return measure.source if measure else ""


def _kept(reading: Reading, footnotes: Footnotes) -> list[Row]:
    """A key-value cache is reuse too: what each arm keeps of a prompt that it has read."""
    if "prefill" not in reading.regimes:
        return []
    return [_counted(reading, "  kept by prefill (KV is reuse)", "prefill", "state_bytes", footnotes)]


def _growth(reading: Reading, doubled: Reading) -> list[Row]:
    """How the whole model's FLOPs grow when the prompt doubles: 2 is linear, 4 quadratic, 1 constant."""
    regime = reading.regimes[0]
    growth = [_times(reading.number(arm, regime, "flops"), doubled.number(arm, regime, "flops")) for arm in ("token", "latent")]
    return [_row(f"  {regime} FLOP at twice the tokens", *growth, "", "counted")]


def _times(before: int | float | None, after: int | float | None) -> str:
    return f"× {after / before:.2f}" if before and after is not None else MISSING
