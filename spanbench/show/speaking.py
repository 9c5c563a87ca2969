"""Speaking: what a user feels of both arms, in one small table (docs/speaking.md)."""

from __future__ import annotations

from collections.abc import Iterator

from spanbench.point import SPOKEN
from spanbench.record import Measure
from spanbench.show.blocks import Cell, Row, Table
from spanbench.show.reading import Footnotes, Reading
from spanbench.units import RATIO_PREFIX, full, interval, ratio_text, short

__all__ = ["DEAREST", "speaking_table"]

COLUMNS = ("", "token", "latent", "ratio", "95% interval", "source")

Place = tuple[str, str]
"""A regime and a quantity."""

DEAREST: tuple[Place, ...] = (("decode_worst", "seconds"), ("decode", "step_seconds_max"))
"""Where the dearest step's time stands: of the step that counts most, or else of the one that took longest."""

_ROWS: tuple[tuple[str, tuple[Place, ...]], ...] = (
    ("first token after", (("request", "first_token_seconds"),)),
    ("tokens/s, request ↑", (("request", "tokens_per_second"),)),
    ("tokens/s, decode ↑", (("decode", "tokens_per_second"),)),
    ("one step, median", (("decode", "step_seconds_p50"),)),
    ("one step, dearest", DEAREST),
    ("jitter at span edges", (("decode", "edge_jitter"),)),
)


def speaking_table(reading: Reading, footnotes: Footnotes, number: int) -> Table | None:
    """Return the table, under this number; None where the record has no regime that speaks."""
    rows = list(_rows(reading, footnotes))
    if not rows or not set(SPOKEN) & set(reading.regimes):
        return None
    batch = reading.size("batch")
    title = f"{number} · Speaking: {'one prompt' if batch == 1 else f'{batch:,} prompts together'}; token ÷ latent; ↑ more is better"
    return Table(COLUMNS, tuple(rows), title, frozenset({0, 5}))


def _rows(reading: Reading, footnotes: Footnotes) -> Iterator[Row]:
    for label, places in _ROWS:
        found = next((row for place in places if (row := _measured(label, reading, place, footnotes))), None)
        if found:
            yield found
    yield from _bytes_per_token(reading)
    yield from _state(reading, footnotes)


def _measured(label: str, reading: Reading, place: Place, footnotes: Footnotes) -> Row | None:
    regime, quantity = place
    token, latent = (reading.measure(arm, regime, quantity) for arm in ("token", "latent"))
    if token is None or latent is None:
        return None
    ratio = reading.measure("pair", regime, RATIO_PREFIX + quantity)
    return Row((label, *(footnotes.cell(m) for m in (token, latent, ratio)), _bounds(ratio, footnotes), _source(token, latent)))


def _bounds(ratio: Measure | None, footnotes: Footnotes) -> str:
    """Return the interval of a measured ratio, or the mark of the reason for none."""
    if ratio is None or ratio.value is None or ratio.source == "counted":
        return ""
    if ratio.low is None or ratio.high is None:
        return footnotes.mark(ratio.reason or "")
    return interval(ratio.quantity, ratio.low, ratio.high)


def _source(token: Measure, latent: Measure) -> str:
    return (token if token.value is not None else latent).source


def _bytes_per_token(reading: Reading) -> Iterator[Row]:
    """Derive the bytes of one token from decode's count, which is there whether or not anything was timed."""
    tokens = reading.size("span") * reading.size("batch")
    token, latent = (reading.number(arm, "decode", "bytes_compulsory") for arm in ("token", "latent"))
    if token is not None and latent:
        yield Row(("bytes per token", _bytes(token / tokens), _bytes(latent / tokens), ratio_text(token / latent), "", "counted"))


def _bytes(value: float) -> Cell:
    return Cell(short("bytes_per_token", value), full("bytes_per_token", value))


def _state(reading: Reading, footnotes: Footnotes) -> Iterator[Row]:
    """What is kept to go on, beside the throughput that it allows."""
    regime = next((regime for regime in ("request", "decode") if regime in reading.regimes), None)
    row = _measured(f"state kept, {regime}", reading, (regime, "state_bytes"), footnotes) if regime else None
    if row:
        yield row
