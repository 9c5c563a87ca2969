"""One section of the page: what was run, what it comes to, its figures, warnings, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable

from spanbench.show.report.html.tables import tables
from spanbench.show.report.plots.curves import CONVENTIONS
from spanbench.show.report.summary import Caution, Section, Verdict
from spanbench.show.report.svg.text import escaped

__all__ = ["MOST_CAUTIONS", "bullets", "section_end", "section_start"]

MOST_CAUTIONS = 24
"""Warnings that are printed; the rest are counted."""

_JUDGED = {"holds": "Holds", "refuted": "Refuted", "undecided": "Undecided"}


def section_start(section: Section, anchor: str) -> str:
    """Return the part before the plots. `anchor` is the section's id on the page."""
    verdicts = [f"<b>{_JUDGED[verdict.judgement]}.</b> {_sentence(verdict)}" for verdict in section.verdicts]
    figures = "".join(tables(section, anchor))
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-h"><h2 id="{anchor}-h">{escaped(section.setup.title)}</h2>\n'
        f"<p class=where>{_ran(section)}</p>\n"
        + (f"<h3>“Near-constant scaling” of the latent arm</h3>\n{bullets(verdicts)}" if verdicts else "")
        + (f"<h3>Figures</h3>\n{figures}" if figures else "")
    )


def section_end(section: Section) -> str:
    """Return the part after the plots."""
    cautions = [_caution(caution) for caution in section.cautions[:MOST_CAUTIONS]]
    more = len(section.cautions) - MOST_CAUTIONS
    cautions += [f"… and {more:,} more, in the records."] if more > 0 else []
    return (
        (f"<h3>Warnings</h3>\n{bullets(cautions)}" if cautions else "")
        + (f"<h3>Where it comes from</h3>\n{bullets(escaped(line) for line in section.provenance)}" if section.provenance else "")
        + "</section>\n"
    )


def bullets(items: Iterable[str]) -> str:
    """Return a list of what is HTML already."""
    return f"<ul>{''.join(f'<li>{item}' for item in items)}</ul>\n"


def _sentence(verdict: Verdict) -> str:
    return escaped(verdict.sentence)


def _ran(section: Section) -> str:
    setup, tokens = section.setup, section.tokens
    lengths = f"N = {tokens[0]:,}" + (f" to {tokens[-1]:,}, {len(tokens):,} lengths" if len(tokens) > 1 else "")
    records = f"{section.records:,} record{'' if section.records == 1 else 's'}"
    convention = f"convention {setup.convention} ({CONVENTIONS[setup.convention]})"
    counted = all(series.source == "counted" for series in section.series if series.dots)
    where = f"counted, which depends on no machine · {setup.dtype}" if counted else f"{setup.where} · {setup.device}"
    return escaped(" · ".join([where, lengths, records, convention, f"tokenizer {setup.tokenizer or 'unknown'}"]))


def _caution(caution: Caution) -> str:
    code = f"<code>{escaped(caution.code)}</code>: " if caution.code else ""
    many = f" ({caution.records:,} records)" if caution.records > 1 else ""
    return f"{code}{escaped(caution.text)}{many}"
