"""Ids back to text, one at a time: what can be read so far is told at once, an unfinished character when it is finished."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Detokenizer", "detokenizers"]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
BYTES = 256

MOST_HELD = 8
"""Tokens held back at most for a character to be finished: none has more than four bytes, so these never will be one."""


class Detokenizer(Protocol):
    """Turns the ids of one text into its pieces, in order."""

    def feed(self, token: int) -> str:
        """Return what can be read now that could not be before."""
        ...

    def finish(self) -> str:
        """Return what was held back; nothing comes after it."""
        ...


class ByteText:
    """Ids are the bytes of UTF-8 text; an invalid byte, and an id that is no byte, becomes a replacement character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token: int) -> str:
        """Return the characters that this byte finishes."""
        if token < BYTES:
            return self._decoder.decode(bytes([token]))
        return self.finish() + REPLACEMENT

    def finish(self) -> str:
        """Return a replacement for a character that was begun, and begin anew."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


class TokenizerText:
    """Ids of a tokenizer, decoded behind the piece before them: whether a space belongs in front depends on what came before."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._before: list[int] = []
        self._held: list[int] = []

    def feed(self, token: int) -> str:
        """Return the held tokens' text, unless it ends in the middle of a character."""
        self._held.append(token)
        piece = self._piece()
        if piece.endswith(REPLACEMENT) and len(self._held) < MOST_HELD:
            return ""
        self._before, self._held = self._held, []
        return piece

    def finish(self) -> str:
        """Return the held tokens' text, whole or not."""
        piece = self._piece()
        self._before, self._held = self._held, []
        return piece

    def _piece(self) -> str:
        return self._decode([*self._before, *self._held])[len(self._decode(self._before)) :]


def detokenizers(tokenizer: str | None) -> Callable[[], Detokenizer]:
    """Return what makes a detokenizer a text: of bytes, or of a Hugging Face tokenizer.json that was read before."""
    if tokenizer is None:
        return ByteText
    from tokenizers import Tokenizer  # an extra: only its option needs it

    whole = Tokenizer.from_file(tokenizer)
    return lambda: TokenizerText(lambda ids: str(whole.decode(list(ids), skip_special_tokens=False)))
