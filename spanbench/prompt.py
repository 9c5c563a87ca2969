"""The prompt as token ids: the same ids for both arms, always."""

from __future__ import annotations

import hashlib
import stat
import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import BinaryIO

from spanbench.errors import UsageError
from spanbench.files import why

__all__ = ["BUILT_IN", "BYTES_PER_TOKEN", "MOST_BYTES", "Prompt", "load_prompt", "load_tokenizer"]

BUILT_IN = "Explain why leaves change color in autumn, focusing on chlorophyll breakdown and environmental triggers."
"""The documents' prompt (104 bytes)."""

BYTE_VOCAB = 256

MOST_BYTES = 2**28
"""A longer text is refused: it is a mistake, or a stream without an end."""

BYTES_PER_TOKEN = 40
"""Memory that one token of a batch takes while it is read, hashed and counted: a few references of 8 bytes each."""


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
    text: Sequence[int] = field(default=(), repr=False, compare=False)
    """The whole text's ids, from which other lengths are cut."""

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

    def following(self, steps: int) -> tuple[tuple[int, ...], ...]:
        """Return for each row the text's next `steps` ids: what both arms are fed after the prompt, whatever they would say."""
        starts = (self.tokens * (row + 1) for row in range(len(self.ids)))
        return tuple(tuple(self.text[(start + step) % len(self.text)] for step in range(steps)) for start in starts)

    def cut(self, tokens: int, batch: int) -> Prompt:
        """Return `batch` rows of the same text's next `tokens` tokens; the text is not read again."""
        endless = cycle(self.text)
        return replace(self, ids=tuple(tuple(islice(endless, tokens)) for _ in range(batch)))


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
    encode, name, vocab = load_tokenizer(tokenizer)  # first: a wrong file is refused before standard input is waited for
    source, text = _read(path)
    stream = encode(text)
    if not stream:
        raise UsageError(f"--prompt {path!r}: is empty; give a text of at least one token")
    whole = Prompt((), source, name, vocab, len(stream), stream)
    return whole.cut(tokens or len(stream), batch)


def _read(path: str | None) -> tuple[str, str]:
    if path is None:
        return "built-in", BUILT_IN
    try:
        raw = _stdin() if path == "-" else _file(Path(path))
    except FileNotFoundError:
        raise UsageError(f"--prompt {path!r}: there is no such file; give a text file, or - for standard input") from None
    except IsADirectoryError:
        raise UsageError(f"--prompt {path!r}: is a folder; give a text file, or - for standard input") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"--prompt {path!r}: cannot be read ({why(error)}); give a text file, or - for standard input") from None
    return ("stdin" if path == "-" else _name(path)), _decode(path, raw)


def _stdin() -> bytes:
    if sys.stdin is None:
        raise OSError(0, "standard input is closed")
    return _bounded(sys.stdin.buffer)


def _file(path: Path) -> bytes:
    if stat.S_ISCHR(path.stat().st_mode):  # /dev/zero has no end, /dev/null nothing to say
        raise OSError(0, "it is a device")
    with path.open("rb") as file:
        return _bounded(file)


def _bounded(file: BinaryIO) -> bytes:
    raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise OSError(0, f"it is longer than {MOST_BYTES // 2**20} MiB")
    return raw


def _name(path: str) -> str:
    """Return a file's name as text that every encoding can write: names need not be valid UTF-8."""
    return Path(path).name.encode(errors="replace").decode()


def _decode(path: str, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--prompt {path!r}: is not UTF-8 text (byte {error.start}); give a text file") from None
    if "\0" in text:
        raise UsageError(f"--prompt {path!r}: is not text (it holds zero bytes); give a text file")
    return text


def load_tokenizer(path: str | None) -> tuple[Callable[[str], Sequence[int]], str, int]:
    """Return how to encode a text, the tokenizer's name, and its vocabulary's size."""
    if path is None:
        return (lambda text: text.encode("utf-8")), "bytes", BYTE_VOCAB
    if not Path(path).is_file():
        problem = "is a folder" if Path(path).is_dir() else "there is no such file"
        raise UsageError(f"--tokenizer {path!r}: {problem}; give a Hugging Face tokenizer.json")
    try:
        from tokenizers import Tokenizer  # an extra: only this option needs it
    except ImportError:
        raise UsageError(f"--tokenizer {path!r}: needs an extra; run python -m pip install 'spanbench[tokenizers]'") from None
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # noqa: BLE001  # the library raises bare Exception for every broken file
        first = next(iter(str(error).splitlines()), "no reason given")
        raise UsageError(f"--tokenizer {path!r}: is not a tokenizer.json ({first}); give a Hugging Face one") from None
    vocab = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    return (lambda text: tokenizer.encode(text, add_special_tokens=False).ids), _name(path), vocab
