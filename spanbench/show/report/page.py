"""The report as a page of text and tables: what `report` prints, and report.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from spanbench import units
from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.show.report.many import spread
from spanbench.show.report.plots.curves import CONVENTIONS
from spanbench.show.report.sections.verdicts import exponent_text
from spanbench.show.report.summary import ARMS, SUMMARISED, Across, Dot, Report, Section, Series

__all__ = ["MOST_ROWS", "page", "render_report"]

_MOST_NARROW = 2
"""Figures side by side in a cell of a narrow terminal."""
MOST_ROWS = 40
"""Lengths of prompt in one table; of more, some are left out, spread evenly."""

_HEADS = {"token": "token", "latent": "latent", "pair": "ratio"}
_EXPONENTS = (
    "In brackets: of an arm the range of its slots, of a ratio its 95% interval, of a median the smallest and the largest of its figures. "
    "Exponents: y ~ N^k by least squares in logarithms, with the 95% Student t interval of the slope, over prompts with at least one "
    "complete span. A count's interval is no noise: it says how far the count is from a single power."
)


def render_report(report: Report, fmt: str = "markdown", width: int = 80, colour: bool = False) -> str:
    """Return the report as text in one of `formats.FORMATS`; its CSV has one row a dot."""
    return render(page(report, fmt), fmt, width, colour)


def page(report: Report, fmt: str) -> Page:
    """Return the report before it is printed, with what the format prints: a large report's data takes longer than its text."""
    data = {"report": asdict(report)} if fmt == "json" else {}
    return Page(tuple(_blocks(report)), data, list(_tidy(report)) if fmt == "csv" else ())


def _blocks(report: Report) -> Iterator[Text | Table]:
    yield Text(f"spanbench report · {_count(report.records, 'record')} in {_count(len(report.sections), 'section')}", "title")
    yield from (Text(note) for note in report.notes)
    for section in report.sections:
        yield from _section(section)
    if report.across:
        yield Text("Ratios against the span", "title")
        yield from _across(report.across)
    yield Text(_EXPONENTS, "note")


def _section(section: Section) -> Iterator[Text | Table]:
    setup = section.setup
    yield Text(setup.title, "title")
    yield Text(
        f"{_count(section.records, 'record')}, {_lengths(section.tokens)} · {setup.where} · tokenizer {setup.tokenizer or 'unknown'}"
    )
    yield Text(f"Convention {setup.convention}: 2 FLOP a multiply-accumulate, {CONVENTIONS[setup.convention]}, look-ups 0.")
    yield from (Text(verdict.sentence, hang=2) for verdict in section.verdicts)
    for regime, said in dict.fromkeys((s.regime, s.generate) for s in section.series):
        yield from _figures(section, regime, said)
    yield from _stages(section)
    yield from (Text(_caution(c.text, c.records, section.records), "note", hang=2) for c in section.cautions)
    yield Text("; ".join(section.provenance) + ".", "note", hang=2)


def _figures(section: Section, regime: str, said: int | None) -> Iterator[Table]:
    """Yield one table a quantity of a regime: N down, token, latent and ratio across, exponents below."""
    for quantity in SUMMARISED:
        for source in dict.fromkeys(s.source for s in section.series):
            trio = [_find(section, arm, regime, quantity, source, said) for arm in ARMS]
            if any(s and s.dots for s in trio):
                yield _table(trio, regime if said is None else f"{regime} of {said:,} tokens", quantity, source)


def _find(section: Section, arm: str, regime: str, quantity: str, source: str, said: int | None) -> Series | None:
    wanted = (arm, regime, units.RATIO_PREFIX * (arm == "pair") + quantity, source, said)
    return next((s for s in section.series if (s.arm, s.regime, s.quantity, s.source, s.generate) == wanted), None)


def _table(trio: Sequence[Series | None], regime: str, quantity: str, source: str) -> Table:
    dots = [_by_tokens(s.dots if s else ()) for s in trio]
    names = (quantity, quantity, units.RATIO_PREFIX + quantity)
    lengths = sorted({n for found in dots for n in found})
    shown = thinned(lengths, MOST_ROWS)
    rows = [Row((f"{n:,}", *(_cell(name, found.get(n, ())) for name, found in zip(names, dots, strict=True)))) for n in shown]
    exponents = [exponent_text(s.fit) if s else "" for s in trio]
    left_out = f", {len(shown)} of {len(lengths)} lengths" if len(shown) < len(lengths) else ""
    by = ", ".join(dict.fromkeys(name for s in trio if s for name in s.by))
    title = f"{regime} · {units.quantity(quantity).label} ({source}: {by}{left_out})"
    grown = [Row(("grows as", *exponents))] if any(s and s.fit.exponent is not None for s in trio) else []
    return Table(("N", *(_HEADS[arm] for arm in ARMS)), (*rows, *grown), title)


def _by_tokens(dots: Sequence[Dot]) -> Mapping[int, Sequence[Dot]]:
    found: dict[int, list[Dot]] = {}
    for dot in dots:
        found.setdefault(dot.tokens, []).append(dot)
    return found


def thinned(lengths: Sequence[int], most: int) -> list[int]:
    """Return at most so many, spread evenly, first and last among them."""
    if len(lengths) <= most:
        return list(lengths)
    return [lengths[round(index * (len(lengths) - 1) / (most - 1))] for index in range(most)]


def _cell(quantity: str, dots: Sequence[Dot]) -> str | Cell:
    """Return the figures of one N: a few measured ones stand side by side, fewer of them where there is little room."""
    if not dots:
        return ""
    if len(dots) == 1:
        return _figure(quantity, dots[0])
    return Cell(_short(quantity, dots), _full(quantity, dots))


def _short(quantity: str, dots: Sequence[Dot]) -> str:
    if many := spread(dots, _MOST_NARROW):
        return f"{units.short(quantity, many.middle)}, median of {many.count:,}"
    return "; ".join(units.short(quantity, dot.value) for dot in dots)


def _full(quantity: str, dots: Sequence[Dot]) -> str:
    if many := spread(dots):
        ends = units.interval(quantity, many.low, many.high)
        return f"{units.short(quantity, many.middle)} ({ends}), median of {many.count:,}"
    return "; ".join(_figure(quantity, dot).full for dot in dots)


def _figure(quantity: str, dot: Dot) -> Cell:
    """Return a figure; with its interval where there is room, and with a ratio always."""
    short, full = units.short(quantity, dot.value), units.full(quantity, dot.value)
    if dot.low is None or dot.high is None:
        return Cell(short, full)
    bounded = f"{short} ({units.interval(quantity, dot.low, dot.high)})"
    return Cell(bounded if quantity.startswith(units.RATIO_PREFIX) else short, bounded)


def _stages(section: Section) -> Iterator[Table]:
    """Yield where the FLOPs are, at the longest prompt."""
    longest = [b for b in section.bars if b.tokens == section.tokens[-1]]
    names = list(dict.fromkeys(name for bar in longest for name, _ in bar.stages))
    rows = []
    for bar in longest:
        shares = dict(bar.stages)
        said = "" if bar.generate is None else f" of {bar.generate:,} tokens"
        rows.append(Row((f"{bar.regime}{said}, {bar.arm}", *(_share(shares.get(name), bar.total) for name in names))))
    if rows:
        yield Table(("", *names), tuple(rows), f"FLOPs by stage at {section.tokens[-1]:,} tokens")


def _share(part: int | None, total: int) -> str:
    return "" if not part or not total else f"{100 * part / total:.1f}%"


def _across(found: Sequence[Across]) -> Iterator[Table]:
    groups: dict[str, list[Across]] = {}
    for one in found:
        groups.setdefault(_across_title(one), []).append(one)
    for title, group in groups.items():
        spans = sorted({dot.span for one in group for dot in one.dots})
        yield Table(
            ("ratio, token ÷ latent", *(f"span {span:,}" for span in spans)), tuple(_across_row(one, spans) for one in group), title
        )


def _across_title(one: Across) -> str:
    setup = one.setup
    changed = f" · {setup.changed}" if setup.changed else ""
    batch = f" · batch {setup.batch:,}" if setup.batch > 1 else ""
    return f"{setup.preset} · {setup.allocation}{changed}{batch} · {setup.where} · convention {setup.convention} · {one.tokens:,} tokens"


def _across_row(one: Across, spans: Sequence[int]) -> Row:
    by_span = {span: [dot.dot for dot in one.dots if dot.span == span] for span in spans}
    label = units.quantity(one.quantity.removeprefix(units.RATIO_PREFIX)).label
    said = "" if one.generate is None else f" of {one.generate:,} tokens"
    return Row((f"{one.regime}{said}, {label}", *(_cell(one.quantity, by_span[span]) for span in spans)))


def _caution(text: str, records: int, of: int) -> str:
    return text if of == 1 else f"{text} ({records} of {of} records)"


def _lengths(tokens: Sequence[int]) -> str:
    return f"{tokens[0]:,} tokens" if len(tokens) == 1 else f"{len(tokens)} lengths from {tokens[0]:,} to {tokens[-1]:,} tokens"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _tidy(report: Report) -> Iterator[dict[str, Any]]:
    for section in report.sections:
        for s in section.series:
            front = {**asdict(section.setup), "arm": s.arm, "regime": s.regime, "quantity": s.quantity, "unit": s.unit}
            fitted = {"generate": s.generate, "exponent": s.fit.exponent, "exponent_low": s.fit.low, "exponent_high": s.fit.high}
            yield from ({**front, **_dot(dot), **fitted} for dot in s.dots)


def _dot(dot: Dot) -> dict[str, Any]:
    return {field.name: getattr(dot, field.name) for field in fields(dot)}
