"""What the latent store takes on disk, and how quickly it finds and loads records: `python benchmarks/store.py [FOLDER]`.

No model is run: records are random bytes. FOLDER (default: a temporary one) should lie on the disk that is asked about.
"""

from __future__ import annotations

import hashlib
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import perf_counter

from spanbench.store.disk import Entry, RawTensor, Space, Store

ITEM = {"F32": 4, "F16": 2}
MANY = 1_000_000


def key(number: int) -> bytes:
    """Return the key of a record."""
    return hashlib.blake2b(b"%d" % number, digest_size=16).digest()


def entry(number: int, width: int, dtype: str) -> Entry:
    """Return a record of `width` random elements."""
    size = width * ITEM[dtype]
    return Entry(key(number), {"u": RawTensor(dtype, (width,), Random(number).randbytes(size))})  # noqa: S311  # a filling, not a secret


def space(dtype: str) -> Space:
    """Return the space of some records."""
    return Space("u", "00" * 32, 32, dtype)


def on_disk(folder: Path) -> int:
    """Return the bytes that a folder takes: whole blocks of all files and of the folder itself, as `du` counts."""
    return sum(path.stat().st_blocks * 512 for path in (folder, *folder.iterdir()))


def overhead(folder: Path, width: int, dtype: str, spans: int, each: int) -> None:
    """Print what `spans` records take beyond their tensors, put `each` at a time: while open, closed, and after `gc`."""
    raw = spans * width * ITEM[dtype]
    with Store.open(folder, create=True) as store:
        for first in range(0, spans, each):
            store.put(space(dtype), [entry(number, width, dtype) for number in range(first, min(spans, first + each))])
        open_still = on_disk(folder)
    with Store.open(folder) as store:
        files, closed = store.stats().disk_bytes, on_disk(folder)
        store.gc()
        after = on_disk(folder)
    shares = "  ".join(f"{100 * (size / raw - 1):6.2f}%" for size in (files, open_still, closed, after))
    print(f"Z={width:<5} {dtype}  {spans:>7,} spans, {each:>6,} a put   {shares}", flush=True)


def told(what: str, action: Callable[[int], object], times: int) -> None:
    """Print the median and the slowest of 100 of an action's times."""
    seconds = []
    for number in range(times):
        start = perf_counter()
        action(number)
        seconds.append(perf_counter() - start)
    slow = statistics.quantiles(seconds, n=100)[98]
    print(f"{what:<62} median {1e3 * statistics.median(seconds):8.3f} ms   99th percentile {1e3 * slow:8.3f} ms", flush=True)


def look_up(folder: Path) -> None:
    """Print how long a span among a million takes to be found, and to be read."""
    random = Random(0)  # noqa: S311  # an order, not a secret
    with Store.open(folder, create=True) as store:
        start = perf_counter()
        for first in range(0, MANY, 50_000):
            store.put(space("F16"), [entry(number, 32, "F16") for number in range(first, first + 50_000)])
        print(f"{MANY:,} records of 64 bytes written in {perf_counter() - start:.0f} s, {on_disk(folder):,} bytes on disk", flush=True)
    with Store.open(folder) as store:
        told(f"found among {MANY:,}", lambda _: store.has(space("F16"), [key(random.randrange(MANY))]), 2000)
        told("not there", lambda number: store.has(space("F16"), [key(MANY + number)]), 2000)
        told("found and read", lambda _: store.get(space("F16"), [key(random.randrange(MANY))]), 2000)
    with _fresh(folder) as opened:
        told("opened anew, found and read", lambda number: opened().get(space("F16"), [key(number)]), 50)


def loading(folder: Path, width: int, dtype: str) -> None:
    """Print how long the latents of 2048 tokens (64 spans of 32) take, among 10,000 spans."""
    with Store.open(folder, create=True) as store:
        for first in range(0, 10_000, 64):
            store.put(space(dtype), [entry(number, width, dtype) for number in range(first, first + 64)])
    keys = [[key(64 * document + number) for number in range(64)] for document in range(150)]
    what = f"64 × Z={width} {dtype} ({64 * width * ITEM[dtype] // 1024:,} KiB)"
    with Store.open(folder) as store:
        told(f"loaded: {what}", lambda number: store.get(space(dtype), keys[number % 150]), 300)
    with _fresh(folder) as opened:
        told(f"store opened anew, loaded: {what}", lambda number: opened().get(space(dtype), keys[number]), 50)


@contextmanager
def _fresh(folder: Path) -> Iterator[Callable[[], Store]]:
    """Yield what opens the store anew each time; all are closed at the end."""
    held: list[Store] = []

    def opened() -> Store:
        held.append(Store.open(folder, read_only=True))
        return held[-1]

    yield opened
    for store in held:
        store.close()


def main() -> None:
    """Run all."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as other:
        folder = Path(other)
        print("beyond the tensors:                                files (closed), on disk: while open, closed, after gc")
        for width, dtype in ((512, "F16"), (512, "F32"), (4096, "F16")):
            for spans, each in ((1_000, 1_000), (1_000, 8), (10_000, 64), (10_000, 10_000)):
                overhead(folder / f"{width}{dtype}{spans}{each}", width, dtype, spans, each)
        overhead(folder / "100k", 512, "F16", 100_000, 10_000)
        look_up(folder / "many")
        for width, dtype in ((4096, "F16"), (512, "F32")):
            loading(folder / f"load{width}", width, dtype)


if __name__ == "__main__":
    main()
