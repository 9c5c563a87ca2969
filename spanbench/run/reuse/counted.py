"""The counts of `reuse`: the closed form, held against what both arms execute on the meta device."""

from __future__ import annotations

from dataclasses import replace

from spanbench.count.reuse.counted import counted_reuse
from spanbench.judge.reuse import Reuse
from spanbench.run.reuse.asked import Asked
from spanbench.run.reuse.checked import check_reading

__all__ = ["count_reuse"]


def count_reuse(asked: Asked) -> Reuse:
    """Count every strategy; nothing is run on real numbers.

    Raises:
        CountMismatch: the closed form and what is executed disagree.
    """
    found = counted_reuse(asked.point, asked.prompt.ids, asked.query(), asked.queries, asked.documents, asked.convention, asked.rate)
    verified = check_reading(asked)
    return replace(found, verified=tuple(verified), notes=_notes(asked))


def _notes(asked: Asked) -> tuple[str, ...]:
    point, prompt = asked.point, asked.prompt
    if not point.windows.complete:
        return (f"No span of {point.span:,} tokens is complete: there is no latent to store, and the latent arm is its decoder alone.",)
    spans = {row[at : at + point.span] for row in prompt.ids for at in range(0, point.windows.complete * point.span, point.span)}
    text = f"Text: {prompt.source}."
    if len(spans) == point.windows.complete:
        return (text,)
    return (f"{text} Only {len(spans):,} of {point.windows.complete:,} spans differ: equal ones are stored once, and counted here each.",)
