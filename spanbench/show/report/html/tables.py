"""A section's figures as tables: a row a length of prompt, three columns a quantity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spanbench.show.report.many import MOST_FIGURES, spread
from spanbench.show.report.plots.curves import alike, regime_name
from spanbench.show.report.summary import ARMS, Dot, Section, Series
from spanbench.show.report.svg.text import escaped
from spanbench.units import interval, quantity, short

__all__ = ["MOST_ROWS", "tables"]

MOST_ROWS = 24
"""Lengths of prompt in one table; of more, so many evenly, both ends among them."""

TOLD = ("cells_dense", "flops", "seconds", "joules", "peak_bytes", "state_bytes")
_HEADS = ("token", "latent", "ratio")


@dataclass(frozen=True, slots=True)
class _Group:
    """Three columns: a quantity of one source, of both arms and the pair."""

    label: str
    columns: tuple[dict[int, list[Dot]], ...]
    quantity: str


def tables(section: Section, anchor: str) -> Iterator[str]:
    """Yield one table a regime; `anchor` begins the ids of their captions."""
    for regime in section.regimes:
        groups = [group for what in TOLD for group in _groups(section, regime, what)]
        if groups:
            yield _table(section, regime, groups, f"{anchor}-{regime}")


def _groups(section: Section, regime: str, what: str) -> Iterator[_Group]:
    by_arm = [alike(section, arm, regime, what if arm != "pair" else f"ratio:{what}") for arm in ARMS]
    for source in dict.fromkeys(series.source for found in by_arm for series in found):
        columns = tuple(_by_tokens([series for series in found if series.source == source]) for found in by_arm)
        known = quantity(what)
        unit = f", {known.unit}" if known.unit.lower() not in known.label.lower() and known.exact and known.unit != "B" else ""
        yield _Group(f"{known.label}{unit} ({source})", columns, what)


def _by_tokens(found: Sequence[Series]) -> dict[int, list[Dot]]:
    dots: dict[int, list[Dot]] = {}
    for series in found:
        for dot in series.dots:
            dots.setdefault(dot.tokens, []).append(dot)
    return dots


def _table(section: Section, regime: str, groups: Sequence[_Group], anchor: str) -> str:
    lengths = sorted({tokens for group in groups for column in group.columns for tokens in column})
    shown = _evenly(lengths)
    heads = "".join(f"<th colspan=3 scope=colgroup>{escaped(group.label)}" for group in groups)
    names = "".join(f"<th scope=col>{head}" for _ in groups for head in _HEADS)
    rows = "".join(f"<tr><th scope=row>{tokens:,}{''.join(_cells(group, tokens) for group in groups)}\n" for tokens in shown)
    # The end tags of rows and cells are optional in HTML, and a third of a table's size.
    return (
        f'<div class=scroll tabindex=0 role=region aria-labelledby="{anchor}"><table>'
        f'<caption id="{anchor}"><span>{_caption(section, regime, lengths)}</span></caption>'
        f"<thead><tr><th scope=col rowspan=2>N{heads}<tr>{names}<tbody>\n{rows}</table></div>\n"
    )


def _caption(section: Section, regime: str, lengths: Sequence[int]) -> str:
    generate = min((series.generate for series in section.series if series.regime == regime and series.generate is not None), default=None)
    batch = f" of {section.setup.batch:,} prompts together" if section.setup.batch > 1 else ""
    thinned = f" {MOST_ROWS} of {len(lengths):,} lengths are shown." if len(lengths) > MOST_ROWS else ""
    name = escaped(regime_name(regime, generate))
    notes = f"{_many(section, regime)}{thinned}"
    return f"<b>{name}</b>: totals{batch}; ratio is token ÷ latent, with its 95% interval where it was measured.{notes}"


def _many(section: Section, regime: str) -> str:
    """Say what a cell of many figures shows; '' where none is."""
    counts = (Counter(dot.tokens for dot in series.dots) for series in section.series if series.regime == regime)
    most = max((max(count.values(), default=0) for count in counts), default=0)
    return f" Of more than {MOST_FIGURES} runs of one length: the median, and the smallest and the largest." if most > MOST_FIGURES else ""


def _evenly(lengths: Sequence[int]) -> Sequence[int]:
    if len(lengths) <= MOST_ROWS:
        return lengths
    return [lengths[at * (len(lengths) - 1) // (MOST_ROWS - 1)] for at in range(MOST_ROWS)]


def _cells(group: _Group, tokens: int) -> str:
    cells = [_cell(column.get(tokens, ()), name) for column, name in zip(group.columns, _names(group), strict=True)]
    return f"<td class=first>{cells[0]}<td>{cells[1]}<td>{cells[2]}"


def _names(group: _Group) -> tuple[str, str, str]:
    return group.quantity, group.quantity, f"ratio:{group.quantity}"


def _cell(dots: Sequence[Dot], name: str) -> str:
    """Return the figures of one length: a few one below the other, of many the middle one and how far they go."""
    if many := spread(dots):
        return f"{short(name, many.middle)}<small>{interval(name, many.low, many.high)}, median of {many.count:,}</small>"
    values = [_value(dot, name) for dot in dots]
    return "".join(value if value.endswith("</small>") else f"{value}<br>" for value in values).removesuffix("<br>")  # small ends a line


def _value(dot: Dot, name: str) -> str:
    """Return a figure; below a ratio its interval, which is not symmetric."""
    bounds = (
        f"<small>{interval(name, dot.low, dot.high)}</small>"
        if name.startswith("ratio:") and dot.low is not None and dot.high is not None
        else ""
    )
    return f"{short(name, dot.value)}{bounds}"
