"""Every quantity once: its name, its unit, exact or noisy, which way is better, and how it is printed.

Two printed forms of a value: `full` shows every digit of an exact figure (29,124,173,234,176), `short` three
significant digits and a prefix (29.1 T). Counts go without their unit, which the label names; B, s and J are printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spanbench.errors import UsageError, suggest

__all__ = ["QUANTITIES", "RATIO_PREFIX", "Quantity", "full", "interval", "quantity", "ratio_text", "short"]

Better = Literal["lower", "higher", "neither"]
RATIO_PREFIX = "ratio:"

_TURNED: Mapping[Better, Better] = {"lower": "higher", "higher": "lower", "neither": "neither"}
_DECIMAL = ("", " k", " M", " G", " T", " P", " E", " Z", " Y")
_BINARY = (" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB")
_SMALL = ("", "m", "µ", "n", "p")
_EXACT_BELOW = 10_000  # counts under this are as short in full as with a prefix


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity: `unit` is the base unit of its values, `label` how a table names it."""

    name: str
    unit: str
    label: str
    exact: bool
    better: Better = "lower"


def _table(*quantities: Quantity) -> Mapping[str, Quantity]:
    return {q.name: q for q in quantities}


QUANTITIES: Mapping[str, Quantity] = _table(
    Quantity("flops", "FLOP", "FLOP", exact=True),
    Quantity("macs", "MAC", "MAC", exact=True),
    Quantity("flops_other", "op", "element-wise ops", exact=True),
    Quantity("cells_dense", "cell", "attention cells", exact=True),
    Quantity("cells_useful", "cell", "useful cells", exact=True),
    Quantity("scores_dense", "score", "attention scores", exact=True),
    Quantity("params", "parameter", "parameters", exact=True),
    Quantity("mlp_rows", "row", "MLP rows", exact=True),
    Quantity("bytes_compulsory", "B", "bytes, compulsory", exact=True),
    Quantity("bytes_fused", "B", "bytes, fused", exact=True),
    Quantity("state_bytes", "B", "state kept", exact=True),
    Quantity("peak_bytes", "B", "peak memory", exact=False),
    Quantity("seconds", "s", "time", exact=False),
    Quantity("joules", "J", "energy", exact=False),
    Quantity("joules_dynamic", "J", "energy above idle", exact=False),
    Quantity("watts", "W", "power", exact=False, better="neither"),
    Quantity("joules_floor", "J", "arithmetic floor", exact=False),
    Quantity("joules_arithmetic", "J", "arithmetic", exact=False),
    Quantity("joules_memory", "J", "memory movement", exact=False),
    Quantity("memory_share", "share", "memory's share", exact=False, better="neither"),
    Quantity("joules_board", "J", "board reference", exact=False),
    Quantity("grams_co2e", "g", "CO2 equivalent", exact=False),
    Quantity("null_seconds", "ratio", "time, A/A null", exact=False, better="neither"),
    Quantity("null_joules", "ratio", "energy, A/A null", exact=False, better="neither"),
    Quantity("roofline_seconds", "s", "time at the limit", exact=False),
    Quantity("roofline_fraction", "share", "of that limit reached", exact=False, better="higher"),
    Quantity("stages_over_whole", "ratio", "sum of stages over the whole", exact=False, better="neither"),
    Quantity("first_token_seconds", "s", "first token", exact=False),
    Quantity("tokens_per_second", "token/s", "tokens per second", exact=False, better="higher"),
    Quantity("step_seconds_p50", "s", "step, median position", exact=False),
    Quantity("step_seconds_p90", "s", "step, 90% of positions", exact=False),
    Quantity("step_seconds_max", "s", "step, slowest position", exact=False),
    Quantity("edge_jitter", "ratio", "jitter at span edges", exact=False),
    Quantity("bytes_per_token", "B", "bytes per token", exact=True),
)


def quantity(name: str) -> Quantity:
    """Return a quantity by name; `ratio:<quantity>` is token ÷ latent, so higher is better where lower was, and the reverse.

    Raises:
        UsageError: no quantity has this name.
    """
    base = QUANTITIES.get(name.removeprefix(RATIO_PREFIX))
    if base is None:
        raise UsageError(f"quantity: unknown value {name!r}{suggest(name, QUANTITIES)}")
    if not name.startswith(RATIO_PREFIX):
        return base
    return Quantity(name, "ratio", f"{base.label}, token ÷ latent", base.exact, _TURNED[base.better])


def full(name: str, value: int | float) -> str:
    """Return every digit of an exact value, the short form of any other.

    >>> full("flops", 29124173234176)
    '29,124,173,234,176'
    """
    if name.startswith(RATIO_PREFIX):
        return ratio_text(value)
    unit = quantity(name)
    if not (unit.exact and isinstance(value, int)):
        return short(name, value)
    return f"{value:,} B" if unit.unit == "B" else f"{value:,}"


def short(name: str, value: int | float) -> str:
    """Return a value in at most three digits and a prefix: 29.1 T, 6.93 GiB, 312 ms, 22.46×.

    >>> short("flops", 29124173234176), short("bytes_fused", 2**31), short("seconds", 0.0125)
    ('29.1 T', '2.00 GiB', '12.5 ms')
    """
    known = quantity(name)
    if known.unit == "ratio":
        return ratio_text(value)
    if known.unit == "share":
        return f"{_percent(value)}%"
    if known.unit == "B":
        return _bytes(value)
    if known.unit in {"s", "J", "W", "g"}:
        return _physical(value, known.unit)
    return _plain(value, known.exact)


def _plain(value: int | float, exact: bool) -> str:
    """Return a number without its unit: a count with all digits while they are few, a noisy one with three."""
    if exact and value < _EXACT_BELOW:
        return f"{value:,}"
    return _scaled(value, 1000, _DECIMAL) if value >= 1 else f"{value:.3g}"


def interval(name: str, low: float, high: float) -> str:
    """Return a range in the unit that `short` gives its upper end, written once: 310–315 ms.

    >>> interval("seconds", 0.0961, 0.0973), interval("ratio:seconds", 3.181, 3.244), interval("memory_share", 0.071, 0.5)
    ('96.1–97.3 ms', '3.18–3.24×', '7.1–50%')
    """
    if quantity(name).unit == "ratio":
        number = _ratio_digits(high)
        return f"{_like(number, low) if low >= high / 10 else _ratio_digits(low)}–{number}×"
    if quantity(name).unit == "share":
        return f"{_percent(low)}–{_percent(high)}%"
    number, _, unit = short(name, high).partition(" ")
    if low < high / 10:  # one unit would leave the lower end without digits
        return f"{short(name, low)}–{number} {unit}".rstrip()
    factor = high / float(number.replace(",", "")) if high else 1.0
    return f"{_like(number, low / factor)}–{number} {unit}".rstrip()


def _percent(value: float) -> str:
    decimals = 0 if 0.0995 <= value < 0.99 or value >= 0.9995 else 1
    return f"{100 * value:.{decimals}f}"


def _like(number: str, value: float) -> str:
    """Print a value with as many decimals as a number printed before."""
    return f"{value:.{len(number.partition('.')[2])}f}"


def ratio_text(value: int | float) -> str:
    """Return a ratio with sensible digits: 1024×, 1023.9×, 22.46×, 0.913×; no decimals only where it is whole.

    >>> ratio_text(1024.0), ratio_text(1023.98), ratio_text(22.4561), ratio_text(0.9126)
    ('1024×', '1024.0×', '22.46×', '0.913×')
    """
    return f"{int(value)}×" if value == int(value) else f"{_ratio_digits(value)}×"


def _ratio_digits(value: float) -> str:
    if value >= 99.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.9995 else f"{value:.3f}"


def _bytes(value: int | float) -> str:
    if value < 1000:
        return f"{value if value == int(value) else round(value, 1):,}{_BINARY[0]}"
    return _scaled(value, 1024, _BINARY)


def _scaled(value: float, base: int, prefixes: tuple[str, ...]) -> str:
    """Divide until three digits remain: 999.6 MiB becomes 0.98 GiB, never a four-digit 1,000 MiB."""
    for prefix in prefixes[:-1]:
        if float(f"{value:.3g}") < 1000:
            return f"{_three_digits(value)}{prefix}"
        value = value / base
    return f"{_three_digits(value)}{prefixes[-1]}"


def _physical(value: float, unit: str) -> str:
    if value == 0 or float(f"{abs(value):.3g}") >= 1000:
        return f"{value:,.0f} {unit}"
    for prefix in _SMALL[:-1]:
        if float(f"{abs(value):.3g}") >= 1:
            return f"{_three_digits(value)} {prefix}{unit}"
        value = value * 1000
    return f"{_three_digits(value)} {_SMALL[-1]}{unit}"


def _three_digits(value: float) -> str:
    """Return three significant digits without an exponent: 1.00, 12.3, 456."""
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:,.{decimals}f}"
