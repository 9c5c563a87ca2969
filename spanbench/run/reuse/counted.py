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
    spans = asked.point.windows.complete
    if not spans:
        return (
            f"No span of {asked.point.span:,} tokens is complete: there is no latent to store, and the latent arm is its decoder alone.",
        )
    if asked.prompt.repeats > 1:
        return (f"The text has {asked.prompt.text_tokens:,} tokens and was repeated {asked.prompt.repeats:.1f} times over.",)
    return ()
