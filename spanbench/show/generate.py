"""`generate`: what each arm said, as it is printed while it speaks, and as one document at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.units import short

__all__ = ["ARMS", "heading", "page", "rate_line", "render_generate", "told_lines", "visible"]

ARMS = ("token", "latent")

# Random weights say any byte. At a terminal some of them would move the cursor, ring, or colour all that follows.
_PICTURES = (
    {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
)


def visible(text: str) -> str:
    r"""Return text with control characters as pictures; line ends and tabs stay.

    >>> visible("a\x1b[0m\n")
    'a␛[0m\n'
    """
    return text.translate(_PICTURES)


def heading(arm: str, text: int = 0, of: int = 1) -> str:
    """Return the line above a text: its arm, and which prompt it answers where there are several."""
    return f"== {arm} ==\n" if of == 1 else f"== {arm}, prompt {text + 1} of {of} ==\n"


def rate_line(arm: str, said: Mapping[str, Any]) -> str:
    """Return how quickly an arm spoke."""
    return f"{arm}: first token after {short('seconds', said['first_token_seconds'])}, {said['tokens_per_second']:,.1f} tokens/s in all"


_KINDS = {
    "layers": "keys and values of all tokens",
    "mixer": "mixer keys and values",
    "window": "keys and values of the open window",
    "memory": "keys and values of the latents",
    "start": "keys and values of the start rows",
    "latent": "last latent",
    "slot": "last slot",
    "ids": "open ids",
    "logits": "logits",
}
"""What a session's file holds, by the first part of its tensors' names."""


def _saved(arm: str, saved: Mapping[str, Any]) -> str:
    """Return what was kept of an arm, by kind."""
    kinds = ", ".join(f"{_KINDS[kind]} {short('peak_bytes', saved['bytes'][kind])}" for kind in _KINDS if kind in saved["bytes"])
    return f"{arm}: kept {saved['tokens']:,} tokens in {short('peak_bytes', saved['file_bytes'])}: {kinds}"


def _loaded(arm: str, loaded: Mapping[str, Any]) -> str:
    """Return what an arm did not read again, and what it read behind it."""
    read = f"; {loaded['read']:,} were read behind them" if loaded["read"] else ""
    spared = f"{short('flops', loaded['flops_not_computed'])}FLOP of a prefill"
    return f"{arm}: {loaded['tokens']:,} tokens were read before and none of them again ({spared} not computed anew){read}"


def _reused(arm: str, reused: Mapping[str, Any]) -> str:
    """Return how much of the prompts an arm had."""
    known, read = sum(reused["reused"]), sum(reused["read"])
    damaged = "".join(f"; passed over: {what}" for what in reused["damaged"])
    return f"{arm}: {known:,} of {known + read:,} prompt tokens reused, {read:,} read{damaged}"


_LINES = {"loaded": _loaded, "reused": _reused, "saved": _saved}


def told_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is told beside the text: how quickly each arm spoke, and what of earlier runs was used or is kept."""
    for arm, said in _said(document):
        yield rate_line(arm, said)
    for key, line in _LINES.items():
        yield from (line(arm, document[key][arm]) for arm in ARMS if arm in document.get(key, {}))


def render_generate(document: Mapping[str, Any], fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the document as text in one of `formats.FORMATS`."""
    return render(page(document), fmt, width, colour)


def page(document: Mapping[str, Any]) -> Page:
    """Return the view before it is printed."""
    return Page(tuple(_blocks(document)), document, tuple(_tidy(document)))


def _blocks(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    point, weights = document["point"], document["weights"]
    yield Text(f"spanbench generate · preset {point['preset']}, allocation {point['allocation']} · weights {weights}", "title")
    rows = []
    for arm, said in _said(document):
        for number, text in enumerate(said["text"]):
            yield Text(heading(arm, number, len(said["text"])).strip(" =\n"))
            yield Text(_fenced(visible(text)))
        rows.append(Row((arm, short("seconds", said["first_token_seconds"]), f"{said['tokens_per_second']:,.1f}")))
    yield Table(("", "first token", "tokens/s in all"), tuple(rows))
    yield from (Text(line) for line in list(told_lines(document))[len(rows) :])


def _fenced(text: str) -> str:
    """Return text between fences that are longer than any in it."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`+", text))])
    return f"{fence}text\n{text}\n{fence}"


def _tidy(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for arm, said in _said(document):
        for number, (ids, text) in enumerate(zip(said["ids"], said["text"], strict=True)):
            yield {
                "arm": arm,
                "prompt": number,
                "ids": " ".join(map(str, ids)),
                "text": text,
                "first_token_seconds": said["first_token_seconds"],
                "tokens_per_second": said["tokens_per_second"],
            }


def _said(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((arm, document[arm]) for arm in ARMS if arm in document)
