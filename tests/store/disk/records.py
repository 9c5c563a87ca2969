"""Records whose bytes follow from their key, so that a torn one cannot pass for whole; and processes that write them."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from spanbench.store.disk import Entry, RawTensor, Space, Store

U = Space("u", "ab" * 32, 32, "float16")
OTHER = Space("u", "cd" * 32, 32, "float16")
STATE = Space("state", "ef" * 32, 32, "float32")


def key(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def content(key_: bytes, size: int) -> bytes:
    return hashlib.shake_128(key_).digest(size)


def entry(number: int, width: int = 16) -> Entry:
    return Entry(key(number), {"u": RawTensor("F16", (width,), content(key(number), 2 * width))})


def entries(numbers: Sequence[int], width: int = 16) -> list[Entry]:
    return [entry(number, width) for number in numbers]


def held(store: Store, numbers: Sequence[int], space: Space = U) -> list[bool]:
    """Return which records the store gives; each that it gives must be what its key says."""
    found = store.get(space, [key(number) for number in numbers])
    for number, tensors in zip(numbers, found, strict=True):
        if tensors is not None:
            data = bytes(tensors["u"].data)
            assert data == content(key(number), len(data)), f"record {number} is torn"
    return [tensors is not None for tensors in found]


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


class Child:
    """A forked process that says numbers through a pipe while it works, and may be killed meanwhile."""

    def __init__(self, work: Callable[[Callable[[int], None]], None]) -> None:
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(self.reader)
                work(lambda number: _say(writer, number))
                code = 0
            except BaseException:  # noqa: BLE001  # told here, since the fork must not run what pytest would do with it
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writer)

    def said(self, signal: int | None = None) -> tuple[list[int], int]:
        """Wait for its end, sending it a signal first; return the numbers it said and what `os.waitpid` gives."""
        if signal is not None:
            os.kill(self.pid, signal)
        with os.fdopen(self.reader, "rb") as pipe:
            numbers = [int(line) for line in pipe.read().split(b"\n")[:-1]]
        return numbers, os.waitpid(self.pid, 0)[1]


def _say(writer: int, number: int) -> None:
    os.write(writer, b"%d\n" % number)
