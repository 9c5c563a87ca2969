"""The prompt as token ids: the same ids for both arms, always."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from spanbench.errors import UsageError

__all__ = ["BUILT_IN", "Prompt", "load_prompt"]

BUILT_IN = "Explain why leaves change color in autumn, focusing on chlorophyll breakdown and environmental triggers."
"""The documents' prompt (104 bytes)."""

BYTE_VOCAB = 256


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids of a whole batch, and where they came from.

    Row b holds tokens b·N .. (b+1)·N - 1 of the text, which is repeated where it is shorter.
    """

    ids: tuple[tuple[int, ...], ...]
    source: str
    tokenizer: str
    vocab: int
    text_tokens: int

    @property
    def tokens(self) -> int:
        """N, the tokens of one row."""
        return len(self.ids[0])

    @property
    def repeats(self) -> float:
        """How many times over the text was needed to fill the batch (at most 1: it was long enough)."""
        return len(self.ids) * self.tokens / self.text_tokens

    @property
    def digest(self) -> str:
        """Sha256 of the ids as int64, little endian, row by row."""
        whole = hashlib.sha256()
        for row in self.ids:
            line = array("q", row)
            if sys.byteorder == "big":
                line.byteswap()
            whole.update(line.tobytes())
        return whole.hexdigest()


def load_prompt(path: str | None, tokenizer: str | None, tokens: int | None, batch: int) -> Prompt:
    """Read, tokenize, and cut or repeat a prompt.

    Args:
        path: a text file, '-' for standard input, None for the documents' prompt.
        tokenizer: a Hugging Face tokenizer.json, None for bytes.
        tokens: N; None takes the whole text.
        batch: B rows, each the next N tokens.

    Raises:
        UsageError: a missing, empty or unreadable prompt or tokenizer.
    """
    source, text = _read(path)
    encode, name, vocab = _tokenizer(tokenizer)
    stream = encode(text)
    if not stream:
        raise UsageError(f"--prompt {source}: is empty; give a text of at least one token")
    count = tokens or len(stream)
    endless = cycle(stream)
    ids = tuple(tuple(islice(endless, count)) for _ in range(batch))
    return Prompt(ids, source, name, vocab, len(stream))


def _read(path: str | None) -> tuple[str, str]:
    if path is None:
        return "built-in", BUILT_IN
    if path == "-":
        return "stdin", _decode("-", sys.stdin.buffer.read())
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"--prompt {path}: there is no such file; give a text file, or - for standard input") from None
    except IsADirectoryError:
        raise UsageError(f"--prompt {path}: is a folder; give a text file, or - for standard input") from None
    except OSError as error:
        raise UsageError(f"--prompt {path}: cannot be read ({error.strerror})") from None
    return Path(path).name, _decode(path, raw)


def _decode(path: str, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--prompt {path}: is not UTF-8 text (byte {error.start}); give a text file") from None
    if "\0" in text:
        raise UsageError(f"--prompt {path}: is not text (it holds zero bytes); give a text file")
    return text


def _tokenizer(path: str | None) -> tuple[Callable[[str], Sequence[int]], str, int]:
    """Return how to encode a text, the tokenizer's name, and its vocabulary's size."""
    if path is None:
        return (lambda text: text.encode("utf-8")), "bytes", BYTE_VOCAB
    if not Path(path).is_file():
        raise UsageError(f"--tokenizer {path}: there is no such file; give a Hugging Face tokenizer.json")
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415  (an extra: only this option needs it)
    except ImportError:
        raise UsageError("--tokenizer needs the extra: python -m pip install 'spanbench[tokenizers]'") from None
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # noqa: BLE001  (the library raises bare Exception for every broken file)
        raise UsageError(f"--tokenizer {path}: is not a tokenizer.json ({str(error).splitlines()[0]})") from None
    vocab = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    return (lambda text: tokenizer.encode(text, add_special_tokens=False).ids), Path(path).name, vocab
