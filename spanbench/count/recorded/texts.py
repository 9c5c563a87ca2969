"""The prompts at hand when records are checked, and which of them a record was made with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanbench.point import Point
from spanbench.prompt import Prompt, load_prompt
from spanbench.record import Record

__all__ = ["BUILT_IN", "Texts"]

BUILT_IN = "built-in"
"""How a record names the documents' prompt."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Prompts at hand, whole: the built-in one, and those that a user named."""

    built_in: Prompt
    given: Sequence[Prompt] = ()

    @classmethod
    def load(cls, paths: Iterable[str], tokenizer: str | None) -> Texts:
        """Read the prompts; the tokenizer encodes the built-in one too.

        Raises:
            UsageError: a missing, empty or unreadable prompt or tokenizer.
        """
        return cls(load_prompt(None, tokenizer, None, 1), [load_prompt(path, tokenizer, None, 1) for path in paths])

    def find(self, record: Record, point: Point) -> Prompt | None:
        """Return the prompt whose ids are the record's, or None. What follows a text of the same beginning is taken from the text."""
        candidates = [self.built_in] if record.environment.get("prompt") == BUILT_IN else self.given
        fitting = (text.cut(point.tokens, point.batch) for text in candidates if text.tokenizer == point.tokenizer)
        return next((prompt for prompt in fitting if prompt.digest == point.prompt), None)
